"""What no rule file can lift, in the gate and again when a message is released."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.api import hookimpl
from daemon.api.opinions import Defer, DeferKind, Opinion, OpinionRequest, VetoEffect
from daemon.api.signals import SendingRestricted
from daemon.gate import hard_limits
from daemon.outbox.enqueue import build_message
from rules import Decision, RuleEvaluator, Verdict
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.vocabulary import MessageKind
from storage import contacts, messages, prospects
from storage.evidence import EvidenceKind
from tests.helpers.rule_texts import build_facts, load_rules
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules

S = MessageState
Interference = Callable[[MessagingServices, str], Coroutine[Any, Any, None]]


@pytest.fixture
async def careless_services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house whose operator's file allows everything."""
    async with open_messaging_services(
        tmp_path / "state", rules=write_gate_rules(tmp_path)
    ) as services:
        await services.add_session()
        yield services


async def test_without_vetoes_what_is_allowed_still_goes(
    careless_services: MessagingServices,
) -> None:
    """The hard limits stop nobody who may be written to."""
    await careless_services.add_prospect()
    assert await careless_services.get_state(await careless_services.enqueue_and_settle()) is S.SENT


@pytest.mark.parametrize(
    ("made", "state", "code"),
    [
        ({"validation": ValidationState.NOT_REACHABLE}, S.BLOCKED, "hard_limit_not_reachable"),
        ({"validation": ValidationState.UNCHECKED}, S.DEFERRED, "hard_limit_not_validated"),
        ({"permission": None}, S.BLOCKED, "hard_limit_no_permission"),
        ({"permission": "refused"}, S.BLOCKED, "hard_limit_refused"),
        ({"permission": "public_source"}, S.CLEARED, "allowed"),
    ],
)
async def test_no_file_lets_through_what_the_product_promised_not_to_send(
    careless_services: MessagingServices, made: dict[str, Any], state: MessageState, code: str
) -> None:
    """Not validated, not permitted, found but not asked: the code says it without any file."""
    await careless_services.add_prospect(BETO, **made)
    message = await careless_services.get_message(await careless_services.enqueue_and_settle(BETO))
    assert (message.state, message.reason_code) == (state, code)
    assert careless_services.wire.sends == []


async def test_who_was_found_and_not_asked_goes_to_a_person_whatever_the_file(
    careless_services: MessagingServices,
) -> None:
    """Re-routed to the manual channel, and judged again there."""
    await careless_services.add_prospect(BETO, permission="public_source")
    message = await careless_services.enqueue_and_settle(BETO)
    assert await careless_services.list_states(message) == ["queued", "queued", "cleared"]
    assert (await careless_services.get_message(message)).channel == "manual"


async def test_a_suppressed_contact_is_not_written_to_whatever_the_file(
    careless_services: MessagingServices,
) -> None:
    """By any form of their number."""
    await careless_services.add_prospect()
    await careless_services.suppress("+541145550001")
    message = await careless_services.get_message(await careless_services.enqueue_and_settle())
    assert (message.state, message.reason_code) == (S.BLOCKED, "hard_limit_suppressed")


async def test_a_validation_that_has_run_out_waits_whoever_noticed(
    careless_services: MessagingServices,
) -> None:
    """Ninety days are over, and no sweep has been there: the flag holds no more."""
    await careless_services.add_prospect()
    await careless_services.execute_sql(
        "UPDATE prospects SET expires_at = '2026-03-03T14:59:59.000Z'"
    )
    message = await careless_services.get_message(await careless_services.enqueue_and_settle())
    assert (message.state, message.reason_code) == (S.DEFERRED, "hard_limit_not_validated")


class InterferingPlugin:
    """A plugin without an opinion, in whose time the world changes: after look, before commit."""

    def __init__(self) -> None:
        self.act: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.questions = 0

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
        """Let the change happen at the second look only."""
        self.questions += bool(request.message)
        if self.act is not None and self.questions % 2 == 0:
            act, self.act = self.act, None
            await act()


@pytest.fixture
def interfering_plugin() -> InterferingPlugin:
    """One that does nothing yet."""
    return InterferingPlugin()


@pytest.fixture
async def interfered_services(
    tmp_path: Path, interfering_plugin: InterferingPlugin
) -> AsyncIterator[MessagingServices]:
    """A careless house with a meddler in it, and Ana, who may be written to."""
    rules = write_gate_rules(tmp_path)
    plugins = {"meddler": interfering_plugin}
    async with open_messaging_services(
        tmp_path / "state", rules=rules, plugins=plugins, plugin_limit=5
    ) as services:
        await services.add_session()
        yield services


async def _suppress_silently(services: MessagingServices, contact: str) -> None:
    await services.execute_sql(
        "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
        " VALUES ('h', ?, 'operator', 'r', '2026-03-03T15:00:00.000Z')",
        contact,
    )


async def _invalidate_silently(services: MessagingServices, contact: str) -> None:
    await services.execute_sql(
        "UPDATE prospects SET validado_tecnicamente = 0 WHERE contact = ?", contact
    )


async def _refuse(services: MessagingServices, contact: str) -> None:
    await services.add_evidence(contact, EvidenceKind.DECLINED, "refused")


async def _undecide_silently(services: MessagingServices, contact: str) -> None:
    await services.execute_sql(
        "UPDATE prospects SET validado_tecnicamente = NULL WHERE contact = ?", contact
    )


async def _halt(services: MessagingServices, contact: str) -> None:
    del contact
    await services.halt.halt("eva", "an alarm")


async def _give_number_away_silently(services: MessagingServices, contact: str) -> None:
    del contact
    await services.execute_sql(
        "UPDATE aliases SET contact = ? WHERE alias = ?", await services.resolve_contact(BETO), ANA
    )


async def _close_new_chats(services: MessagingServices, contact: str) -> None:
    del contact
    closed = asyncio.Event()
    services.reactions.append(
        lambda event: closed.set() if event.data.get("sending") == "reply_only" else None
    )
    services.wire.lines["main"].report(SendingRestricted("restricted"))
    await closed.wait()


@pytest.mark.parametrize(
    "meddling",
    [
        _close_new_chats,
        _suppress_silently,
        _invalidate_silently,
        _undecide_silently,
        _refuse,
        _halt,
        _give_number_away_silently,
    ],
)
async def test_what_changes_between_the_look_and_the_commit_stops_the_message(
    interfered_services: MessagingServices,
    interfering_plugin: InterferingPlugin,
    meddling: Interference,
) -> None:
    """The gate had said yes; the transaction looks once more, and nothing reaches the wire."""
    contact = await interfered_services.add_prospect()
    interfering_plugin.act = lambda: meddling(interfered_services, contact)
    message = await interfered_services.enqueue_and_settle()
    await interfered_services.clock.advance(5)
    assert interfering_plugin.questions >= 2, "the second look took place"
    assert interfered_services.wire.sends == []
    assert await interfered_services.get_state(message) is not S.SENT
    assert await interfered_services.query_rows("SELECT * FROM permits") == []
    assert await interfered_services.query_rows("SELECT * FROM spends") == []


class DeferringPlugin:
    """A plugin that lets a message be cleared, and defers it when it is judged for its release."""

    def __init__(self) -> None:
        self.questions = 0

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> Opinion | None:
        """Ask for an hour's wait at the second question."""
        self.questions += bool(request.message)
        if self.questions != 2:
            return None
        wait = Defer(DeferKind.DURATION, seconds=3600)
        return Opinion("deferring", VetoEffect.DEFER, "Not now.", wait)


async def test_what_was_cleared_and_is_deferred_at_its_release_does_not_go(
    tmp_path: Path,
) -> None:
    """The second evaluation has the last word: nothing is signed, spent or sent until then."""
    plugin = DeferringPlugin()
    async with open_messaging_services(
        tmp_path / "state", rules=write_gate_rules(tmp_path), plugins={"deferring": plugin}
    ) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        await services.clock.advance(60)
        assert await services.list_states(message) == [S.QUEUED, S.CLEARED, S.DEFERRED]
        assert services.wire.sends == []
        assert await services.query_rows("SELECT * FROM permits") == []
        assert await services.query_rows("SELECT * FROM spends") == []
        await services.clock.advance(3600)
        assert await services.get_state(message) is S.SENT
        assert plugin.questions == 4


async def test_a_change_that_allows_all_the_same_costs_only_a_second(
    interfered_services: MessagingServices, interfering_plugin: InterferingPlugin
) -> None:
    """A new fact makes the look stale; the next one lets it go."""
    contact = await interfered_services.add_prospect()

    async def learn() -> None:
        await interfered_services.database.write(
            lambda tx: contacts.bump_contact_revision(tx, contact)
        )

    interfering_plugin.act = learn
    message = await interfered_services.enqueue_and_settle()
    await interfered_services.clock.advance(2)
    assert await interfered_services.get_state(message) is S.SENT
    assert len(interfered_services.wire.sends) == 1


async def test_a_deferral_is_not_written_over_news_that_ended_it(
    interfered_services: MessagingServices, interfering_plugin: InterferingPlugin
) -> None:
    """The check's answer comes while the gate says "wait for the check": it does not wait."""
    contact = await interfered_services.add_prospect(validation=ValidationState.UNCHECKED)
    interfering_plugin.questions = 1  # the first look is the one to meddle with

    async def checked() -> None:
        found = await interfered_services.database.read(
            lambda reader: prospects.find_prospect_by_contact(reader, contact)
        )
        assert found is not None
        await interfered_services.validation.set_by_hand(
            found.id, validated=True, who="eva", reason="she called"
        )

    interfering_plugin.act = checked
    message = await interfered_services.enqueue_and_settle()
    await interfered_services.clock.advance(1)
    assert await interfered_services.get_state(message) is S.SENT


def decision(judge: RuleEvaluator, **changes: object) -> Decision:
    """Judge facts and apply the hard limits to the decision."""
    known = build_facts(judge, **changes)
    return hard_limits.apply_hard_limits(judge.decide(known), known)


def test_a_confirmation_of_an_opt_out_is_the_one_exception_to_suppression() -> None:
    """It is made by the core, once."""
    judge = RuleEvaluator(load_rules(GATE_WITHOUT_VETOES))
    changes = {"prospect__suppressed": True, "prospect__permission": "refused"}
    assert decision(judge, **changes).verdict is Verdict.BLOCK
    kind = {"message__kind": "opt_out_confirmation"}
    assert decision(judge, **changes, **kind).verdict is Verdict.ALLOW


def test_a_reply_needs_no_permission_but_their_own_words() -> None:
    """They wrote; answering is no cold message. Reach is needed all the same."""
    judge = RuleEvaluator(load_rules(GATE_WITHOUT_VETOES))
    reply = {"message__kind": "reply", "prospect__permission": "none"}
    assert decision(judge, **reply).verdict is Verdict.ALLOW
    gone = decision(judge, **reply, prospect__validado_tecnicamente=False)
    assert gone.verdict is Verdict.BLOCK


def test_what_the_rules_say_more_strictly_stays_as_they_said_it() -> None:
    """The hard limits only lower; reasons of the file are kept."""
    judge = RuleEvaluator(load_rules(GATE_WITHOUT_VETOES))
    low = build_facts(judge, prospect__suppressed=True)
    blocked = judge.decide(low, [Opinion("plugin", VetoEffect.BLOCK, "On our own list")])
    assert blocked.verdict is Verdict.BLOCK
    assert hard_limits.apply_hard_limits(blocked, low) is blocked


def test_a_hard_limit_is_named_before_a_missing_fact() -> None:
    """A file without vetoes: the opt-out is the cause all the same, not the missing score."""
    judge = RuleEvaluator(load_rules(GATE_WITHOUT_VETOES))
    unknown = {"prospect__score_contactabilidad": None}
    assert decision(judge, **unknown).reason_code == "required_fact_missing"
    suppressed = decision(judge, **unknown, prospect__suppressed=True)
    assert suppressed.verdict is Verdict.BLOCK
    assert suppressed.reason_code == "hard_limit_suppressed"


async def test_the_one_confirmation_of_an_opt_out_reaches_who_opted_out(
    services: MessagingServices,
) -> None:
    """Made by the core, at any hour, and nothing else goes to them."""
    contact = await services.resolve_contact(ANA)
    await services.suppress(ANA)
    await services.clock.leap(8 * 3600)
    at = services.clock.now()
    confirmation = build_message(
        at=at,
        contact=contact,
        recipient=ANA,
        session="main",
        channel="simulated",
        text="Listo: no le escribimos más.",
        kind=MessageKind.OPT_OUT_CONFIRMATION,
        not_after=at + timedelta(minutes=5),
    )
    await services.database.write(lambda tx: messages.insert_message(tx, confirmation, who="core"))
    await services.outbox.wake()
    await services.clock.settle()
    assert await services.get_state(confirmation.id) is S.SENT
    assert await services.get_state(await services.enqueue_and_settle()) is S.BLOCKED
