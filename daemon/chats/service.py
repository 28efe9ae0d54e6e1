"""What a person does with a chat: take, close, snooze, draft, read, answer, or see a stranger's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.chats.presence import ChatPresence
from daemon.chats.reading import (
    ChatDetail,
    ChatSummary,
    ChatTab,
    build_summary,
    count_tabs,
    list_chats,
    read_chat,
)
from daemon.contacts.aliases import list_searched_spellings
from daemon.errors import BadRequest, Conflict, LeadMasterError, NotFound
from daemon.events import ConversationChanged
from daemon.outbox import Outbox
from daemon.outbox.enqueue import MAX_TEXT_LENGTH, SendRequest
from daemon.outbox.message_check import MessageCheck, MessageCheckResult
from daemon.settings import DaemonSettings
from storage import contacts, conversation_queries, conversations, prospects
from storage.conversation_queries import ChatLine, ChatTrouble
from storage.db import Database
from storage.messages import MessageRecord
from storage.tx import Reader, Tx
from storage.waiting import list_unanswered

UNDO_SECONDS: Final = 5
"""How long an answer waits before it may leave, so that it can be taken back."""
WRITING_LEASE: Final = timedelta(minutes=2)
MAX_SNOOZE: Final = timedelta(days=90)


class ConversationMoved(LeadMasterError):
    """Something came into the chat after what the writer of an answer has seen."""

    code = "conversation_moved"
    status = 409
    hint = "Read what is new, and send your answer again if it still fits."

    def __init__(self, sentence: str, lines: Sequence[ChatLine]) -> None:
        super().__init__(sentence)
        self.lines = lines

    def to_problem(self) -> dict[str, object]:
        """Return the fields of a problem document, with the new lines, oldest first."""
        return {**super().to_problem(), "lines": self.lines}


class ChatService:
    """Reads chats, and stores what people do with them; each change is an event."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        message_check: MessageCheck,
        clock: Clock,
        settings: DaemonSettings,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._message_check = message_check
        self._clock = clock
        self._zone = ZoneInfo(settings.time_zone)
        self._region = settings.default_region
        self._presence = ChatPresence(clock)

    async def list_chats(
        self, tab: ChatTab, who: str, *, text: str = "", after: str = "", limit: int = 50
    ) -> list[ChatSummary]:
        """Return the chats of a tab; see :func:`daemon.chats.reading.list_chats`."""
        now, numbers = self._clock.now(), list_searched_spellings(text, self._region)
        return await self._database.read(
            lambda reader: list_chats(
                reader, tab, who=who, now=now, text=text, numbers=numbers, after=after, limit=limit
            )
        )

    async def read_chat(self, contact: str, who: str) -> ChatDetail:
        """Return one chat. Raises :class:`NotFound` where nobody wrote."""
        now = self._clock.now()

        def job(reader: Reader) -> ChatDetail:
            known = contacts.get_merged_contact(reader, contact)
            viewers = self._presence.list_viewers(known, who)
            return read_chat(reader, known, who=who, now=now, zone=self._zone, viewers=viewers)

        return await self._database.read(job)

    async def count_tabs(self, who: str) -> dict[ChatTab, int]:
        """Return how many chats each tab has, but the one of all."""
        now = self._clock.now()
        return await self._database.read(lambda reader: count_tabs(reader, who=who, now=now))

    async def check_reply(
        self, contact: str, text: str, *, template: str | None = None
    ) -> MessageCheckResult:
        """Return what would become of an answer if it were sent now; nothing is stored.

        Raises what sending it would raise, but for what is newer than its writer has seen.
        """
        _, phone, session = await self._database.read(lambda reader: _find_address(reader, contact))
        request = SendRequest(to=phone, text=text, session=session, template=template)
        return await self._message_check.check(request)

    async def take(self, contact: str, who: str, *, mine: bool = True) -> ChatSummary:
        """Say that a chat is the caller's, or nobody's any more."""
        change = "taken" if mine else "returned"
        return await self._change(
            contact,
            who,
            change,
            lambda tx, known: conversations.take_conversation(tx, known, who=who if mine else None),
        )

    async def close(self, contact: str, who: str, *, closed: bool = True) -> ChatSummary:
        """Close a chat for everybody until they write again, or undo that."""
        at = self._clock.now()

        def job(tx: Tx, known: str) -> None:
            if closed:
                conversations.close_conversation(tx, known, who=who, at=at)
            else:
                conversations.reopen_conversation(tx, known)

        return await self._change(contact, who, "closed" if closed else "reopened", job)

    async def snooze(self, contact: str, who: str, until: datetime | None) -> ChatSummary:
        """Let a chat wait until a time or their next message; None ends that.

        Raises :class:`BadRequest` for a time that has passed or is more than 90 days away.
        """
        now = self._clock.now()
        if until is not None and not now < until <= now + MAX_SNOOZE:
            raise BadRequest("until: it must be in the next 90 days.", hint="Choose another time.")
        return await self._change(
            contact,
            who,
            "snoozed" if until else "woken",
            lambda tx, known: conversations.snooze_conversation(tx, known, who=who, until=until),
        )

    async def mark_read(self, contact: str, who: str, *, read: bool = True) -> None:
        """Note that a person has read a chat up to now, or that it is unread for them."""

        def job(tx: Tx) -> None:
            known = require_chat(tx, contact)
            last = conversations.get_last_inbound(tx, known) if read else None
            conversations.mark_read(tx, known, who=who, inbound=last)

        await self._database.write(job, urgent=True)

    async def view(self, contact: str, who: str, *, viewing: bool = True) -> Sequence[str]:
        """Note that a person looks at a chat for some seconds, or no longer; return who else does.

        It is for the others, who see the name; it keeps nobody from anything.
        """
        now = self._clock.now()

        def job(tx: Tx) -> Sequence[str]:
            known = require_chat(tx, contact)
            if self._presence.note(known, who, viewing=viewing):
                emit_change(tx, known, "viewing" if viewing else "stopped_viewing", who, now)
            return self._presence.list_viewers(known, who)

        return await self._database.write(job, urgent=True)

    async def save_draft(self, contact: str, who: str, text: str) -> ChatSummary:
        """Keep what a person has typed; the first key takes the chat to answer for two minutes.

        Somebody who types already keeps that; the result names them.
        """
        if len(text) > MAX_TEXT_LENGTH:
            raise BadRequest(f"text: it must have at most {MAX_TEXT_LENGTH} characters.")
        now = self._clock.now()

        def job(tx: Tx) -> ChatSummary:
            known = require_chat(tx, contact)
            conversations.store_draft(tx, known, who=who, text=text, at=now)
            writer = conversations.get_conversation(tx, known).find_writer(now)
            if writer in {None, who}:
                wanted = who if text else None
                until = now + WRITING_LEASE if text else None
                conversations.set_writer(tx, known, who=wanted, until=until)
                if wanted != writer:
                    emit_change(tx, known, "writing" if text else "stopped_writing", who, now)
            return _summarise(tx, known, who, now)

        return await self._database.write(job, urgent=True)

    async def reply(
        self,
        contact: str,
        who: str,
        text: str,
        *,
        last_seen: str,
        key: str,
        template: str | None = None,
        take_over: bool = False,
        also: Callable[[Tx, str], None] | None = None,
    ) -> MessageRecord:
        """Queue an answer, which may leave after five seconds; the gate decides on it.

        ``last_seen`` is the newest line that its writer saw. The same ``key`` is the same answer.
        ``also`` stores, in the same transaction, what belongs to it; it gets the contact.
        Raises :class:`ConversationMoved` where something is newer, :class:`Conflict` while another
        person answers, unless ``take_over``, or while it isn't known whether the last one left.
        """
        known, phone, session = await self._database.read(
            lambda reader: _find_address(reader, contact)
        )
        request = SendRequest(to=phone, text=text, session=session, template=template, key=key)
        request = replace(request, delay_seconds=UNDO_SECONDS)
        now = self._clock.now()

        def prepare(tx: Tx) -> None:
            _require_same_chat(tx, known, last_seen)
            _require_free(tx, known, who, now, take_over=take_over)
            if also is not None:
                also(tx, known)
            conversations.store_draft(tx, known, who=who, text="", at=now)
            conversations.set_writer(tx, known, who=None, until=None)
            emit_change(tx, known, "stopped_writing", who, now)

        return await self._outbox.enqueue(request, who, first=prepare)

    async def _change(
        self, contact: str, who: str, change: str, job: Callable[[Tx, str], None]
    ) -> ChatSummary:
        now = self._clock.now()

        def write(tx: Tx) -> ChatSummary:
            known = require_chat(tx, contact)
            job(tx, known)
            emit_change(tx, known, change, who, now)
            return _summarise(tx, known, who, now)

        return await self._database.write(write, urgent=True)


def require_chat(reader: Reader, contact: str) -> str:
    """Return the contact, or the one it was merged into. Raises NotFound where nobody wrote."""
    known = contacts.get_merged_contact(reader, contact)
    if not conversation_queries.has_written(reader, known):
        raise NotFound(f"There is no chat with {contact}.", hint="List them: leadmaster chats list")
    return known


def _find_address(reader: Reader, contact: str) -> tuple[str, str, str | None]:
    """Return contact, number and session of an answer."""
    known = require_chat(reader, contact)
    prospect = prospects.find_prospect_by_contact(reader, known)
    phone = prospect.phone if prospect else conversation_queries.find_phone(reader, known)
    if not phone:
        raise Conflict(
            "Their number is not known yet, so LeadMaster can't answer.",
            hint="Answer on the phone itself.",
        )
    return known, phone, conversation_queries.find_last_session(reader, known)


def _require_same_chat(reader: Reader, contact: str, last_seen: str) -> None:
    newer = [
        each
        for each in conversation_queries.list_lines(reader, contact)
        if each.position > last_seen.partition("_")[2]
    ]
    if newer:
        raise ConversationMoved("Something new came in while you were writing.", newer)


def _require_free(
    reader: Reader, contact: str, who: str, now: datetime, *, take_over: bool
) -> None:
    """Raise Conflict while another person answers, or a message of ours is in doubt."""
    if conversation_queries.find_trouble(reader, contact) is ChatTrouble.IN_DOUBT:
        raise Conflict(
            "We can't tell whether your last message left.",
            hint="Look at the phone and say whether it did, then write again.",
        )
    writer = conversations.get_conversation(reader, contact).find_writer(now)
    if writer not in {None, who} and not take_over:
        raise Conflict(f"{writer} is answering this chat.", hint="Take it over if you have to.")


def emit_change(tx: Tx, contact: str, change: str, who: str, at: datetime) -> None:
    """Announce what a person did with a chat, once the transaction is committed."""
    tx.emit(ConversationChanged(subject=contact, at=at, change=change, who=who))


def _summarise(reader: Reader, contact: str, who: str, now: datetime) -> ChatSummary:
    found = next(iter(list_unanswered(reader, now, contact=contact)), None)
    return build_summary(reader, contact, found, who=who, now=now)
