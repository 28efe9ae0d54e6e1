"""What becomes of the messages of a deleted session: asked for, cancelled, moved, all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.contacts.aliases import Aliases
from daemon.errors import BadRequest, Conflict, LeadMasterError, NotFound, SessionQueueNotEmpty
from daemon.outbox.enqueue import build_message
from daemon.sessions.queue_disposal import QueueChoice, QueueDisposal, list_move_targets
from statemachines.message import CANCELLABLE_STATES, MessageState
from statemachines.session import ConnectionState
from statemachines.vocabulary import MessageKind
from storage import audit, contacts, messages, sessions
from storage.errors import DiskFull
from storage.journal import SuppressionJournal
from storage.messages import MessageRecord
from storage.tx import Tx
from tests.helpers.services.database import build_session_record
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    leave_stored_sessions,
    open_session_services,
)

S = MessageState
UNSENT = sorted(CANCELLABLE_STATES)
CANCEL = QueueDisposal(QueueChoice.CANCEL)
OTHERS = {
    "same": {"phone": SESSION_PHONE},
    "other": {"phone": "+5491100000002"},
    "unlinked": {"phone": None},
    "by_hand": {"phone": SESSION_PHONE, "channel": "manual"},
    "elsewhere": {"phone": SESSION_PHONE, "channel": "puppet"},
}


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[SessionServices]:
    """A ready session, and others of its number and of none."""
    columns = {SESSION_NAME: {"phone": SESSION_PHONE}, **OTHERS}
    records = [
        replace(build_session_record(name, connection=ConnectionState.STOPPED), **each)  # type: ignore[arg-type]
        for name, each in columns.items()
    ]
    await leave_stored_sessions(tmp_path, *records)
    async with open_session_services(tmp_path) as opened:
        await opened.sessions.restore()
        yield opened


async def enter_message(
    services: SessionServices, folder: Path, state: MessageState, *, channel: str = "simulated"
) -> str:
    """Enter a message of the session to somebody new, and lead it to a state."""
    at, aliases = services.clock.now(), Aliases(SuppressionJournal(folder).hash)

    def job(tx: Tx) -> str:
        phone = f"+54911455600{tx.value('SELECT count(*) FROM messages'):02}"
        made = build_message(
            at=at,
            contact=contacts.resolve_contact(tx, aliases.from_phone(phone), at),
            recipient=phone,
            session=SESSION_NAME,
            channel="manual" if state is S.TAKEN else channel,
            text="Hola",
            kind=MessageKind.COMMERCIAL,
            not_after=at + timedelta(days=7),
        )
        messages.insert_message(tx, made, who="test")
        why = {"at": at, "reason_code": "", "sentence": "", "who": "test"}
        for step in {S.QUEUED: (), S.TAKEN: (S.CLEARED, S.TAKEN)}.get(state, (state,)):
            lease = {"taken_by": "eva", "lease_until": at} if step is S.TAKEN else {}
            messages.transition_message(tx, made.id, step, **why, **lease)  # type: ignore[arg-type]
        return made.id

    return await services.database.write(job)


async def get_message(services: SessionServices, message: str) -> MessageRecord:
    """Return a message as it is stored."""
    return await services.database.read(lambda reader: messages.require_message(reader, message))


async def is_there(services: SessionServices) -> bool:
    """Tell whether the session was not deleted."""
    found = await services.database.read(lambda reader: sessions.get_session(reader, SESSION_NAME))
    return found is not None


@pytest.mark.parametrize("state", UNSENT)
async def test_nothing_is_deleted_before_somebody_chose(
    services: SessionServices, tmp_path: Path, state: MessageState
) -> None:
    """The refusal says how many there are, and leaves everything as it was."""
    message = await enter_message(services, tmp_path, state)
    before = await services.database.read(lambda reader: sessions.get_session(reader, SESSION_NAME))
    with pytest.raises(SessionQueueNotEmpty, match="has 1 message that has not left"):
        await services.sessions.delete(SESSION_NAME, "ana")
    await enter_message(services, tmp_path, state)
    with pytest.raises(SessionQueueNotEmpty, match="has 2 messages that have not left"):
        await services.sessions.delete(SESSION_NAME, "ana")
    assert (await get_message(services, message)).state is state
    after = await services.database.read(lambda reader: sessions.get_session(reader, SESSION_NAME))
    assert after == before


@pytest.mark.parametrize("state", UNSENT)
async def test_its_messages_are_cancelled_with_it(
    services: SessionServices, tmp_path: Path, state: MessageState
) -> None:
    """One transaction, one entry of the audit with their number."""
    message = await enter_message(services, tmp_path, state)
    await services.sessions.delete(SESSION_NAME, "ana", CANCEL)
    found = await get_message(services, message)
    assert (found.state, found.reason_code) == (S.CANCELLED, "session_deleted")
    entries = await services.database.read(
        lambda reader: audit.list_subject_audit_entries(reader, SESSION_NAME)
    )
    told = [(entry.who, entry.action, entry.detail) for entry in entries]
    assert told[-1] == ("ana", "session_deleted", {"cancelled": 1})
    assert not await is_there(services)


@pytest.mark.parametrize("state", UNSENT)
@pytest.mark.parametrize(("to", "channel"), [("same", "simulated"), ("elsewhere", "puppet")])
async def test_its_messages_go_to_a_session_of_the_same_number(
    services: SessionServices, tmp_path: Path, state: MessageState, to: str, channel: str
) -> None:
    """Judged anew there, on its channel; what is sent by hand stays by hand."""
    message = await enter_message(services, tmp_path, state)
    await services.sessions.delete(SESSION_NAME, "ana", QueueDisposal(QueueChoice.MOVE, to))
    found = await get_message(services, message)
    assert (found.state, found.session, found.taken_by) == (S.QUEUED, to, None)
    assert found.channel == ("manual" if state is S.TAKEN else channel)
    assert found.sentence == f"It goes out by the session {to} now."
    assert not await is_there(services)


@pytest.mark.parametrize(
    ("disposal", "refusal", "sentence"),
    [
        (QueueDisposal(QueueChoice.MOVE, "other"), Conflict, "another number"),
        (QueueDisposal(QueueChoice.MOVE, "unlinked"), Conflict, "another number"),
        (QueueDisposal(QueueChoice.MOVE, "by_hand"), Conflict, "another kind of channel"),
        (QueueDisposal(QueueChoice.MOVE, "nobody"), NotFound, "no session 'nobody'"),
        (QueueDisposal(QueueChoice.MOVE, SESSION_NAME), BadRequest, "already"),
        (QueueDisposal(QueueChoice.MOVE), BadRequest, "name the session"),
        (QueueDisposal(QueueChoice.CANCEL, "same"), BadRequest, "only queue=move"),
        (QueueDisposal(to="same"), BadRequest, "only queue=move"),
    ],
)
async def test_a_choice_that_can_not_be_is_refused_with_a_sentence(
    services: SessionServices,
    tmp_path: Path,
    disposal: QueueDisposal,
    refusal: type[LeadMasterError],
    sentence: str,
) -> None:
    """Above all: what was agreed with one number is never said from another."""
    message = await enter_message(services, tmp_path, S.QUEUED)
    with pytest.raises(refusal, match=sentence):
        await services.sessions.delete(SESSION_NAME, "ana", disposal)
    assert (await get_message(services, message)).session == SESSION_NAME
    assert await is_there(services)


async def test_what_may_have_left_goes_nowhere(services: SessionServices, tmp_path: Path) -> None:
    """A message in doubt keeps its session, and nobody is asked about it."""
    message = await enter_message(services, tmp_path, S.CLEARED)
    await services.database.write(
        lambda tx: tx.execute(
            "UPDATE messages SET state = 'sending', decision = 'd', permit = 'p',"
            " in_flight_key = 'k' WHERE id = ?",
            (message,),
        )
    )
    await services.sessions.delete(SESSION_NAME, "ana")
    found = await get_message(services, message)
    assert (found.state, found.session) == (S.SENDING, SESSION_NAME)


async def test_a_full_disk_deletes_nothing_and_cancels_nothing(
    services: SessionServices, tmp_path: Path
) -> None:
    """All in one transaction: a half of it is never seen."""
    message = await enter_message(services, tmp_path, S.QUEUED)
    services.database.refuses = True
    with pytest.raises(DiskFull):
        await services.sessions.delete(SESSION_NAME, "ana", CANCEL)
    services.database.refuses = False
    assert (await get_message(services, message)).state is S.QUEUED
    assert await is_there(services)
    await services.sessions.delete(SESSION_NAME, "ana", CANCEL)
    assert (await get_message(services, message)).state is S.CANCELLED


async def test_only_sessions_that_may_take_them_are_offered(services: SessionServices) -> None:
    """Of the same number and the same kind of channel, by name."""
    offered = await services.database.read(lambda reader: list_move_targets(reader, SESSION_NAME))
    assert offered == ["elsewhere", "same"]
    for name in ("unlinked", "nobody"):
        assert await services.database.read(partial(list_move_targets, session=name)) == []


async def test_the_last_news_of_a_session_is_that_it_is_gone(services: SessionServices) -> None:
    """Who follows the events must not see it again after it was deleted."""
    await services.sessions.delete(SESSION_NAME, "ana")
    told = [event.type for event in services.events if event.subject == SESSION_NAME]
    assert told[-1] == "session.deleted"
    assert told.count("session.deleted") == 1
