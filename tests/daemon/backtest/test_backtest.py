"""Decisions asked about afterwards: why, what if, what others would say, what a shadow said."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

import rules
from daemon.backtest import html_report, messages, process
from daemon.backtest.process import run_backtest_process
from daemon.errors import BadRequest, NotFound
from daemon.gate.explain import VerdictExplanation, build_explanation, parse_what_if
from daemon.rulesets import rule_files
from daemon.rulesets.active import ActiveRulesets, CompiledRulesets
from daemon.rulesets.rule_files import to_rule_file_content
from daemon.settings import RulesSettings
from daemon.worker_protocol import Answer, End, Request, encode_frame
from rules.compiler import compile_rules
from storage import retention, shadow_decisions
from storage.evidence import EvidenceKind
from tests.helpers.services.messaging import ANA, BETO, MessagingServices, open_messaging_services

FORMAT = "format: leadmaster/gate@1\n"
STRICTER = FORMAT + "vetoes: [{id: no_hello, reason: r, when: {message.text|contains: Hola}}]\n"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one session, Ana, and a rulebook of its own that a test may change."""
    book = ActiveRulesets.load(RulesSettings())
    async with open_messaging_services(tmp_path, rulesets=book) as opened:
        await opened.add_session()
        await opened.add_prospect()
        yield opened


def _files(text: str = "") -> tuple[rules.RuleFile, ...]:
    own = (rules.RuleFile("rules.d/gate.yaml", text, own=True),) if text else ()
    return (*rule_files.read_shipped_files(RulesSettings()), *own)


async def _explain(
    services: MessagingServices, subject: str, **what_if: object
) -> VerdictExplanation:
    supposed = {name.replace("__", "."): value for name, value in what_if.items()}
    return await services.database.read(
        lambda reader: build_explanation(
            reader, services.rulesets, subject, supposed, services.clock.now()
        )
    )


def _build_request(
    services: MessagingServices, files: Sequence[rules.RuleFile]
) -> messages.BacktestRequest:
    return messages.BacktestRequest(
        database=str(services.database.path),
        since=services.clock.now() - timedelta(days=30),
        files=tuple(map(to_rule_file_content, files)),
        engines="both",
        examples=20,
    )


async def _backtest(
    services: MessagingServices, text: str = "", *, score: str = ""
) -> messages.BacktestReport | messages.BacktestRefusal:
    files = [*_files(text)]
    if score:
        files.append(rules.RuleFile("rules.d/score.yaml", score, own=True))
    request = _build_request(services, files)
    answers = io.BytesIO()
    process.main(io.BytesIO(encode_frame(Request(request))), answers)
    *_, last, end = map(process.PROTOCOL.decode_frame, answers.getvalue().splitlines())
    assert isinstance(last, Answer)
    assert end == End()
    return last.body


async def test_a_message_is_explained_by_the_rules_that_decided(
    services: MessagingServices,
) -> None:
    """The last word of the gate, in lines that a person reads."""
    message = await services.enqueue_and_settle()
    found = await _explain(services, message)
    assert found.verdict == "allow"
    assert found.lines[0].startswith("allow: No rule stops it")
    gate = services.rulesets.gate
    assert found.lines[-1] == f"rules {gate.ruleset.hash[:12]}, decided by {gate.engine}"
    supposed = await _explain(services, message, message__links=0)
    assert supposed.lines[-1].endswith("decided by reference")


async def test_a_decision_of_older_rules_is_explained_by_those(services: MessagingServices) -> None:
    """Although others are live by now."""
    message = await services.enqueue_and_settle()
    await services.database.write(
        lambda tx: services.rulesets.store(tx, at=services.clock.now(), who="daemon")
    )
    then = services.rulesets.gate.ruleset.hash
    services.rulesets.compiled = CompiledRulesets.compile_files(_files(STRICTER), RulesSettings())
    found = await _explain(services, message)
    assert (found.ruleset, found.verdict) == (then, "allow")
    supposed = await _explain(services, message, message__links=0)
    assert (supposed.ruleset != then, supposed.verdict) == (True, "block")


async def test_what_if_judges_the_same_facts_but_for_those(services: MessagingServices) -> None:
    """The score follows the prospect's facts, unless it is itself supposed."""
    message = await services.enqueue_and_settle()
    held = await _explain(services, message, prospect__permission="refused")
    assert (held.verdict, held.changed) == ("block", {"prospect.permission": "refused"})
    unknown = await _explain(services, message, prospect__on_whatsapp="unknown")
    assert unknown.score is not None
    assert unknown.score < 60
    told = await _explain(services, message, prospect__score_contactabilidad=12)
    assert told.score == 12


async def test_a_prospect_is_explained_by_its_last_decision_or_its_score(
    services: MessagingServices,
) -> None:
    """Who was never judged has a score all the same."""
    [(prospect,)] = await services.query_rows("SELECT id FROM prospects")
    bare = await _explain(services, str(prospect))
    assert (bare.decision, bare.verdict) == (None, None)
    assert "on_whatsapp" in " ".join(bare.lines)
    await services.enqueue_and_settle()
    assert (await _explain(services, str(prospect))).verdict == "allow"


@pytest.mark.parametrize("subject", ["msg_none", "dec_none", "pro_none", "nothing"])
async def test_what_is_not_there_is_told(services: MessagingServices, subject: str) -> None:
    """By its id."""
    with pytest.raises(NotFound, match=subject):
        await _explain(services, subject)


async def test_a_fault_explains_itself(services: MessagingServices) -> None:
    """There is no score to show: nothing was judged."""
    forgetful = rules.RuleEvaluator(
        services.rulesets.gate.ruleset, compiler=lambda _: compile_rules([])
    )
    services.rulesets.compiled = CompiledRulesets(forgetful, services.rulesets.score)
    await services.clock.leap(8 * 3600)  # at night, when a forgotten rule speaks
    found = await _explain(services, await services.enqueue_and_settle())
    assert (
        "rules could not be applied, so nothing was sent: The two engines disagree"
        in found.lines[0]
    )
    assert found.score is None


async def test_a_fault_is_compared_with_nothing(services: MessagingServices) -> None:
    """No rules said what it says."""
    forgetful = rules.RuleEvaluator(
        services.rulesets.gate.ruleset, compiler=lambda _: compile_rules([])
    )
    services.rulesets.compiled = CompiledRulesets(forgetful, services.rulesets.score)
    await services.clock.leap(8 * 3600)
    await services.enqueue_and_settle()
    found = await _backtest(services)
    assert isinstance(found, messages.BacktestReport)
    assert (found.decisions, found.left_out, found.flips) == (0, 0, {})


def test_supposed_facts_are_read_by_their_type() -> None:
    """As a person types them; nothing means missing."""
    assert parse_what_if(
        {
            "prospect.suppressed": "yes",
            "message.links": "3",
            "clock.in_window": "none",
            "prospect.on_whatsapp": "unknown",
            "prospect.intent": "",
        }
    ) == {
        "prospect.suppressed": True,
        "message.links": 3.0,
        "clock.in_window": [],
        "prospect.on_whatsapp": "unknown",
        "prospect.intent": None,
    }
    assert parse_what_if({"clock.in_window": "business,night"}) == {
        "clock.in_window": ["business", "night"]
    }


@pytest.mark.parametrize(
    ("name", "word", "hint"),
    [
        ("prospect.intnet", "weak", "Did you mean prospect.intent?"),
        ("zzz", "1", "See the facts."),
        ("prospect.intent", "strong", "It knows: none, weak, clear, asked"),
        ("message.links", "many", "It knows: 0 to 1000"),
    ],
)
def test_what_can_not_be_supposed_is_told(name: str, word: str, hint: str) -> None:
    """With the nearest fact, or what it may be."""
    with pytest.raises(BadRequest) as caught:
        parse_what_if({name: word})
    assert caught.value.hint == hint


async def test_the_same_rules_flip_nothing(services: MessagingServices) -> None:
    """And durable-rules says the same."""
    await services.enqueue_and_settle()
    found = await _backtest(services)
    assert isinstance(found, messages.BacktestReport)
    assert found.decisions == 2
    assert (found.flips, found.by_rule, found.disagreed) == ({}, (), 0)
    assert found.checked == found.decisions
    assert found.before == found.after
    assert found.scores_before == found.scores_after


async def test_a_flip_names_the_person_the_rule_and_what_became_of_it(
    services: MessagingServices,
) -> None:
    """So that whoever tunes a rule sees whom it would have stopped."""
    await services.enqueue_and_settle()
    contact = await services.resolve_contact(ANA)
    await services.clock.advance(60)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "none")
    found = await _backtest(services, STRICTER)
    assert isinstance(found, messages.BacktestReport)
    assert found.flips == {"allow → block": found.allows_less}
    assert found.allows_more == 0
    assert [(each.rule, each.allows) for each in found.by_rule] == [("no_hello", 0)]
    assert found.less == {"answered": found.allows_less}
    flip = found.examples[0]
    assert (flip.before, flip.after, flip.responsible_rules) == ("allow", "block", ("no_hello",))
    assert "••••" in flip.phone
    assert flip.outcomes == ("answered",)


async def test_a_threshold_is_named_where_no_rule_is_to_blame(services: MessagingServices) -> None:
    """The points are the same; the bar is higher."""
    await services.enqueue_and_settle()
    found = await _backtest(services, FORMAT + "thresholds: [{verdict: allow, from: 99}]\n")
    assert isinstance(found, messages.BacktestReport)
    assert [each.rule for each in found.by_rule] == ["thresholds"]


async def test_other_points_of_the_score_count_too(services: MessagingServices) -> None:
    """The candidate's own score set scores each prospect anew."""
    await services.enqueue_and_settle()
    await services.database.write(
        lambda tx: services.rulesets.store(tx, at=services.clock.now(), who="daemon")
    )
    poorer = "format: leadmaster/score@1\nscores: [{id: on_whatsapp, points: 1}]\n"
    found = await _backtest(services, score=poorer)
    assert isinstance(found, messages.BacktestReport)
    assert found.allows_less == found.before["allow"]
    assert [each.rule for each in found.by_rule] == ["prospect.score_contactabilidad"]


async def test_the_score_is_named_where_it_starts_elsewhere(services: MessagingServices) -> None:
    """No rule gives other points, and yet the score is another."""
    await services.enqueue_and_settle()
    found = await _backtest(services, FORMAT + "score: {base: 10, min: 0, max: 100}\n")
    assert isinstance(found, messages.BacktestReport)
    assert [each.rule for each in found.by_rule] == ["score"]


async def test_other_windows_are_asked_of_the_clock_anew(services: MessagingServices) -> None:
    """What was open is stored; what is open under other hours is not."""
    await services.enqueue_and_settle()
    await services.database.write(
        lambda tx: services.rulesets.store(tx, at=services.clock.now(), who="daemon")
    )
    night = 'windows: {business: {days: mon-fri, from: "22:00", to: "23:00", holidays: false}}\n'
    found = await _backtest(services, FORMAT + night)
    assert isinstance(found, messages.BacktestReport)
    assert found.flips == {"allow → defer": found.before["allow"]}
    assert [each.rule for each in found.by_rule] == ["closed"]


async def test_a_person_who_is_forgotten_keeps_the_hours_of_then(
    services: MessagingServices,
) -> None:
    """Nobody knows any more where they lived."""
    await services.enqueue_and_settle()
    await services.database.write(
        lambda tx: services.rulesets.store(tx, at=services.clock.now(), who="daemon")
    )
    later = services.clock.now() + timedelta(days=1)
    await services.database.write(lambda tx: retention.pseudonymise_decisions(tx, later, 9))
    night = 'windows: {business: {days: mon-fri, from: "22:00", to: "23:00", holidays: false}}\n'
    found = await _backtest(services, FORMAT + night)
    assert isinstance(found, messages.BacktestReport)
    assert found.flips == {}


async def test_what_no_rule_can_lift_stays_in_force(services: MessagingServices) -> None:
    """A file without any veto does not flip a block of the code's own hard limits."""
    beto = await services.add_prospect(BETO)
    await services.add_evidence(beto, EvidenceKind.DECLINED, "refused")
    await services.enqueue_and_settle(BETO)
    found = await _backtest(
        services,
        rules.DEFAULTS.joinpath("gate.yaml")
        .read_text()
        .replace(
            "when: {prospect.suppressed: true, message.kind|ne: opt_out_confirmation}",
            "when: {message.links|gte: 999}",
        )
        .split("\ntests:")[0]
        .replace("[none, refused]", "[none]"),
    )
    assert isinstance(found, messages.BacktestReport)
    assert found.allows_more == 0


async def test_a_forgotten_text_is_left_out_where_a_rule_reads_it(
    services: MessagingServices,
) -> None:
    """And counted."""
    await services.enqueue_and_settle()
    await services.execute_sql("UPDATE messages SET text = ''")
    found = await _backtest(services, STRICTER)
    assert isinstance(found, messages.BacktestReport)
    assert (found.decisions, found.left_out > 0) == (0, True)
    assert found.share_more == 0


async def test_rules_that_can_not_be_read_are_refused(services: MessagingServices) -> None:
    """With their line."""
    found = await _backtest(services, FORMAT + "vetos: []\n")
    assert isinstance(found, messages.BacktestRefusal)
    assert "rules.d/gate.yaml:2:1" in found.sentence


@pytest.mark.parametrize(
    ("program", "seconds", "sentence"),
    [
        ("", 60.0, "ended before it had answered in full"),
        ("print('x' * (2**24 + 1))", 60.0, "answered with a line of more than 16 MiB"),
        ('print(\'{"kind": "end"}\')', 60.0, "answered nothing"),
        ("import time; time.sleep(9)", 0.3, "said nothing for 0.3 s"),
    ],
)
async def test_a_child_that_dies_or_falls_silent_is_told(
    program: str, seconds: float, sentence: str
) -> None:
    """Whoever waits is not kept waiting."""
    request = messages.BacktestRequest("nowhere", datetime.now(UTC), (), "both", 0)
    command = (sys.executable, "-c", program)
    answers = [
        each async for each in run_backtest_process(request, command, silence_seconds=seconds)
    ]
    [found] = answers
    assert isinstance(found, messages.BacktestRefusal)
    assert sentence in found.sentence


async def test_a_backtest_runs_in_a_process_of_its_own(services: MessagingServices) -> None:
    """It says how far it has come, and then the same as here."""
    await services.enqueue_and_settle()
    request = _build_request(services, _files(STRICTER))
    *progress, found = [each async for each in run_backtest_process(request)]
    assert progress == [messages.BacktestProgress(2, 2)]
    here = await _backtest(services, STRICTER)
    assert isinstance(found, messages.BacktestReport)
    assert isinstance(here, messages.BacktestReport)
    assert msgspec.structs.replace(found, seconds=here.seconds) == here


async def test_a_report_is_one_page_that_loads_nothing(services: MessagingServices) -> None:
    """Names are escaped, plots are SVG, and no address stands in it."""
    await services.enqueue_and_settle()
    await services.execute_sql("UPDATE prospects SET name = '<b>Ana</b>'")
    found = await _backtest(services, STRICTER)
    assert isinstance(found, messages.BacktestReport)
    text = html_report.render_html_report(msgspec.to_builtins(found))
    assert text.count("<svg") >= 3
    assert "&lt;b&gt;Ana&lt;/b&gt;" in text
    assert "http" not in text
    empty = html_report.render_html_report(msgspec.to_builtins(await _backtest(services)))
    assert "nothing is allowed or stopped" in empty


async def test_a_shadow_is_asked_and_never_obeyed(services: MessagingServices) -> None:
    """What it would have said stands beside the decision, and is counted."""
    services.rulesets.shadow = CompiledRulesets.compile_shadow(_files(STRICTER))
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).state == "sent"
    hash_ = services.rulesets.shadow.gate.ruleset.hash
    standing = await services.database.read(
        lambda reader: shadow_decisions.get_shadow_statistics(reader, hash_)
    )
    assert standing.asked == standing.differed == len(await services.list_decisions(message))
    assert standing.flips == {"allow → block": standing.asked}
    examples = await services.database.read(
        lambda r: shadow_decisions.list_shadow_disagreements(r, hash_, 5)
    )
    assert (examples[0].message, examples[0].live, examples[0].shadow) == (
        message,
        "allow",
        "block",
    )
