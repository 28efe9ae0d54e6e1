"""The gate on real prospects: its five verdicts, its faults, and what it stores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import rules
from daemon.api import hookimpl
from daemon.api.opinions import OpinionRequest
from daemon.errors import RulesRejected
from daemon.gate.gate import EvaluationPhase
from daemon.rulesets.active import ActiveRulesets
from daemon.settings import RulesSettings
from rules.compiler import Shard, compile_rules
from rules.conditions import Condition
from rules.verdict import Defer, DeferKind, Opinion, VetoEffect
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, decisions
from storage.column_formats import format_timestamp
from storage.evidence import EvidenceKind
from tests.helpers.services.messaging import ANA, BETO, MessagingServices, open_messaging_services

S = MessageState
PLACELESS = "+80012345678"
"""An international freephone number: no zone, no country."""


@pytest.mark.parametrize(
    ("made", "state", "code"),
    [
        ({}, S.SENT, "acknowledged"),
        ({"permission": "relationship"}, S.HELD, "first_time_relationship"),
        ({"data_days": 400, "line_type": "fixed_line"}, S.SENT, "acknowledged"),
        ({"permission": None}, S.BLOCKED, "no_permission"),
        ({"permission": "refused"}, S.BLOCKED, "refused"),
        ({"validation": ValidationState.NOT_REACHABLE}, S.BLOCKED, "not_valid"),
        ({"on_whatsapp": "unknown"}, S.DEFERRED, "not_checked_yet"),
        ({"line_type": "voip", "data_days": 400}, S.BLOCKED, "score_too_low"),
        ({"permission": "public_source"}, S.CLEARED, "allowed"),
    ],
)
async def test_each_prospect_gets_the_verdict_of_the_shipped_rules(
    services: MessagingServices, made: dict[str, Any], state: MessageState, code: str
) -> None:
    """Allow, hold, block, defer and re-route, from rows alone."""
    await services.add_prospect(BETO, **made)
    message = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (message.state, message.reason_code) == (state, code)


async def test_a_stranger_without_a_prospect_is_blocked(services: MessagingServices) -> None:
    """Nobody said that we may write; that is named before what else is not known of them."""
    message = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (message.state, message.reason_code) == (S.BLOCKED, "no_permission")
    assert message.sentence == "No permission on record"


async def test_a_suppressed_stranger_is_blocked_for_the_opt_out(
    services: MessagingServices,
) -> None:
    """Not for a score that nobody has computed."""
    await services.suppress(BETO)
    message = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (message.state, message.reason_code) == (S.BLOCKED, "suppressed")


async def test_a_refusal_is_told_with_its_date(services: MessagingServices) -> None:
    """They wrote it to us: the sentence says on which day, where the number lives."""
    contact = await services.add_prospect(BETO)
    for kind in (EvidenceKind.INBOUND, EvidenceKind.DECLINED):
        await services.add_evidence(contact, kind, "refused")
    message_id = await services.enqueue_and_settle(BETO)
    message = await services.get_message(message_id)
    assert (message.state, message.reason_code) == (S.BLOCKED, "refused")
    assert message.sentence == "They said no on 2026-03-03"
    [stored, *_] = await services.list_decisions(message_id)
    assert stored.document["sentence"] == message.sentence


async def test_a_refusal_on_a_list_has_no_date(services: MessagingServices) -> None:
    """The day of an import is not the day on which they said no."""
    await services.add_prospect(BETO, permission="refused")
    message = await services.get_message(await services.enqueue_and_settle(BETO))
    assert message.sentence == "They said no"


async def test_the_explanation_is_stored_with_points_places_and_opinions(
    services: MessagingServices,
) -> None:
    """Score, raw sum, vetoes, contributions with file and line, missing facts, engine, hash."""
    await services.add_prospect(BETO, permission="relationship")
    message = await services.enqueue_and_settle(BETO)
    [stored] = await services.list_decisions(message)
    document = stored.document
    assert document["verdict"] == stored.verdict == "review"
    assert document["score"] == 80
    vetoes: Any = document["vetoes"]
    assert vetoes[0]["id"] == "first_time_relationship"
    assert "gate.yaml" in json.dumps(vetoes[0])
    assert {"raw", "contributions", "missing", "opinions", "engine", "ruleset"} <= set(document)
    assert stored.ruleset == services.rulesets.gate.ruleset.hash
    assert stored.microseconds >= 0


async def test_a_snapshot_holds_the_texts_hash_and_never_the_text(
    services: MessagingServices,
) -> None:
    """Decisions are kept longer than bodies."""
    message = await services.enqueue_and_settle(text="Palabras muy privadas")
    for stored in await services.list_decisions(message):
        kept = json.dumps([stored.facts, stored.document], ensure_ascii=False)
        assert "privadas" not in kept
        assert stored.facts["message.text"] == f"sha256:{stored.body_hash}"
        assert ANA not in kept


async def test_the_same_snapshot_and_hash_give_the_same_verdict_always(
    services: MessagingServices,
) -> None:
    """A stored decision can be repeated from what was stored with it."""
    for number, made in enumerate(
        ({}, {"permission": "relationship"}, {"permission": None}, {"on_whatsapp": "unknown"})
    ):
        to = f"+549114555100{number}"
        await services.add_prospect(to, **made)  # type: ignore[arg-type]
        [first, *_] = await services.list_decisions(
            await services.enqueue_and_settle(to, f"Hola número {number}")
        )
        again = services.rulesets.gate.decide(first.facts).to_dict()
        assert json.loads(json.dumps(again)) == first.document


async def test_the_score_is_computed_anew_whatever_the_column_says(
    services: MessagingServices,
) -> None:
    """The column is the last value; the gate trusts the evidence."""
    await services.execute_sql("UPDATE prospects SET score_contactabilidad = 5")
    [first, *_] = await services.list_decisions(await services.enqueue_and_settle())
    assert first.facts["prospect.score_contactabilidad"] == 80


async def test_a_contact_whose_words_a_person_should_read_is_held(
    services: MessagingServices,
) -> None:
    """The core's own opinion, with the reason that the listener gave; approval ends it."""
    contact = await services.resolve_contact(ANA)
    await services.database.write(
        lambda tx: contacts.request_contact_review(
            tx, contact, "Baja el precio?", services.clock.now()
        )
    )
    message = await services.enqueue_and_settle()
    found = await services.get_message(message)
    assert (found.state, found.sentence) == (S.HELD, "Baja el precio?")
    await services.review.approve(message, "eva", "she wants to buy")
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


class OpinionPlugin:
    """A plugin that answers what it is told to."""

    def __init__(self, answer: object = None, error: BaseException | None = None) -> None:
        self.answer = answer
        self.error = error
        self.seen: list[OpinionRequest] = []

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> object:
        """Answer, raise, or keep silent."""
        self.seen.append(request)
        if self.error is not None:
            raise self.error
        if self.answer == "late":
            await asyncio.sleep(1)
        return self.answer


async def judged_by(tmp_path: Path, plugin: OpinionPlugin) -> tuple[MessageState, str]:
    """Post a message that only this plugin may object to."""
    limit = 0.02 if plugin.answer == "late" else 30.0
    async with open_messaging_services(
        tmp_path, plugins={"strict": plugin}, plugin_limit=limit
    ) as services:
        await services.add_session()
        await services.add_prospect()
        posted = await services.enqueue_and_settle()
        if plugin.answer == "late":
            await asyncio.sleep(0.05)  # the limit of a plugin is real time
            await services.clock.settle()
        message = await services.get_message(posted)
        assert services.wire.sends == [] or message.state is S.SENT
        return message.state, message.reason_code


@pytest.mark.parametrize(
    ("opinion", "expected"),
    [
        (None, (S.SENT, "acknowledged")),
        (Opinion("strict", VetoEffect.BLOCK, "No"), (S.BLOCKED, "plugin_opinion")),
        (Opinion("strict", VetoEffect.HOLD, "Look"), (S.HELD, "plugin_opinion")),
        (
            Opinion("strict", VetoEffect.DEFER, "Later", Defer(DeferKind.DURATION, seconds=60)),
            (S.DEFERRED, "plugin_opinion"),
        ),
    ],
)
async def test_a_plugin_may_only_be_stricter(
    tmp_path: Path, opinion: Opinion | None, expected: tuple[MessageState, str]
) -> None:
    """Block, hold or defer; no opinion is no objection."""
    assert await judged_by(tmp_path, OpinionPlugin(opinion)) == expected


@pytest.mark.parametrize(
    "plugin",
    [
        OpinionPlugin("late"),
        OpinionPlugin(error=RuntimeError("broken")),
        OpinionPlugin(error=asyncio.CancelledError()),
        OpinionPlugin("allow"),
        OpinionPlugin(Opinion("strict", "block", "No")),  # type: ignore[arg-type]
        OpinionPlugin(
            Opinion("strict", VetoEffect.DEFER, "x", Defer(DeferKind.UNTIL_WINDOW, "nowhere"))
        ),
        OpinionPlugin(Opinion("strict", VetoEffect.DEFER, "x", "tomorrow")),  # type: ignore[arg-type]
    ],
    ids=["late", "raises", "cancelled", "nonsense", "word", "window", "defer"],
)
async def test_a_plugin_that_cannot_be_understood_is_a_fault_that_waits(
    tmp_path: Path, plugin: OpinionPlugin
) -> None:
    """Late, raising, or answering nonsense: nothing goes, and nothing is lost."""
    assert await judged_by(tmp_path, plugin) == (S.DEFERRED, "gate_fault")


async def test_a_deferral_that_ends_at_once_waits_a_second_all_the_same(tmp_path: Path) -> None:
    """No plugin makes the gate spin."""
    at_once = Opinion("strict", VetoEffect.DEFER, "x", Defer(DeferKind.DURATION, seconds=0))
    plugin = OpinionPlugin(at_once)
    async with open_messaging_services(tmp_path, plugins={"strict": plugin}) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.get_message(await services.enqueue_and_settle())
        assert message.due_at == message.changed_at + timedelta(seconds=1)


async def test_a_plugin_sees_the_facts_and_cannot_change_them(tmp_path: Path) -> None:
    """It gets a copy: what it does with it changes no verdict."""

    class Liar(OpinionPlugin):
        @hookimpl
        async def leadmaster_judge_message(self, request: OpinionRequest) -> object:
            """Try to make somebody else's facts better."""
            self.seen.append(request)
            request.facts["prospect.permission"] = "opted_in"  # type: ignore[index]
            return None

    liar = Liar()
    async with open_messaging_services(tmp_path, plugins={"liar": liar}) as services:
        await services.add_session()
        await services.add_prospect(permission=None)
        assert await services.get_state(await services.enqueue_and_settle()) is S.BLOCKED
    assert liar.seen[0].recipient == ANA


async def test_a_fault_waits_longer_each_time_five_times_and_then_asks_a_person(
    tmp_path: Path,
) -> None:
    """1, 2, 4, 8, 16 minutes; each is stored as a block with its own code, and told."""
    plugin = OpinionPlugin(error=RuntimeError("broken"))
    async with open_messaging_services(tmp_path, plugins={"strict": plugin}) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        for times, minutes in enumerate((1, 2, 4, 8, 16), start=1):
            found = await services.get_message(message)
            assert (found.state, found.faults) == (S.DEFERRED, times)
            assert found.due_at == found.changed_at + timedelta(minutes=minutes)
            await services.clock.leap(minutes * 60)
            await services.clock.advance(1)
        found = await services.get_message(message)
        assert (found.state, found.reason_code) == (S.HELD, "plugin_opinion_missing")
        stored = await services.list_decisions(message)
        assert [each.verdict for each in stored] == ["block"] * 6
        assert stored[0].document["reason_code"] == "plugin_opinion_missing"
        assert sum(event.type == "gate.faulted" for event in services.published) == 6
        assert services.gate.fault_count == 6
        plugin.error = None
        await services.review.approve(message, "eva", "the plugin is mended")
        await services.clock.settle()
        assert await services.get_state(message) is S.SENT


def broken() -> ActiveRulesets:
    """Return a rulebook whose engine forgets rules: the two engines disagree."""

    def forgetful(conditions: Sequence[tuple[str, Condition, bool]]) -> tuple[Shard, ...]:
        return compile_rules([each for each in conditions if each[0] != "closed"])

    shipped = rules.load_ruleset([rules.DEFAULTS / "gate.yaml"])
    score = rules.load_ruleset([rules.DEFAULTS / "score.yaml"])
    gate = rules.RuleEvaluator(shipped, compiler=forgetful)
    return ActiveRulesets(gate, rules.RuleEvaluator(score, compiler=forgetful))


async def test_engines_that_disagree_let_nothing_through(tmp_path: Path) -> None:
    """A compiler that forgets a veto is caught by the second engine."""
    async with open_messaging_services(tmp_path, rulesets=broken()) as services:
        await services.add_session()
        await services.add_prospect()
        await services.clock.leap(8 * 3600)  # at night, when the forgotten rule speaks
        message = await services.get_message(await services.enqueue_and_settle())
        assert (message.state, message.reason_code) == (S.DEFERRED, "gate_fault")
        [stored] = await services.list_decisions(message.id)
        assert stored.document["reason_code"] == "engines_disagree"
        assert "closed" in json.dumps(stored.document["fault"])


async def test_a_row_that_the_gate_cannot_read_is_a_fault_of_that_message_alone(
    services: MessagingServices,
) -> None:
    """A session with an impossible time zone stops its own messages, not the queue."""
    await services.add_session("odd", number="+5491144440009")
    await services.execute_sql("UPDATE sessions SET time_zone = 'Nowhere/Land' WHERE name = 'odd'")
    stuck = await services.enqueue(PLACELESS, "one", session="odd")
    fine = await services.enqueue_and_settle()
    assert await services.get_state(fine) is S.SENT
    found = await services.get_message(stuck)
    assert (found.state, found.reason_code) == (S.DEFERRED, "gate_fault")
    assert found.sentence == "The rules could not be applied; see the log."


async def test_a_row_that_nobody_can_read_does_not_stand_in_the_queues_way(
    services: MessagingServices,
) -> None:
    """It stays queued, and is tried again; what came after it goes."""
    beto = await services.add_prospect(BETO)
    await services.execute_sql(
        "INSERT INTO evidence (contact, at, kind, value, source) VALUES (?, 'x', 'y', 'z', 't')",
        beto,
    )
    later = services.clock.now() + timedelta(days=3)
    stuck = await services.enqueue(BETO, "something else altogether", not_after=later)
    fine = await services.enqueue_and_settle()
    assert await services.get_state(fine) is S.SENT
    assert await services.get_state(stuck) is S.QUEUED
    await services.execute_sql("DELETE FROM evidence WHERE kind = 'y'")
    await services.clock.advance(6)
    assert await services.get_state(stuck) is S.SENT


def test_a_rule_file_with_problems_is_refused_with_their_places(tmp_path: Path) -> None:
    """Line and column of each, and the last good set stays where it was."""
    file = tmp_path / "gate.yaml"
    file.write_text("format: leadmaster/gate@1\nscore: {base: prospect.nothing}\n")
    with pytest.raises(RulesRejected, match=r"gate\.yaml:2:"):
        ActiveRulesets.load(RulesSettings(gate=(str(file),)))


async def test_both_sets_are_kept_by_their_hash_with_their_text(
    services: MessagingServices,
) -> None:
    """What a decision's hash points to can always be read; loading twice keeps one."""
    for _ in range(2):
        await services.database.write(
            lambda tx: services.rulesets.store(tx, at=services.clock.now(), who="daemon")
        )
    kept = {
        row[0]: str(row[1]) for row in await services.query_rows("SELECT hash, files FROM rulesets")
    }
    assert set(kept) == {
        services.rulesets.gate.ruleset.hash,
        services.rulesets.score.ruleset.hash,
    }
    assert "first_time_relationship" in kept[services.rulesets.gate.ruleset.hash]
    assert sum(event.type == "rules.loaded" for event in services.published) == 4


async def test_the_column_follows_the_evidence_and_says_so(services: MessagingServices) -> None:
    """An inbound brings score and permission up, in its own transaction, with one event.

    The column has the permission outside the conversation, and beside it until when that lasts.
    """
    contact = await services.resolve_contact(ANA)
    before = len([e for e in services.published if e.type == "prospect.changed"])
    await services.add_evidence(contact, EvidenceKind.INBOUND, "interested")
    [(score, permission, until)] = await services.query_rows(
        "SELECT score_contactabilidad, permission, conversation_until FROM prospects"
    )
    ends = services.clock.now() + timedelta(hours=24)
    assert (score, permission, until) == (100, "opted_in", format_timestamp(ends))
    await services.database.write(
        lambda tx: services.scoring.refresh_prospect(
            tx, contact, services.clock.now(), reason_code="again", sentence="Nothing new."
        )
    )
    changed = [event for event in services.published if event.type == "prospect.changed"]
    assert len(changed) == before + 1
    assert changed[-1].data["score_contactabilidad"] == 100
    assert changed[-1].data["permission"] == "conversation"


async def test_scoring_a_contact_without_a_prospect_only_makes_open_looks_stale(
    services: MessagingServices,
) -> None:
    """There is no column to keep; the revision grows all the same."""
    contact = await services.resolve_contact(BETO)
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")
    assert await services.query_rows("SELECT revision FROM contacts WHERE id = ?", contact) == [
        (1,)
    ]


async def test_a_look_changes_nothing(services: MessagingServices) -> None:
    """The gate reads, asks and signs; writing is the desk's."""
    message = await services.get_message(await services.enqueue_and_settle())
    before = await services.database.high_water()
    look = await services.gate.evaluate(replace(message, text="Otra cosa"), EvaluationPhase.ENQUEUE)
    assert look.is_allowed in {True, False}
    assert await services.database.high_water() == before


async def test_a_score_that_nobody_can_compute_blocks_and_keeps_the_column(tmp_path: Path) -> None:
    """The score's engines disagree: unknown, not zero, and not yesterday's."""

    def forgetful(conditions: Sequence[tuple[str, Condition, bool]]) -> tuple[Shard, ...]:
        return compile_rules([each for each in conditions if each[0] != "on_whatsapp"])

    gate = rules.RuleEvaluator(rules.load_ruleset([rules.DEFAULTS / "gate.yaml"]))
    score = rules.RuleEvaluator(
        rules.load_ruleset([rules.DEFAULTS / "score.yaml"]), compiler=forgetful
    )
    async with open_messaging_services(tmp_path, rulesets=ActiveRulesets(gate, score)) as services:
        await services.add_session()
        await services.add_prospect()
        [(column, permission)] = await services.query_rows(
            "SELECT score_contactabilidad, permission FROM prospects"
        )
        assert (column, permission) == (None, "opted_in")
        message = await services.get_message(await services.enqueue_and_settle())
        assert (message.state, message.reason_code) == (S.BLOCKED, "required_fact_missing")


async def test_a_decision_can_be_asked_for_by_its_id_and_counted(
    services: MessagingServices,
) -> None:
    """What a message's row points to."""
    message = await services.get_message(await services.enqueue_and_settle())
    assert message.decision is not None
    wanted = message.decision
    found = await services.database.read(lambda reader: decisions.get_decision(reader, wanted))
    assert found is not None
    assert found.message == message.id
    assert (
        await services.database.read(lambda reader: decisions.get_decision(reader, "dec_0")) is None
    )
    assert await services.database.read(decisions.count_decisions_by_verdict) == {"allow": 2}
