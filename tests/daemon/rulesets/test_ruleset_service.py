"""The ruleset service: what an operator saves goes live, waits for a person, or is refused."""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import pytest

import rules
from daemon import events
from daemon.errors import Conflict, NotFound, RulesRejected
from daemon.rulesets import check_process, history, rule_files
from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.check_process import RuleCheckProcess
from daemon.settings import RulesSettings
from daemon.worker_protocol import Answer, End, Heartbeat, Progress, Request, encode_frame
from storage import audit, rulesets
from storage.errors import DiskFull
from storage.rulesets import RulesetActivationKind
from storage.tx import Tx
from tests.helpers.clock import FakeClock
from tests.helpers.services.rulesets import RulesetServices, open_ruleset_services

pytestmark = pytest.mark.slow

FORMAT = "format: leadmaster/gate@1\n"
TUNED = FORMAT + "scores: [{id: unanswered, points: -20}]\n"
EXAMPLES = (
    "tests:\n"
    "  - {name: not answered, expect: {verdict: review}}\n"
    '  - {name: "not answered, and the same text as everybody\'s, counts 25 together",'
    " expect: {verdict: review}}\n"
)
RELAXED = FORMAT + "vetoes: [{id: link_to_a_stranger, when: {message.links|gte: 5}}]\n"
RELAXED_WITH_EXAMPLE = (
    RELAXED + "tests: [{name: no link in the one message to a stranger, given: "
    "{prospect.permission: public_source, session.channel: manual, message.links: 5}}]\n"
)
HANG = (sys.executable, "-c", "while True: pass")


async def test_without_files_of_ones_own_the_shipped_rules_are_live(tmp_path: Path) -> None:
    """They are kept by hash, and so is how they came."""
    async with open_ruleset_services(tmp_path) as services:
        state = services.service.get_status()
        assert (state.waiting, state.rejected, state.shadow) == (None, None, None)
        assert [Path(file).name for file in state.gate.files] == ["gate.yaml"]
        found = await services.database.read(lambda reader: rulesets.list_activations(reader, 5))
        assert {(each.format, each.how, each.who) for each in found} == {
            ("leadmaster/gate@1", RulesetActivationKind.LOADED, "daemon"),
            ("leadmaster/score@1", RulesetActivationKind.LOADED, "daemon"),
        }


async def test_tuned_points_go_live_at_once(tmp_path: Path) -> None:
    """One swap, one event for each set, and the new hash everywhere."""
    async with open_ruleset_services(tmp_path) as services:
        before = services.active_hash
        services.write_rules(
            TUNED + EXAMPLES.replace("expect: {verdict: review}", "expect: {score: 60}", 1)
        )
        state = await services.service.reload("eva")
        assert state.rejected is None, state.rejected
        assert state.gate.hash == services.active_hash != before
        assert await services.count_activations() == 1
        last = services.events_of_type("rules.loaded")[-2]
        assert (last.subject, last.data["who"]) == (services.active_hash, "eva")


async def test_a_failing_example_keeps_the_last_good_set(tmp_path: Path) -> None:
    """The points were tuned, and a shipped example says that this is not what it was."""
    async with open_ruleset_services(tmp_path) as services:
        before = services.active_hash
        services.write_rules(TUNED)
        state = await services.service.reload("eva")
        assert services.active_hash == before
        assert state.rejected is not None
        assert "The example `not answered` fails: score should be 65" in state.rejected.problems[0]
        [event] = services.events_of_type("rules.rejected")
        assert (event.subject, event.data) == (before, {"problems": state.rejected.problems})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("vetoes: [\n", "gate.yaml:2:1: This is not valid YAML"),
        (FORMAT + "vetoes: [{id: x, reason: r, when: {prospect.mood: 1}}]\n", "gate.yaml:2:"),
        (
            FORMAT + "vetoes: [{id: x, reason: r, when: {message.links: 9}, route: simulatd}]\n",
            "gate.yaml:2:62: No channel `simulatd` is installed, but manual, simulated (did you",
        ),
        (
            FORMAT + "lists:\n  bad: ['(a+)+$']\nvetoes:\n  - {id: x, reason: r, when: "
            "{message.text|matches: {list: bad}}}\n",
            "gate.yaml:3:9: `(a+)+$` could search for ever",
        ),
    ],
)
async def test_what_is_wrong_is_told_with_file_line_and_column(
    tmp_path: Path, text: str, problem: str
) -> None:
    """Broken YAML, a fact or a channel that does not exist, a pattern that would hang."""
    async with open_ruleset_services(tmp_path) as services:
        before = services.active_hash
        services.write_rules(text)
        state = await services.service.reload("eva")
        assert state.rejected is not None
        assert problem in state.rejected.problems[0]
        assert (services.active_hash, await services.count_activations()) == (before, 0)


async def test_the_same_problems_are_told_once(tmp_path: Path) -> None:
    """A second save that mends nothing is no news; mending it clears the refusal."""
    async with open_ruleset_services(tmp_path) as services:
        services.write_rules("- no rules\n")
        await services.service.reload("eva")
        await services.service.reload("eva")
        assert len(services.events_of_type("rules.rejected")) == 1
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        assert (await services.service.reload("eva")).rejected is None


async def test_a_remark_goes_with_the_file_it_was_about(tmp_path: Path) -> None:
    """Nobody is sent to a line that is not there any more."""
    waits = "lists: {forbidden_phrases: ['casino']}\n"
    unshown = "vetoes: [{id: b, reason: r, when: {message.links|gte: 9}}]\n"
    async with open_ruleset_services(tmp_path) as services:
        services.write_rules(FORMAT + waits + unshown)
        state = await services.service.reload("eva")
        assert "No example under `tests` shows `b` at work" in "".join(state.warnings)
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        assert (await services.service.reload("eva")).warnings == ()


async def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    """It is not passed over: what it would forbid is not known."""
    async with open_ruleset_services(tmp_path) as services:
        (tmp_path / "rules.d" / "gate.yaml").write_bytes(b"\xff\xfe")
        state = await services.service.reload("eva")
        assert state.rejected is not None
        assert "not UTF-8" in state.rejected.problems[0]


async def test_a_trial_that_hangs_is_given_up_and_the_loop_turns_meanwhile(tmp_path: Path) -> None:
    """Whatever spins in the child, the daemon goes on."""
    async with open_ruleset_services(tmp_path, RuleCheckProcess(0.5, "both", HANG)) as services:
        services.write_rules(TUNED)
        reload = asyncio.create_task(services.service.reload("eva"))
        turns = 0
        while not reload.done():
            await asyncio.sleep(0.01)
            turns += 1
        rejected = (await reload).rejected
        assert turns > 5
        assert rejected is not None
        assert "it took longer than 0.5 s, while reading here" in rejected.problems[0]
        assert rejected.problems[0].startswith(str(tmp_path / "rules.d" / "gate.yaml"))


@pytest.mark.parametrize(
    ("program", "failure"),
    [
        ("", "ended before it had answered in full"),
        ("print('no answer')", "answered something that is no answer"),
        ("print('x' * (2**24 + 1))", "answered with a line of more than 16 MiB"),
        ('print(\'{"kind": "end"}\')', "answered nothing"),
    ],
)
async def test_a_trial_that_dies_or_talks_nonsense_is_a_problem(
    tmp_path: Path, program: str, failure: str
) -> None:
    """An engine may kill the child; it does not kill the daemon."""
    async with open_ruleset_services(
        tmp_path, RuleCheckProcess(10, "both", (sys.executable, "-c", program))
    ) as services:
        services.write_rules(TUNED)
        rejected = (await services.service.reload("eva")).rejected
        assert rejected is not None
        assert f"the process that tried them {failure}" in rejected.problems[0]


@pytest.mark.parametrize(
    ("text", "word"),
    [(RELAXED_WITH_EXAMPLE, "rules.awaiting_acceptance"), ("vetoes: [", "rules.rejected")],
)
async def test_rules_are_told_by_a_later_reload_where_the_first_could_not_store_that(
    tmp_path: Path, text: str, word: str
) -> None:
    """The disk was full when they were saved: nobody would ever hear of them."""
    async with open_ruleset_services(tmp_path) as services:
        services.write_rules(text)
        services.database.refuse_writes(DiskFull("The disk is full.", "Free some space."))
        with pytest.raises(DiskFull):
            await services.service.reload("eva")
        services.database.accept_writes()
        for _ in range(2):
            state = await services.service.reload("eva")
        assert state.waiting or state.rejected
        assert len(services.events_of_type(word)) == 1


async def test_a_relaxed_veto_waits_for_a_person(tmp_path: Path) -> None:
    """It is told what changed, and goes live when somebody says so, with a reason."""
    async with open_ruleset_services(tmp_path) as services:
        before = services.active_hash
        services.write_rules(RELAXED_WITH_EXAMPLE)
        state = await services.service.reload("eva")
        assert state.rejected is None, state.rejected
        assert state.waiting is not None
        assert services.active_hash == before
        assert "link_to_a_stranger: when: " in state.waiting.changes[0]
        [event] = services.events_of_type("rules.awaiting_acceptance")
        assert event.subject == state.waiting.hash
        await services.clock.leap(3600)
        assert (await services.service.reload("eva")).waiting == state.waiting
        assert len(services.events_of_type("rules.awaiting_acceptance")) == 1

        with pytest.raises(NotFound, match="No rules of the hash ffff"):
            await services.service.accept("ffff", "ada", "why not")
        accepted = await services.service.accept(
            state.waiting.hash[:12], "ada", "they asked for it"
        )
        assert (accepted.gate.hash, accepted.waiting) == (state.waiting.hash, None)
        entry = await services.database.read(
            lambda reader: rulesets.get_latest_activation(reader, "leadmaster/gate@1")
        )
        assert entry is not None
        assert (entry.how, entry.who, entry.reason) == (
            RulesetActivationKind.ACCEPTED,
            "ada",
            "they asked for it",
        )
        [audited] = await services.database.read(
            lambda r: audit.list_subject_audit_entries(r, accepted.gate.hash)
        )
        assert (audited.who, audited.action) == ("ada", "rules_accepted")


async def test_a_start_takes_the_last_accepted_set(tmp_path: Path) -> None:
    """What waits for a person waits after a restart too, and what is broken stays out."""
    async with open_ruleset_services(tmp_path) as services:
        services.write_rules(
            FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n"
        )
        await services.service.reload("eva")
        accepted = services.active_hash
        assert await services.count_activations() == 1
        services.write_rules("- broken\n")
    async with open_ruleset_services(tmp_path) as services:
        assert services.active_hash == accepted
        assert services.service.get_status().rejected is not None
        assert [veto.id for veto in services.rulesets.gate.ruleset.vetoes][-1] == "many"


async def test_a_first_start_lets_a_relaxed_folder_wait(tmp_path: Path) -> None:
    """Nobody has accepted it: the shipped rules hold until somebody does."""
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "gate.yaml").write_text(FORMAT + "score: {max: 99}\n")
    async with open_ruleset_services(tmp_path) as services:
        waiting = services.service.get_status().waiting
        assert waiting is not None
        assert waiting.changes == ("score max: 100 → 99",)
        assert services.active_hash != waiting.hash


MANY = FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n"
MORE = FORMAT + "vetoes: [{id: more, reason: r, when: {message.links|gte: 8}}]\n"


async def test_undoing_a_change_gives_the_file_its_former_text(tmp_path: Path) -> None:
    """The text that was in force before, and the audit says so; a new file is set aside."""
    folder = tmp_path / "rules.d"
    async with open_ruleset_services(tmp_path) as services:
        shipped = services.active_hash
        services.write_rules(MANY)
        await services.service.reload("eva")
        many = services.active_hash
        services.write_rules(MORE)
        await services.service.accept((await _get_waiting_hash(services)), "ada", "instead")
        state = await services.service.rollback(many, "ada", "the former one")
        assert (services.active_hash, state.waiting) == (many, None)
        assert (folder / "gate.yaml").read_text(encoding="utf-8") == MANY
        noted, *_ = await services.database.read(lambda r: audit.list_audit_entries(r, limit=1))
        assert (noted.entry.action, noted.entry.detail) == (
            "rule_files_restored",
            {"files": [str(folder / "gate.yaml")]},
        )
        state = await services.service.rollback(shipped, "ada", "none of them")
        assert (services.active_hash, state.waiting) == (shipped, None)
        assert {each.name: each.read_text("utf-8") for each in folder.iterdir()} == {
            "gate.yaml.undone": MANY
        }
    async with open_ruleset_services(tmp_path) as services:
        assert (services.active_hash, services.service.get_status().waiting) == (shipped, None)


async def test_what_waits_is_taken_out_of_the_folder(tmp_path: Path) -> None:
    """The file gets the text in force, the other is kept beside, and the audit says so."""
    folder = tmp_path / "rules.d"
    async with open_ruleset_services(tmp_path) as services:
        shipped = services.active_hash
        services.write_rules(FORMAT + "score: {max: 99}\n")
        with pytest.raises(NotFound, match="waiting to be accepted"):
            await services.service.discard("0000", "ada", "typo")
        waiting = await _get_waiting_hash(services)
        state = await services.service.discard(waiting, "ada", "too lax")
        assert (services.active_hash, state.waiting) == (shipped, None)
        assert [each.name for each in folder.iterdir()] == ["gate.yaml.undone"]
        noted, *_ = await services.database.read(lambda r: audit.list_audit_entries(r, limit=1))
        assert (noted.entry.action, noted.entry.who, noted.entry.reason) == (
            "rules_taken_out",
            "ada",
            "too lax",
        )
        services.write_rules(MANY)
        await services.service.reload("eva")
        services.write_rules(MORE)
        waiting = await _get_waiting_hash(services)
        services.write_rules(f"# mine\n{MORE}")
        with pytest.raises(Conflict, match="Nothing was taken out"):
            await services.service.discard(waiting, "ada", "edited meanwhile")
        assert (folder / "gate.yaml").read_text(encoding="utf-8") == f"# mine\n{MORE}"
        await services.service.discard(await _get_waiting_hash(services), "ada", "no")
        assert (folder / "gate.yaml").read_text(encoding="utf-8") == MANY
        kept = (folder / "gate.yaml.undone").read_text(encoding="utf-8")
        assert kept == f"# mine\n{MORE}"


async def test_the_history_says_what_each_set_changed(tmp_path: Path) -> None:
    """In words; of the first, and of what this version can't read, nothing."""
    async with open_ruleset_services(tmp_path) as services:
        services.write_rules(MANY)
        await services.service.reload("eva")
        services.write_rules(MORE)
        await services.service.accept((await _get_waiting_hash(services)), "ada", "instead")
        newest, loaded, *first = await services.database.read(lambda r: history.list_history(r, 9))
        assert [change.sentence for change in newest.changes or ()] == ["is new", "is gone"]
        assert [(each.section, each.name) for each in loaded.changes or ()] == [("vetoes", "many")]
        assert [each.changes for each in first] == [None, None]
        assert [each.is_newest for each in (newest, loaded)] == [True, False]
        await services.database.write(
            lambda tx: tx.execute(
                "UPDATE rulesets SET files = '[]' WHERE hash = ?", [newest.activation.hash]
            )
        )
        unreadable, *_ = await services.database.read(lambda r: history.list_history(r, 1))
        assert unreadable.changes is None


async def test_a_set_that_was_live_can_come_back_and_its_undoing_lasts(tmp_path: Path) -> None:
    """A file that was edited meanwhile stays: not even a restart brings it back by itself."""
    async with open_ruleset_services(tmp_path) as services:
        before = services.active_hash
        services.write_rules(MANY)
        await services.service.reload("eva")
        services.write_rules(f"# mine\n{MANY}")
        state = await services.service.rollback(before[:10], "ada", "too strict")
        assert (state.gate.hash, services.active_hash, await services.count_activations()) == (
            before,
            before,
            2,
        )
        assert state.waiting is not None
        assert state.waiting.undone
        assert state.waiting.differs == (str(tmp_path / "rules.d" / "gate.yaml"),)
        again = (await services.service.reload("eva")).waiting
        assert (again is not None and again.undone, services.active_hash) == (True, before)
        with pytest.raises(Conflict, match="in force already"):
            await services.service.rollback(before, "ada", "again")
        with pytest.raises(NotFound, match="ever in force"):
            await services.service.rollback("0000", "ada", "typo")
        with pytest.raises(Conflict, match="Several rule sets"):
            await services.service.rollback("", "ada", "typo")
    async with open_ruleset_services(tmp_path) as services:
        waiting = services.service.get_status().waiting
        assert (services.active_hash, waiting is not None) == (before, True)


async def test_after_a_rollback_nothing_of_the_folder_goes_live_by_itself(tmp_path: Path) -> None:
    """Not even what would need nobody: it is another thing than what a person asked for."""
    async with open_ruleset_services(tmp_path) as services:
        shipped = services.active_hash
        services.write_rules(MANY)
        await services.service.reload("eva")
        many = services.active_hash
        services.write_rules(MORE)
        await services.service.accept((await _get_waiting_hash(services)), "ada", "instead")
        services.write_rules(f"# mine\n{MORE}")
        state = await services.service.rollback(shipped, "ada", "neither")
        assert state.waiting is not None
        assert state.waiting.undone
        services.write_rules(MANY)
        await services.service.reload("eva")
        assert services.active_hash == many
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        await services.service.accept((await _get_waiting_hash(services)), "ada", "back")
        services.write_rules(
            TUNED + EXAMPLES.replace("expect: {verdict: review}", "expect: {score: 60}", 1)
        )
        state = await services.service.rollback(many, "ada", "the second one")
        assert (services.active_hash, state.waiting is not None and state.waiting.undone) == (
            many,
            True,
        )


async def _get_waiting_hash(services: RulesetServices) -> str:
    waiting = (await services.service.reload("eva")).waiting
    assert waiting is not None
    return waiting.hash


async def test_a_rollback_to_what_fails_its_trial_is_refused(tmp_path: Path) -> None:
    """A set of an older version may name facts that are gone."""
    async with open_ruleset_services(tmp_path) as services:
        await services.database.write(
            lambda tx: rulesets.insert_ruleset(
                tx,
                hash_="abcd",
                format_="leadmaster/gate@1",
                files=[rulesets.RulesetFile("old.yaml", "- old\n", own=False)],
                at=FakeClock().now(),
                who="daemon",
            )
        )
        with pytest.raises(RulesRejected, match=r"old\.yaml:1:1"):
            await services.service.rollback("abcd", "ada", "try")


async def test_accepted_rules_that_can_not_be_read_any_more_leave_the_shipped_ones(
    tmp_path: Path,
) -> None:
    """After an upgrade, say: the daemon starts, and is as strict as it was shipped."""
    async with open_ruleset_services(tmp_path) as services:
        shipped = services.active_hash
        await services.database.write(_store_unreadable_ruleset)
    async with open_ruleset_services(tmp_path) as services:
        assert services.active_hash == shipped


def _store_unreadable_ruleset(tx: Tx) -> None:
    at = FakeClock().now()
    files = [rulesets.RulesetFile("old.yaml", FORMAT + "vetos: []\n", own=False)]
    rulesets.insert_ruleset(
        tx, hash_="abcd", format_="leadmaster/gate@1", files=files, at=at, who="x"
    )
    rulesets.insert_activation(
        tx,
        at=at,
        format_="leadmaster/gate@1",
        hash_="abcd",
        how=RulesetActivationKind.LOADED,
        who="x",
    )


async def test_a_shadow_stands_beside_the_live_set(tmp_path: Path) -> None:
    """Its own problems are its own, and taking the folder away ends it."""
    shadow = tmp_path / "shadow.d"
    shadow.mkdir()
    (shadow / "gate.yaml").write_text(
        FORMAT
        + "thresholds: [{verdict: allow, from: 90}]\n"
        + ("override: true\nscore: {base: prospect.score_contactabilidad, min: 0, max: 100}\n")
    )
    async with open_ruleset_services(tmp_path) as services:
        assert services.service.get_status().shadow_problems
        (shadow / "gate.yaml").write_text(
            FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n"
        )
        state = await services.service.reload("eva")
        assert state.shadow is not None
        assert (state.shadow.engine, state.shadow_problems) == ("reference", ())
        assert state.shadow.hash != services.active_hash
        (shadow / "gate.yaml").write_bytes(b"\xff")
        state = await services.service.reload("eva")
        assert "not UTF-8" in state.shadow_problems[0]
        assert state.shadow is not None
        (shadow / "gate.yaml").unlink()
        assert (await services.service.reload("eva")).shadow is None


async def test_both_formats_are_needed() -> None:
    """Files that replace the shipped ones must still make a gate and a score."""
    settings = RulesSettings(gate=(str(events.__file__),))
    with pytest.raises(RulesRejected):
        ActiveRulesets.load(settings)


def test_the_child_answers_line_by_line() -> None:
    """How far it is, then what came of it; files that make no rulebook are its answer too."""
    files = rule_files.read_shipped_files(RulesSettings())
    for text, problems in (("", 0), (FORMAT + "vetos: []\n", 1)):
        own = [rules.RuleFile("rules.d/gate.yaml", text, own=True)] if text else []
        asked = check_process.RuleCheckRequest(
            tuple(map(rule_files.to_rule_file_content, (*files, *own))), "reference"
        )
        answers = io.BytesIO()
        check_process.main(io.BytesIO(encode_frame(Request(asked))), answers)
        frames = map(check_process.PROTOCOL.decode_frame, answers.getvalue().splitlines())
        *stages, last, end = [each for each in frames if not isinstance(each, Heartbeat)]
        assert all(isinstance(stage, Progress) for stage in stages)
        assert (len(stages) > 0) is (problems == 0)
        assert isinstance(last, Answer)
        assert len(last.body.problems) == problems
        assert (last.body.examples > 0) is (problems == 0)
        assert end == End()


def test_a_rulebook_needs_both_formats() -> None:
    """One file of one format is half of it."""
    with pytest.raises(rules.RulesInvalid, match=r"score\.yaml is missing"):
        rule_files.build_ruleset_pair(
            rules.load_rulesets(rule_files.read_shipped_files(RulesSettings())[:1])
        )
