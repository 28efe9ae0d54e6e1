"""Messages as rows: the database itself refuses what the declaration does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from itertools import product
from pathlib import Path
from sqlite3 import IntegrityError

import pytest

from daemon.events import MessageChanged, decode_event
from statemachines.message import MessageState, is_legal_transition
from storage import messages, queue
from storage.column_formats import format_timestamp
from storage.messages import MessageStateConflict
from storage.tx import Tx
from tests.helpers.clock import MIDDAY
from tests.helpers.services.contacts import ANA, BETO, ContactServices, open_contact_services

S = MessageState
PROOF = {
    S.SENDING: "decision = 'd', permit = 'p', in_flight_key = 'k'",
    S.SENT: "wire_id = 'w'",
    S.DELIVERED: "wire_id = 'w'",
    S.READ: "wire_id = 'w'",
    S.TAKEN: "taken_by = 'eva', lease_until = 'x', in_flight_key = 'k'",
    S.REVEALED: "taken_by = 'eva', lease_until = 'x', in_flight_key = 'k'",
}
"""What each state asks for beside the move itself."""

ALL_PROOF = ", ".join(dict.fromkeys(", ".join(PROOF.values()).split(", ")))


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[ContactServices]:
    """A database with one session."""
    async with open_contact_services(tmp_path) as opened:
        yield opened


async def update(people: ContactServices, message: str, assignments: str) -> None:
    """Write to the row behind everybody's back."""
    await people.database.write(
        lambda tx: tx.execute(f"UPDATE messages SET {assignments} WHERE id = ?", (message,))
    )


async def refused(people: ContactServices, message: str, assignments: str) -> str:
    """Return why the database refused to write that."""
    with pytest.raises(IntegrityError) as caught:
        await update(people, message, assignments)
    return str(caught.value)


def _ways(channel: str) -> dict[MessageState, list[MessageState]]:
    """Return a legal way from `queued` to each state that this channel knows."""
    ways: dict[MessageState, list[MessageState]] = {S.QUEUED: []}
    found = [S.QUEUED]
    for state in found:
        for target in S:
            if target not in ways and is_legal_transition(state, target, channel):
                ways[target] = [*ways[state], target]
                found.append(target)
    return ways


@pytest.mark.parametrize("manual", [False, True])
async def test_the_database_allows_exactly_the_moves_of_the_declaration(
    people: ContactServices, *, manual: bool
) -> None:
    """Every pair of states, by raw SQL, with every proof in place."""
    channel = "manual" if manual else "simulated"
    ways = _ways(channel)
    message = await people.queue_message(ANA)
    await update(people, message, ALL_PROOF)
    for source, target in product(ways, S):
        with pytest.raises(RolledBack):
            await people.database.write(partial(_try, message, channel, ways[source], target))


class RolledBack(Exception):
    """Takes a try back, so that the next one finds the message as it was."""


def _try(message: str, channel: str, way: list[MessageState], target: MessageState, tx: Tx) -> None:
    sql = "UPDATE messages SET state = ? WHERE id = ?"
    tx.execute("UPDATE messages SET channel = ? WHERE id = ?", (channel, message))
    for step in way:
        tx.execute(sql, (step, message))
    source = way[-1] if way else S.QUEUED
    legal = source == target or is_legal_transition(source, target, channel)
    try:
        tx.execute(sql, (target, message))
    except IntegrityError:
        assert not legal, (source, target, channel)
    else:
        assert legal, (source, target, channel)
    raise RolledBack


async def test_a_message_begins_as_queued(people: ContactServices) -> None:
    """No row enters the table as sent."""
    message = await people.queue_message(ANA)
    copy = (
        "INSERT INTO messages (id, request_hash, contact, recipient, session, channel, text,"
        " body_hash, state, wire_id, created_at, changed_at, not_after) SELECT 'msg_0', '',"
        " contact, recipient, session, channel, text, body_hash, 'sent', 'w', created_at,"
        f" changed_at, not_after FROM messages WHERE id = '{message}'"
    )
    with pytest.raises(IntegrityError, match="begins as queued"):
        await people.database.write(lambda tx: tx.execute(copy))


@pytest.mark.parametrize("wire_id", ["NULL", "''"])
async def test_nothing_is_sent_without_the_servers_id(
    people: ContactServices, wire_id: str
) -> None:
    """The predecessor's phantom sends can't be written."""
    message = await people.queue_message(ANA)
    await update(people, message, "state = 'cleared'")
    await update(people, message, f"state = 'sending', {PROOF[S.SENDING]}")
    assert "proof" in await refused(people, message, f"state = 'sent', wire_id = {wire_id}")


@pytest.mark.parametrize("missing", ["decision", "permit", "in_flight_key"])
async def test_nothing_is_sending_without_decision_permit_and_place(
    people: ContactServices, missing: str
) -> None:
    """Each of the three is asked for."""
    message = await people.queue_message(ANA)
    await update(people, message, "state = 'cleared'")
    given = PROOF[S.SENDING].replace(missing, "campaign")
    assert "proof" in await refused(people, message, f"state = 'sending', {given}")


@pytest.mark.parametrize("missing", ["taken_by", "lease_until", "in_flight_key"])
async def test_nothing_is_taken_without_taker_lease_and_place(
    people: ContactServices, missing: str
) -> None:
    """Each of the three is asked for."""
    message = await people.queue_message(ANA)
    await update(people, message, "channel = 'manual'")
    await update(people, message, "state = 'cleared'")
    given = PROOF[S.TAKEN].replace(missing, "campaign")
    assert "proof" in await refused(people, message, f"state = 'taken', {given}")


@pytest.mark.parametrize(
    "change", ["text = 'Otra cosa'", "body_hash = 'x'", f"recipient = '{BETO}'"]
)
async def test_text_and_recipient_are_never_changed(people: ContactServices, change: str) -> None:
    """What was judged is what goes."""
    message = await people.queue_message(ANA)
    assert "never changed" in await refused(people, message, change)


async def test_a_text_can_be_forgotten(people: ContactServices) -> None:
    """The words go, their hash stays."""
    message = await people.queue_message(ANA)
    await update(people, message, "text = ''")
    assert "never changed" in await refused(people, message, "text = 'Hola'")


async def test_an_acknowledged_id_is_never_changed(people: ContactServices) -> None:
    """Neither replaced nor taken away; and no two messages of a session share one."""
    message, other = await people.queue_message(ANA), await people.queue_message(BETO)
    await update(people, message, "wire_id = 'w'")
    for change in ("wire_id = 'v'", "wire_id = NULL"):
        assert "never changed" in await refused(people, message, change)
    assert "UNIQUE" in await refused(people, other, "wire_id = 'w'")


async def test_a_channel_changes_only_before_the_gate(people: ContactServices) -> None:
    """What was cleared for one channel is not sent by another."""
    message = await people.queue_message(ANA)
    await update(people, message, "channel = 'manual'")
    await update(people, message, "state = 'cleared'")
    assert "judged again" in await refused(people, message, "channel = 'simulated'")


async def move(
    people: ContactServices, message: str, target: MessageState, **columns: object
) -> None:
    """Move by the one function that may."""
    at = MIDDAY + timedelta(minutes=1)
    await people.database.write(
        lambda tx: messages.transition_message(
            tx,
            message,
            target,
            at=at,
            reason_code="tested",
            sentence="A test moved it.",
            who="eva",
            **columns,
        )
    )


async def test_a_move_writes_its_history_and_its_event_together(people: ContactServices) -> None:
    """And the event that is stored is the public one."""
    message = await people.queue_message(ANA)
    due = MIDDAY + timedelta(hours=1)
    await move(people, message, S.DEFERRED, due_at=due, decision="dec_1")
    rows = await people.database.read(lambda reader: messages.list_message_history(reader, message))
    assert [(row["previous"], row["state"], row["who"]) for row in rows] == [
        (None, "queued", "test"),
        ("queued", "deferred", "eva"),
    ]
    stored = people.published[-1]
    event = decode_event(stored.type, stored.subject, stored.at, stored.data)
    assert isinstance(event, MessageChanged)
    assert (event.previous, event.state, event.due_at) == ("queued", "deferred", due)
    assert (event.reason_code, event.decision, event.channel) == ("tested", "dec_1", "simulated")
    assert event.subject == message


async def test_a_move_that_is_not_legal_changes_nothing_and_says_where_it_stands(
    people: ContactServices,
) -> None:
    """No history, no event."""
    message = await people.queue_message(ANA)
    before = len(people.published)
    with pytest.raises(MessageStateConflict, match="queued") as caught:
        await move(people, message, S.SENT, wire_id="w")
    assert caught.value.state == "queued"
    assert len(people.published) == before
    with pytest.raises(KeyError):
        await move(people, "msg_0", S.CLEARED)


async def test_a_state_carries_nothing_of_the_one_before(people: ContactServices) -> None:
    """The deferral, the lease and the place in flight end with the state that had them."""
    message = await people.queue_message(ANA)
    await move(people, message, S.DEFERRED, waits_for="session", due_at=MIDDAY, needs_review=1)
    await move(people, message, S.QUEUED, channel="manual")
    await move(people, message, S.CLEARED)
    await move(people, message, S.TAKEN, taken_by="eva", lease_until=MIDDAY)
    taken = await people.database.read(lambda reader: messages.require_message(reader, message))
    assert (taken.waits_for, taken.due_at, taken.needs_review) == (None, None, False)
    assert taken.in_flight_key == taken.contact
    await move(people, message, S.CLEARED)
    back = await people.database.read(lambda reader: messages.require_message(reader, message))
    assert (back.taken_by, back.lease_until, back.in_flight_key) == (None, None, None)


@pytest.mark.parametrize(("commercial_only", "left"), [(True, 2), (False, 1)])
async def test_what_waits_for_a_contact_is_withdrawn(
    people: ContactServices, *, commercial_only: bool, left: int
) -> None:
    """Commercial messages on an inbound; replies too on an opt-out; the confirmation stays."""
    kinds = ("commercial", "reply", "opt_out_confirmation")
    mine = [await people.queue_message(ANA, kind=kind) for kind in kinds]
    await move(people, mine[0], S.CLEARED)
    other = await people.queue_message(BETO)
    contact = await people.resolve_contact(ANA)
    count = await people.database.write(
        lambda tx: messages.cancel_unsent_messages(
            tx,
            contact,
            at=MIDDAY,
            reason_code="tested",
            sentence="x",
            who="test",
            commercial_only=commercial_only,
        )
    )
    assert count == 3 - left
    states = [await people.get_message_state(each) for each in mine]
    assert states.count(S.CANCELLED) == 3 - left
    assert states[2] is S.QUEUED
    assert await people.get_message_state(other) is S.QUEUED


async def test_pages_come_newest_first_and_by_state(people: ContactServices) -> None:
    """Each page begins after the last id of the one before."""
    ids = []
    for number in range(3):
        ids.append(await people.queue_message(ANA, text=str(number)))
        await people.clock.advance(1)
    await move(people, ids[0], S.HELD)
    first = await people.database.read(lambda reader: messages.list_messages(reader, limit=2))
    assert [each.id for each in first] == [ids[2], ids[1]]
    rest = await people.database.read(lambda reader: messages.list_messages(reader, after=ids[1]))
    assert [each.id for each in rest] == [ids[0]]
    held = await people.database.read(
        lambda reader: messages.list_messages(reader, states=[S.HELD])
    )
    assert [each.id for each in held] == [ids[0]]
    counts = await people.database.read(messages.count_messages_by_state)
    assert counts == {"held": 1, "queued": 2}


async def test_a_record_tells_neither_text_nor_number(people: ContactServices) -> None:
    """Records are logged and raised about."""
    message = await people.queue_message(ANA, text="Muy privado")
    found = await people.database.read(lambda reader: messages.get_message(reader, message))
    assert repr(found) == f"MessageRecord('{message}', queued)"
    assert await people.database.read(lambda reader: messages.get_message(reader, "msg_0")) is None


async def test_whatever_was_due_is_over_once_its_time_was_processed(
    people: ContactServices,
) -> None:
    """Else the outbox, which sleeps until the next due time, would not sleep at all."""
    at = people.clock.now() + timedelta(hours=1)
    end = format_timestamp(at)
    lease = f"taken_by = 'eva', lease_until = '{end}'"
    rows = {
        (S.DEFERRED,): f"due_at = '{end}'",
        (S.DEFERRED, S.QUEUED): f"not_after = '{end}'",
        (S.CLEARED,): f"not_after = '{end}'",
        (S.HELD,): f"not_after = '{end}'",
        (S.QUEUED,): f"not_after = '{end}'",
        (S.CLEARED, S.TAKEN): f"{lease}, in_flight_key = 'one'",
        (S.CLEARED, S.TAKEN, S.REVEALED): f"{lease}, in_flight_key = 'another'",
    }
    for way, columns in rows.items():
        message = await people.queue_message(ANA)
        await update(people, message, "channel = 'manual'")
        for state in way:
            await update(people, message, f"state = '{state}', {columns}")

    def process(tx: Tx) -> int:
        moved = queue.expire_messages(tx, at) + queue.end_expired_leases(tx, at)
        return moved + queue.requeue_due_messages(tx, at)

    assert await people.database.read(queue.get_next_due_time) == at
    assert await people.database.write(process) == len(rows)
    due = await people.database.read(queue.get_next_due_time)
    assert due is None or due > at
