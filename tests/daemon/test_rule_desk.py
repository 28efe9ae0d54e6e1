"""The rules' desk: what an operator saves goes live, waits for a person, or is refused."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import rules
from daemon import events
from daemon.errors import Conflict, NotFound, RulesRejected
from daemon.rulebook import Rulebook, RuleDesk, folder, lines, worker
from daemon.rulebook.trial import Trial
from daemon.settings import RulesSettings
from storage import audit, guards, rulesets
from storage.db import Database
from storage.events import CommittedEvent
from storage.migrations import migrations
from storage.rulesets import RulesetActivationKind
from storage.tx import Reader, Tx
from tests.helpers.clock import FakeClock

FORMAT = "format: leadmaster/gate@1\n"
TUNED = FORMAT + "scores: [{id: unanswered, points: -20}]\n"
EXAMPLES = (
    "tests:\n"
    "  - {name: not answered, expect: {verdict: review}}\n"
    '  - {name: "not answered, and the same text as everybody\'s, counts 25 together",'
    " expect: {verdict: review}}\n"
)
RELAXED = FORMAT + "vetoes: [{id: link_to_a_stranger, when: {message.links|gte: 5}}]\n"
CHANNELS = ("manual", "simulated")
HANG = (sys.executable, "-c", "while True: pass")


@dataclass
class Small:
    """A desk over a database and an operator's folder, without a daemon around it."""

    folder: Path
    database: Database
    rulebook: Rulebook
    desk: RuleDesk
    published: list[CommittedEvent] = field(default_factory=list)
    swaps: int = 0

    def save(self, text: str, name: str = "gate.yaml") -> None:
        """Write a file into the operator's folder."""
        (self.folder / "rules.d" / name).write_text(text, encoding="utf-8")

    def told(self, word: str) -> list[CommittedEvent]:
        """Return the events of one kind."""
        return [event for event in self.published if event.type == word]

    @property
    def live(self) -> str:
        """Return the hash of the gate in force."""
        return self.rulebook.gate.ruleset.hash


@contextlib.asynccontextmanager
async def desk_of(folder: Path, trial: Trial | None = None) -> AsyncIterator[Small]:
    """Open a desk on a folder, as the daemon does at its start."""
    (folder / "rules.d").mkdir(exist_ok=True)
    settings = RulesSettings(dir=str(folder / "rules.d"), shadow=str(folder / "shadow.d"))
    published: list[CommittedEvent] = []
    database = await Database.open(
        folder / "state", migrations=migrations, on_events=published.extend, at_open=guards.install
    )
    rulebook = Rulebook.load(settings)
    desk = RuleDesk(database, rulebook, FakeClock(), settings, CHANNELS, trial)
    small = Small(folder, database, rulebook, desk, published)

    async def swapped() -> None:
        small.swaps += 1

    desk.on_swap = swapped
    try:
        await desk.restore()
        yield small
    finally:
        await database.close()


async def test_without_files_of_ones_own_the_shipped_rules_are_live(tmp_path: Path) -> None:
    """They are kept by hash, and so is how they came."""
    async with desk_of(tmp_path) as small:
        state = small.desk.state()
        assert (state.waiting, state.rejected, state.shadow) == (None, None, None)
        assert [Path(file).name for file in state.gate.files] == ["gate.yaml"]
        found = await small.database.read(lambda reader: rulesets.history(reader, 5))
        assert {(each.format, each.how, each.who) for each in found} == {
            ("leadmaster/gate@1", RulesetActivationKind.LOADED, "daemon"),
            ("leadmaster/score@1", RulesetActivationKind.LOADED, "daemon"),
        }


async def test_tuned_points_go_live_at_once(tmp_path: Path) -> None:
    """One swap, one event for each set, and the new hash everywhere."""
    async with desk_of(tmp_path) as small:
        before = small.live
        small.save(TUNED + EXAMPLES.replace("expect: {verdict: review}", "expect: {score: 60}", 1))
        state = await small.desk.reload("eva")
        assert state.rejected is None, state.rejected
        assert state.gate.hash == small.live != before
        assert small.swaps == 1
        last = small.told("rules.loaded")[-2]
        assert (last.subject, last.data["who"]) == (small.live, "eva")


async def test_a_failing_example_keeps_the_last_good_set(tmp_path: Path) -> None:
    """The points were tuned, and a shipped example says that this is not what it was."""
    async with desk_of(tmp_path) as small:
        before = small.live
        small.save(TUNED)
        state = await small.desk.reload("eva")
        assert small.live == before
        assert state.rejected is not None
        assert "The example `not answered` fails: score should be 65" in state.rejected.problems[0]
        [event] = small.told("rules.rejected")
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
    async with desk_of(tmp_path) as small:
        before = small.live
        small.save(text)
        state = await small.desk.reload("eva")
        assert state.rejected is not None
        assert problem in state.rejected.problems[0]
        assert (small.live, small.swaps) == (before, 0)


async def test_the_same_problems_are_told_once(tmp_path: Path) -> None:
    """A second save that mends nothing is no news; mending it clears the refusal."""
    async with desk_of(tmp_path) as small:
        small.save("- no rules\n")
        await small.desk.reload("eva")
        await small.desk.reload("eva")
        assert len(small.told("rules.rejected")) == 1
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        assert (await small.desk.reload("eva")).rejected is None


async def test_a_remark_goes_with_the_file_it_was_about(tmp_path: Path) -> None:
    """Nobody is sent to a line that is not there any more."""
    waits = "lists: {forbidden_phrases: ['casino']}\n"
    unshown = "vetoes: [{id: b, reason: r, when: {message.links|gte: 9}}]\n"
    async with desk_of(tmp_path) as small:
        small.save(FORMAT + waits + unshown)
        state = await small.desk.reload("eva")
        assert "No example under `tests` shows `b` at work" in "".join(state.warnings)
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        assert (await small.desk.reload("eva")).warnings == ()


async def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    """It is not passed over: what it would forbid is not known."""
    async with desk_of(tmp_path) as small:
        (tmp_path / "rules.d" / "gate.yaml").write_bytes(b"\xff\xfe")
        state = await small.desk.reload("eva")
        assert state.rejected is not None
        assert "not UTF-8" in state.rejected.problems[0]


async def test_a_trial_that_hangs_is_given_up_and_the_loop_turns_meanwhile(tmp_path: Path) -> None:
    """Whatever spins in the child, the daemon goes on."""
    async with desk_of(tmp_path, Trial(0.5, "both", HANG)) as small:
        small.save(TUNED)
        reload = asyncio.create_task(small.desk.reload("eva"))
        turns = 0
        while not reload.done():
            await asyncio.sleep(0.01)
            turns += 1
        rejected = (await reload).rejected
        assert turns > 5
        assert rejected is not None
        assert "it took longer than 0.5 s, while reading here" in rejected.problems[0]
        assert rejected.problems[0].startswith(str(tmp_path / "rules.d" / "gate.yaml"))


@pytest.mark.parametrize("program", ["", "print('no answer')"])
async def test_a_trial_that_dies_or_talks_nonsense_is_a_problem(
    tmp_path: Path, program: str
) -> None:
    """An engine may kill the child; it does not kill the daemon."""
    async with desk_of(tmp_path, Trial(10, "both", (sys.executable, "-c", program))) as small:
        small.save(TUNED)
        rejected = (await small.desk.reload("eva")).rejected
        assert rejected is not None
        assert "the process that tried them died" in rejected.problems[0]


async def test_a_relaxed_veto_waits_for_a_person(tmp_path: Path) -> None:
    """It is told what changed, and goes live when somebody says so, with a reason."""
    async with desk_of(tmp_path) as small:
        before = small.live
        small.save(
            RELAXED + "tests: [{name: no link in the one message to a stranger, given: "
            "{prospect.permission: public_source, session.channel: manual, "
            "message.links: 5}}]\n"
        )
        state = await small.desk.reload("eva")
        assert state.rejected is None, state.rejected
        assert state.waiting is not None
        assert small.live == before
        assert "link_to_a_stranger: when: " in state.waiting.changes[0]
        [event] = small.told("rules.awaiting_acceptance")
        assert event.subject == state.waiting.hash
        await small.desk.reload("eva")
        assert len(small.told("rules.awaiting_acceptance")) == 1

        with pytest.raises(NotFound, match="No rules of the hash ffff"):
            await small.desk.accept("ffff", "ada", "why not")
        accepted = await small.desk.accept(state.waiting.hash[:12], "ada", "they asked for it")
        assert (accepted.gate.hash, accepted.waiting) == (state.waiting.hash, None)
        entry = await small.database.read(lambda reader: rulesets.live(reader, "leadmaster/gate@1"))
        assert entry is not None
        assert (entry.how, entry.who, entry.reason) == (
            RulesetActivationKind.ACCEPTED,
            "ada",
            "they asked for it",
        )
        [audited] = await small.database.read(lambda r: audit.of_subject(r, accepted.gate.hash))
        assert (audited.who, audited.action) == ("ada", "rules_accepted")


async def test_a_start_takes_the_last_accepted_set(tmp_path: Path) -> None:
    """What waits for a person waits after a restart too, and what is broken stays out."""
    async with desk_of(tmp_path) as small:
        small.save(FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n")
        await small.desk.reload("eva")
        accepted = small.live
        assert small.swaps == 1
        small.save("- broken\n")
    async with desk_of(tmp_path) as small:
        assert small.live == accepted
        assert small.desk.state().rejected is not None
        assert [veto.id for veto in small.rulebook.gate.ruleset.vetoes][-1] == "many"


async def test_a_first_start_lets_a_relaxed_folder_wait(tmp_path: Path) -> None:
    """Nobody has accepted it: the shipped rules hold until somebody does."""
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "gate.yaml").write_text(FORMAT + "score: {max: 99}\n")
    async with desk_of(tmp_path) as small:
        waiting = small.desk.state().waiting
        assert waiting is not None
        assert waiting.changes == ("score max: 100 → 99",)
        assert small.live != waiting.hash


async def test_a_set_that_was_live_can_come_back_and_its_undoing_lasts(tmp_path: Path) -> None:
    """The folder still says the other thing: a restart does not bring that back by itself."""
    async with desk_of(tmp_path) as small:
        before = small.live
        small.save(FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n")
        await small.desk.reload("eva")
        state = await small.desk.rollback(before[:10], "ada", "too strict")
        assert (state.gate.hash, small.live, small.swaps) == (before, before, 2)
        assert state.waiting is not None
        assert state.waiting.undone
        assert state.waiting.differs == (str(tmp_path / "rules.d" / "gate.yaml"),)
        again = (await small.desk.reload("eva")).waiting
        assert (again is not None and again.undone, small.live) == (True, before)
        with pytest.raises(Conflict, match="live already"):
            await small.desk.rollback(before, "ada", "again")
        with pytest.raises(NotFound, match="ever live"):
            await small.desk.rollback("0000", "ada", "typo")
        with pytest.raises(Conflict, match="Several rule sets"):
            await small.desk.rollback("", "ada", "typo")
    async with desk_of(tmp_path) as small:
        waiting = small.desk.state().waiting
        assert (small.live, waiting is not None) == (before, True)


async def test_after_a_rollback_nothing_of_the_folder_goes_live_by_itself(tmp_path: Path) -> None:
    """Not even what would need nobody: it is another thing than what a person asked for."""
    async with desk_of(tmp_path) as small:
        shipped = small.live
        small.save(FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n")
        await small.desk.reload("eva")
        many = small.live
        small.save(FORMAT + "vetoes: [{id: more, reason: r, when: {message.links|gte: 8}}]\n")
        await small.desk.accept((await _waiting(small)), "ada", "instead")
        state = await small.desk.rollback(shipped, "ada", "neither")
        assert state.waiting is not None
        assert state.waiting.undone
        small.save(FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n")
        await small.desk.reload("eva")
        assert small.live == many
        (tmp_path / "rules.d" / "gate.yaml").unlink()
        await small.desk.accept((await _waiting(small)), "ada", "back")
        small.save(TUNED + EXAMPLES.replace("expect: {verdict: review}", "expect: {score: 60}", 1))
        state = await small.desk.rollback(many, "ada", "the second one")
        assert (small.live, state.waiting is not None and state.waiting.undone) == (many, True)


async def _waiting(small: Small) -> str:
    waiting = (await small.desk.reload("eva")).waiting
    assert waiting is not None
    return waiting.hash


async def test_a_rollback_to_what_fails_its_trial_is_refused(tmp_path: Path) -> None:
    """A set of an older version may name facts that are gone."""
    async with desk_of(tmp_path) as small:
        await small.database.write(
            lambda tx: rulesets.add(
                tx,
                hash_="abcd",
                format_="leadmaster/gate@1",
                files=[rulesets.RulesetFile("old.yaml", "- old\n", own=False)],
                at=FakeClock().now(),
                who="daemon",
            )
        )
        with pytest.raises(RulesRejected, match=r"old\.yaml:1:1"):
            await small.desk.rollback("abcd", "ada", "try")


async def test_accepted_rules_that_can_not_be_read_any_more_leave_the_shipped_ones(
    tmp_path: Path,
) -> None:
    """After an upgrade, say: the daemon starts, and is as strict as it was shipped."""
    async with desk_of(tmp_path) as small:
        shipped = small.live
        await small.database.write(_strange)
    async with desk_of(tmp_path) as small:
        assert small.live == shipped


def _strange(tx: Tx) -> None:
    at = FakeClock().now()
    files = [rulesets.RulesetFile("old.yaml", FORMAT + "vetos: []\n", own=False)]
    rulesets.add(tx, hash_="abcd", format_="leadmaster/gate@1", files=files, at=at, who="x")
    rulesets.went_live(
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
    async with desk_of(tmp_path) as small:
        assert small.desk.state().shadow_problems
        (shadow / "gate.yaml").write_text(
            FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n"
        )
        state = await small.desk.reload("eva")
        assert state.shadow is not None
        assert (state.shadow.engine, state.shadow_problems) == ("reference", ())
        assert state.shadow.hash != small.live
        (shadow / "gate.yaml").write_bytes(b"\xff")
        state = await small.desk.reload("eva")
        assert "not UTF-8" in state.shadow_problems[0]
        assert state.shadow is not None
        (shadow / "gate.yaml").unlink()
        assert (await small.desk.reload("eva")).shadow is None


async def test_both_formats_are_needed() -> None:
    """Files that replace the shipped ones must still make a gate and a score."""
    settings = RulesSettings(gate=(str(events.__file__),))
    with pytest.raises(RulesRejected):
        Rulebook.load(settings)


def test_the_child_answers_line_by_line() -> None:
    """How far it is, then what came of it; files that make no rulebook are its answer too."""
    files = folder.shipped(RulesSettings())
    for text, problems in (("", 0), (FORMAT + "vetos: []\n", 1)):
        own = [rules.RuleFile("rules.d/gate.yaml", text, own=True)] if text else []
        asked = lines.Request(tuple(map(lines.plain, (*files, *own))), "reference")
        answers = io.BytesIO()
        worker.main(io.BytesIO(lines.encode(asked)), answers)
        *stages, last = map(lines.decode_answer, answers.getvalue().splitlines())
        assert all(isinstance(stage, lines.Stage) for stage in stages)
        assert isinstance(last, lines.Tried)
        assert len(last.problems) == problems
        assert (last.examples > 0) is (problems == 0)


def test_a_rulebook_needs_both_formats() -> None:
    """One file of one format is half of it."""
    with pytest.raises(rules.RulesInvalid, match=r"score\.yaml is missing"):
        folder.both(rules.load_sets(folder.shipped(RulesSettings())[:1]))


def test_sets_that_version_1_stored_can_be_read(tmp_path: Path) -> None:
    """It kept files by name alone, and they were all shipped."""
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.row_factory = sqlite3.Row
    connection.execute("CREATE TABLE rulesets (hash, format, files, loaded_at, loaded_by)")
    row = ("abcd", "f", '{"gate.yaml": "text"}', "2026-01-01T00:00:00.000Z", "daemon")
    connection.execute("INSERT INTO rulesets VALUES (?, ?, ?, ?, ?)", row)
    [found] = rulesets.find(Reader(connection), "ab")
    assert found.files == (rulesets.RulesetFile("gate.yaml", "text", own=False),)
    connection.close()
