"""Who waits for our answer and since when: cases through the real handlers, and an oracle."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.api.signals import Origin
from statemachines.message import MessageState
from storage import contacts, conversations, messages
from storage.ids import new_id
from storage.inbound import InboundRecord, insert_inbound
from storage.tx import Tx
from storage.waiting import UnansweredConversation, count_waiting, list_unanswered
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.services.contacts import (
    ANA,
    ContactServices,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)
from tests.helpers.services.database import insert_prospect, queue_message
from tests.helpers.services.messaging import build_phone

S = MessageState
WORDS: Final = {"reason_code": "test", "sentence": "test", "who": "test"}
WAYS: Final[dict[MessageState, tuple[MessageState, ...]]] = {
    S.SENT: (S.CLEARED, S.SENDING, S.SENT),
    S.FAILED: (S.CLEARED, S.SENDING, S.FAILED),
    S.IN_DOUBT: (S.CLEARED, S.SENDING, S.IN_DOUBT),
    S.REVEALED: (S.CLEARED, S.TAKEN, S.REVEALED),
    S.CONFIRMED_BY_HAND: (S.CLEARED, S.TAKEN, S.REVEALED, S.CONFIRMED_BY_HAND),
}
HAND: Final = {S.REVEALED, S.CONFIRMED_BY_HAND}


def answer_until(tx: Tx, message: str, state: MessageState, at: datetime) -> None:
    """Take a message along the legal transitions to a state, all at one moment."""
    if state in HAND:
        messages.transition_message(tx, message, S.QUEUED, channel="manual", at=at, **WORDS)
    columns: dict[MessageState, dict[str, Any]] = {
        S.SENDING: {"decision": "dec_1", "permit": "per_1"},
        S.SENT: {"wire_id": f"W{message}", "sent_at": at},
        S.TAKEN: {"taken_by": "eva", "lease_until": at + timedelta(minutes=10)},
    }
    for step in WAYS[state]:
        messages.transition_message(tx, message, step, at=at, **WORDS, **columns.get(step, {}))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database; Ana is a prospect."""
    async with open_contact_services(tmp_path) as people:
        services = build_inbound_services(people)
        await services.add_prospect()
        yield services


async def answer(desk: InboundServices, state: MessageState) -> None:
    """Answer Ana with a message that ends in a state."""
    message = await desk.people.queue_message(ANA, kind="reply")
    at = desk.people.clock.now()
    await desk.people.database.write(lambda tx: answer_until(tx, message, state, at))


async def list_now(desk: InboundServices) -> list[UnansweredConversation]:
    """Return everybody who has no answer now."""
    at = desk.people.clock.now()
    return await desk.people.database.read(lambda r: list_unanswered(r, at))


Step: TypeAlias = Callable[[InboundServices], Awaitable[None]]


def says(text: str, *, sender: str = ANA) -> Step:
    """Return the step in which somebody writes this."""
    return lambda desk: desk.receive_text(text, sender=sender)


def replies(state: MessageState) -> Step:
    """Return the step in which our answer ends in a state."""
    return lambda desk: answer(desk, state)


def types_on_the_phone(desk: InboundServices) -> Awaitable[None]:
    """Answer from the phone itself."""
    return desk.receive_own_message("OWN1")


ASKED: Final = says("¿Cuánto sale?")
CASES: Final[dict[str, tuple[Sequence[Step], str, int | None]]] = {
    # What happens, each step an hour after the one before; who waits; since which step.
    "asked": ((ASKED,), "waits", 0),
    "asked and nudged": ((ASKED, says("¿Y? ¿Cuánto sale?")), "waits", 0),
    "thanks after our answer": ((ASKED, replies(S.SENT), says("Gracias")), "courtesy", 2),
    "no, thanks": ((says("No, gracias"),), "nobody", None),
    "our answer is in doubt": ((ASKED, replies(S.IN_DOUBT)), "waits", 0),
    "our answer failed": ((ASKED, replies(S.FAILED)), "waits", 0),
    "the link was only revealed": ((ASKED, replies(S.REVEALED)), "waits", 0),
    "a stranger": ((says("¿Cuánto sale?", sender="+5491144445555"),), "stranger", 0),
    "answered from the phone": ((ASKED, types_on_the_phone), "nobody", None),
    # Beyond the nine of the contract.
    "answered by hand": ((ASKED, replies(S.CONFIRMED_BY_HAND)), "nobody", None),
    "a complaint": ((says("son unos estafadores, los voy a denunciar"),), "nobody", None),
    "a wrong person": ((says("número equivocado"),), "nobody", None),
    "an opt-out": ((ASKED, says("BAJA")), "nobody", None),
    "thanks, and nothing of ours before": ((says("Gracias"),), "waits", 0),
}


@pytest.mark.parametrize("case", CASES)
async def test_who_waits_and_since_when(desk: InboundServices, case: str) -> None:
    """Each case of the contract, read as the handlers read it."""
    steps, expected, since = CASES[case]
    begun = desk.people.clock.now()
    for step in steps:
        await step(desk)
        await desk.people.clock.advance(3600)
    found = await list_now(desk)
    now = desk.people.clock.now()
    counted = await desk.people.database.read(lambda r: count_waiting(r, now))
    assert counted.count == (expected == "waits")
    if since is None:
        assert found == []
        return
    [one] = found
    assert one.since == begun + timedelta(hours=since)
    assert (one.waits, one.courtesy, one.known) == (
        expected == "waits",
        expected == "courtesy",
        expected != "stranger",
    )


async def test_who_answers_before_the_operator_confirms_waits(desk: InboundServices) -> None:
    """By hand a message leaves when its link is opened, and not at the click that says so."""
    message = await desk.people.queue_message(ANA, kind="reply")
    at = desk.people.clock.now()
    await desk.people.database.write(lambda tx: answer_until(tx, message, S.REVEALED, at))
    await desk.people.clock.advance(30)
    await ASKED(desk)
    await desk.people.clock.advance(30)
    later = desk.people.clock.now()
    await desk.people.database.write(
        lambda tx: messages.transition_message(tx, message, S.CONFIRMED_BY_HAND, at=later, **WORDS)
    )
    [one] = await list_now(desk)
    assert one.since == at + timedelta(seconds=30)


async def test_closing_and_snoozing_end_with_their_next_message(desk: InboundServices) -> None:
    """A closed chat and a snoozed one do not wait; a snooze ends with its time too."""
    await ASKED(desk)
    [one] = await list_now(desk)
    contact, write = one.contact, desk.people.database.write
    await write(lambda tx: conversations.close_conversation(tx, contact, who="eva", at=one.since))
    assert await list_now(desk) == []
    await desk.people.clock.advance(60)
    await ASKED(desk)
    [again] = await list_now(desk)
    assert (again.since, again.waits) == (one.since + timedelta(seconds=60), True)
    until = again.since + timedelta(hours=1)
    await write(lambda tx: conversations.snooze_conversation(tx, contact, who="eva", until=until))
    assert [each.waits for each in await list_now(desk)] == [False]
    await desk.people.clock.advance(3600)
    assert [each.since for each in await list_now(desk) if each.waits] == [again.since]
    await write(
        lambda tx: conversations.snooze_conversation(
            tx, contact, who="eva", until=until + timedelta(days=1)
        )
    )
    await ASKED(desk)
    assert [each.waits for each in await list_now(desk)] == [True]


@dataclass(frozen=True)
class Happening:
    """One thing that happens in a chat, at a second."""

    kind: str
    second: int


KINDS: Final = (
    *("asks", "asks_offline", "thanks", "reacts", "own", "closes", "snoozes"),
    *(f"we_{state}" for state in WAYS),
)
LEFT: Final = {"own", f"we_{S.SENT}", f"we_{S.CONFIRMED_BY_HAND}"}
SNOOZE: Final = 100
histories = st.lists(
    st.builds(Happening, st.sampled_from(KINDS), st.integers(0, 300)), max_size=8
).map(lambda drawn: sorted(drawn, key=lambda each: each.second))


def find_waiting_naively(history: Sequence[Happening], now: int) -> tuple[int, bool, bool] | None:
    """Return since when somebody waits, whether that is courtesy, and whether it is snoozed."""
    heard = [each for each in history if each.kind in {"asks", "asks_offline", "thanks"}]
    closed = max((i for i, each in enumerate(history) if each.kind == "closes"), default=-1)
    left = max((each.second for each in history if each.kind in LEFT), default=-1)
    open_ = [
        each
        for i, each in enumerate(history)
        if each in heard and i > closed and each.second >= left
    ]
    if not open_:
        return None
    snoozes = [i for i, each in enumerate(history) if each.kind == "snoozes"]
    snoozed = False
    if snoozes and closed < snoozes[-1]:
        later = [each for each in history[snoozes[-1] :] if each in heard]
        snoozed = not later and history[snoozes[-1]].second + SNOOZE > now
    only_thanks = all(each.kind == "thanks" for each in open_) and left >= 0
    return min(each.second for each in open_), only_thanks, snoozed


def play(tx: Tx, people: ContactServices, phone: str, history: Sequence[Happening]) -> str:
    """Store a history as the services do, and return the contact."""
    begun = people.clock.now()
    contact = add_prospect(tx, people, phone, begun)
    for each in history:
        at = begun + timedelta(seconds=each.second)
        _play_one(tx, contact, phone, each, at)
    return contact


def add_prospect(tx: Tx, people: ContactServices, phone: str, at: datetime) -> str:
    """Return the contact of a new prospect."""
    contact = contacts.resolve_contact(tx, people.aliases.from_phone(phone), at)
    insert_prospect(tx, contact, phone, at)
    return contact


def _play_one(tx: Tx, contact: str, phone: str, each: Happening, at: datetime) -> None:
    if each.kind.startswith("we_"):
        message = queue_message(tx, contact, phone, at, kind="reply")
        answer_until(tx, message, MessageState(each.kind[3:]), at)
        if MessageState(each.kind[3:]) is S.REVEALED:  # or a second one could not be revealed
            tx.execute("UPDATE messages SET in_flight_key = id WHERE id = ?", (message,))
    elif each.kind == "closes":
        conversations.close_conversation(tx, contact, who="eva", at=at)
    elif each.kind == "snoozes":
        until = at + timedelta(seconds=SNOOZE)
        conversations.snooze_conversation(tx, contact, who="eva", until=until)
    else:
        offline = each.kind == "asks_offline"
        record = InboundRecord(
            id=new_id("inb", at),
            session="main",
            wire_id=new_id("w", at),
            contact=contact,
            at=at if each.kind != "asks" else at - timedelta(milliseconds=900),
            received_at=at + timedelta(days=1) if offline else at,
            text="",
            request="courtesy" if each.kind == "thanks" else "question",
            own=each.kind == "own",
            origin=(Origin.OFFLINE if offline else Origin.LIVE).value,
            conversation=each.kind != "reacts",
        )
        insert_inbound(tx, record)


@pytest.mark.slow
def test_the_query_agrees_with_a_naive_reading_of_any_history(tmp_path: Path) -> None:
    """Random histories of one person, looked at at random seconds."""
    numbers = itertools.count()
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        room = open_contact_services(tmp_path)
        people = runner.run(room.__aenter__())
        stack.callback(lambda: runner.run(room.__aexit__(None, None, None)))

        @examples(80)
        @given(histories, st.integers(300, 500))
        @example([Happening("asks", 0), Happening("we_sent", 0)], 300)
        @example([Happening("asks", 5), Happening("snoozes", 250), Happening("own", 260)], 300)
        def check(history: list[Happening], now: int) -> None:
            phone = build_phone(next(numbers))
            begun = people.clock.now()
            contact = runner.run(people.database.write(lambda tx: play(tx, people, phone, history)))
            at = begun + timedelta(seconds=now)
            found = runner.run(
                people.database.read(lambda r: list_unanswered(r, at, contact=contact))
            )
            expected = find_waiting_naively(history, now)
            if expected is None:
                assert found == []
                return
            [one] = found
            second = round((one.since - begun) / timedelta(seconds=1) + 0.49)
            assert (second, one.courtesy, one.snoozed) == expected

        check()
