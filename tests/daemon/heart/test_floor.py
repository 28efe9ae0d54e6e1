"""What no rule file can lift, in the gate and once more in the transaction that lets it out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import floor
from daemon.api import hookimpl
from daemon.api.questions import Question
from daemon.new_message import new_message
from rules import Decision, Judge, Verdict
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, messages
from storage.evidence import EvidenceKind
from tests.daemon.heart.rules import written
from tests.helpers.heart import ANA, BETO, NO_VETOES, SmallHouse, small_house
from tests.rules.support import facts, loaded

S = MessageState
Meddling = Callable[[SmallHouse, str], Coroutine[Any, Any, None]]


@pytest.fixture
async def careless(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    """A house whose operator's file allows everything."""
    async with small_house(tmp_path / "state", rules=written(tmp_path)) as house:
        await house.session()
        house.outbox.serve("main")
        yield house


async def test_without_vetoes_what_is_allowed_still_goes(careless: SmallHouse) -> None:
    """The floor stops nobody who may be written to."""
    await careless.prospect()
    assert await careless.state(await careless.post()) is S.SENT


@pytest.mark.parametrize(
    ("made", "state", "code"),
    [
        ({"validation": ValidationState.NOT_REACHABLE}, S.BLOCKED, "floor_not_reachable"),
        ({"validation": ValidationState.UNCHECKED}, S.DEFERRED, "floor_not_validated"),
        ({"permission": None}, S.BLOCKED, "floor_no_permission"),
        ({"permission": "refused"}, S.BLOCKED, "floor_no_permission"),
        ({"permission": "public_source"}, S.CLEARED, "allowed"),
    ],
)
async def test_no_file_lets_through_what_the_product_promised_not_to_send(
    careless: SmallHouse, made: dict[str, Any], state: MessageState, code: str
) -> None:
    """Not validated, not permitted, found but not asked: the code says it without any file."""
    await careless.prospect(BETO, **made)
    message = await careless.message(await careless.post(BETO))
    assert (message.state, message.reason_code) == (state, code)
    assert careless.wire.sends == []


async def test_who_was_found_and_not_asked_goes_to_a_person_whatever_the_file(
    careless: SmallHouse,
) -> None:
    """Re-routed to the manual channel, and judged again there."""
    await careless.prospect(BETO, permission="public_source")
    message = await careless.post(BETO)
    assert await careless.path(message) == ["queued", "queued", "cleared"]
    assert (await careless.message(message)).channel == "manual"


async def test_a_suppressed_contact_is_not_written_to_whatever_the_file(
    careless: SmallHouse,
) -> None:
    """By any form of their number."""
    await careless.prospect()
    await careless.suppress("+541145550001")
    message = await careless.message(await careless.post())
    assert (message.state, message.reason_code) == (S.BLOCKED, "floor_suppressed")


async def test_a_validation_that_has_run_out_waits_whoever_noticed(careless: SmallHouse) -> None:
    """Ninety days are over, and no sweep has been there: the flag holds no more."""
    await careless.prospect()
    await careless.execute("UPDATE prospects SET expires_at = '2026-03-03T14:59:59.000Z'")
    message = await careless.message(await careless.post())
    assert (message.state, message.reason_code) == (S.DEFERRED, "floor_not_validated")


class Meddler:
    """A plugin without an opinion, in whose time the world changes: after look, before commit."""

    def __init__(self) -> None:
        self.act: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.questions = 0

    @hookimpl
    async def leadmaster_judge_message(self, question: Question) -> None:
        """Let the change happen at the second look only."""
        self.questions += bool(question.message)
        if self.act is not None and self.questions % 2 == 0:
            act, self.act = self.act, None
            await act()


@pytest.fixture
def meddler() -> Meddler:
    """One that does nothing yet."""
    return Meddler()


@pytest.fixture
async def meddled(tmp_path: Path, meddler: Meddler) -> AsyncIterator[SmallHouse]:
    """A careless house with a meddler in it, and Ana, who may be written to."""
    rules = written(tmp_path)
    plugins = {"meddler": meddler}
    async with small_house(
        tmp_path / "state", rules=rules, plugins=plugins, plugin_limit=5
    ) as house:
        await house.session()
        house.outbox.serve("main")
        yield house


async def _suppress_silently(house: SmallHouse, contact: str) -> None:
    await house.execute(
        "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
        " VALUES ('h', ?, 'operator', 'r', '2026-03-03T15:00:00.000Z')",
        contact,
    )


async def _invalidate_silently(house: SmallHouse, contact: str) -> None:
    await house.execute("UPDATE prospects SET validado_tecnicamente = 0 WHERE contact = ?", contact)


async def _refuse(house: SmallHouse, contact: str) -> None:
    await house.evidence(contact, EvidenceKind.REFUSAL, "refused")


async def _undecide_silently(house: SmallHouse, contact: str) -> None:
    await house.execute(
        "UPDATE prospects SET validado_tecnicamente = NULL WHERE contact = ?", contact
    )


async def _halt(house: SmallHouse, contact: str) -> None:
    del contact
    await house.halt.halt("eva", "an alarm")


@pytest.mark.parametrize(
    "meddling", [_suppress_silently, _invalidate_silently, _undecide_silently, _refuse, _halt]
)
async def test_what_changes_between_the_look_and_the_commit_stops_the_message(
    meddled: SmallHouse, meddler: Meddler, meddling: Meddling
) -> None:
    """The gate had said yes; the transaction looks once more, and nothing reaches the wire."""
    contact = await meddled.prospect()
    meddler.act = lambda: meddling(meddled, contact)
    message = await meddled.post()
    await meddled.clock.advance(5)
    assert meddler.questions >= 2, "the second look took place"
    assert meddled.wire.sends == []
    assert await meddled.state(message) is not S.SENT
    assert await meddled.rows("SELECT * FROM permits") == []
    assert await meddled.rows("SELECT * FROM spends") == []


async def test_a_change_that_allows_all_the_same_costs_only_a_second(
    meddled: SmallHouse, meddler: Meddler
) -> None:
    """A new fact makes the look stale; the next one lets it go."""
    contact = await meddled.prospect()

    async def learn() -> None:
        await meddled.database.write(lambda tx: contacts.touch(tx, contact))

    meddler.act = learn
    message = await meddled.post()
    await meddled.clock.advance(2)
    assert await meddled.state(message) is S.SENT
    assert len(meddled.wire.sends) == 1


async def test_a_deferral_is_not_written_over_news_that_ended_it(
    meddled: SmallHouse, meddler: Meddler
) -> None:
    """The check's answer comes while the gate says "wait for the check": it does not wait."""
    contact = await meddled.prospect(validation=ValidationState.UNCHECKED)
    meddler.questions = 1  # the first look is the one to meddle with

    async def checked() -> None:
        await meddled.execute(
            "UPDATE prospects SET validado_tecnicamente = 1 WHERE contact = ?", contact
        )
        await meddled.database.write(lambda tx: contacts.touch(tx, contact))
        await meddled.outbox.contact_checked(contact)

    meddler.act = checked
    assert await meddled.state(await meddled.post()) is S.SENT


def decision(judge: Judge, **changes: object) -> Decision:
    """Judge facts and lay the floor under the decision."""
    known = facts(judge, **changes)
    return floor.under(judge.decide(known), known)


def test_a_confirmation_of_an_opt_out_is_the_one_exception_to_suppression() -> None:
    """It is made by the core, once."""
    judge = Judge(loaded(NO_VETOES))
    changes = {"prospect__suppressed": True, "prospect__permission": "refused"}
    assert decision(judge, **changes).verdict is Verdict.BLOCK
    kind = {"message__kind": "opt_out_confirmation"}
    assert decision(judge, **changes, **kind).verdict is Verdict.ALLOW


def test_a_reply_needs_no_permission_but_their_own_words() -> None:
    """They wrote; answering is no cold message. Reach is needed all the same."""
    judge = Judge(loaded(NO_VETOES))
    reply = {"message__kind": "reply", "prospect__permission": "none"}
    assert decision(judge, **reply).verdict is Verdict.ALLOW
    gone = decision(judge, **reply, prospect__validado_tecnicamente=False)
    assert gone.verdict is Verdict.BLOCK


def test_what_the_rules_say_more_strictly_stays_as_they_said_it() -> None:
    """The floor only lowers; reasons of the file are kept."""
    judge = Judge(loaded(NO_VETOES))
    low = facts(judge, prospect__suppressed=True)
    low["prospect.score_contactabilidad"] = None
    blocked = judge.decide(low)
    assert blocked.verdict is Verdict.BLOCK
    assert floor.under(blocked, low) is blocked


async def test_the_one_confirmation_of_an_opt_out_reaches_who_opted_out(house: SmallHouse) -> None:
    """Made by the core, at any hour, and nothing else goes to them."""
    contact = await house.contact(ANA)
    await house.suppress(ANA)
    await house.clock.leap(8 * 3600)
    at = house.clock.now()
    confirmation = new_message(
        at=at,
        contact=contact,
        recipient=ANA,
        session="main",
        channel="simulated",
        text="Listo: no le escribimos más.",
        kind="opt_out_confirmation",
        not_after=at + timedelta(minutes=5),
    )
    await house.database.write(lambda tx: messages.insert(tx, confirmation, who="core"))
    house.outbox.wake()
    await house.clock.settle()
    assert await house.state(confirmation.id) is S.SENT
    assert await house.state(await house.post()) is S.BLOCKED
