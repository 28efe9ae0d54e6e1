"""Validates a requested message and stores it as queued, once per idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.api.effects import Draft, Prepared, SessionChoice
from daemon.api.permit import hash_body
from daemon.contacts.aliases import Aliases
from daemon.errors import BadRequest, IdempotencyConflict, LeadMasterError, NumberRejected
from daemon.gate.consent import Permission, derive_permission
from daemon.outbox.pacing import Pacing
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from statemachines.session import CAN_SEND_STATES
from statemachines.vocabulary import BuiltinChannel, MessageKind
from storage import contacts, evaluation_context, evidence, messages, sessions
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord
from storage.tx import Reader, Tx

MAX_TEXT_LENGTH: Final = 4096
# Control characters except tab and line feed: no person types them, and no phone shows them.
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Formatting characters, such as a zero-width space: a text of these alone shows nothing.
_FORMAT_CATEGORY: Final = "Cf"


def validate_text(text: str) -> str:
    """Return the text as it will be sent: with line feeds as the only line ends.

    Raises :class:`BadRequest` for one that is empty, too long, or has control characters.
    """
    text = text.replace("\r\n", "\n")
    if all(each.isspace() or unicodedata.category(each) == _FORMAT_CATEGORY for each in text):
        raise BadRequest("text: the message is empty.", hint="Give the message a text.")
    if len(text) > MAX_TEXT_LENGTH:
        raise BadRequest(
            f"text: {len(text)} characters are more than a message can have.",
            hint=f"Keep it within {MAX_TEXT_LENGTH}.",
        )
    if found := _CONTROL_CHARACTER.search(text):
        raise BadRequest(
            f"text: character {found.start() + 1} is a control character (U+{ord(found[0]):04X}).",
            hint="Take it out; of these only tabs and the ends of lines can be sent.",
        )
    return text


def build_message(
    *,
    at: datetime,
    contact: str,
    recipient: str,
    session: str,
    channel: str,
    text: str,
    kind: MessageKind,
    not_after: datetime,
    expires_by_default: bool = False,
    key: str | None = None,
    request_hash: str = "",
    template: str | None = None,
    typed: str | None = None,
    campaign: str | None = None,
    not_before: datetime | None = None,
) -> MessageRecord:
    """Return a new message in state ``queued``; raise BadRequest for a text that can't be sent."""
    text = validate_text(text)  # again: plugins may have changed a request's, or written their own
    return MessageRecord(
        id=new_id("msg", at),
        idempotency_key=key,
        request_hash=request_hash,
        contact=contact,
        recipient=recipient,
        session=session,
        channel=channel,
        text=text,
        body_hash=hash_body(text),
        template=template,
        typed=typed,
        campaign=campaign,
        kind=kind,
        created_at=at,
        changed_at=at,
        not_before=not_before,
        not_after=not_after,
        expires_by_default=expires_by_default,
    )


class SendRequest(Struct, frozen=True, kw_only=True):
    """A request to send a message. ``to`` is a number as people write it; times are aware.

    ``typed`` is what a person typed of a text that is made with ``template``; None: all of it. Both
    are stored as said. ``template`` is the reference of a version (:func:`format_text_reference`):
    where a person approved that, the gate finds by itself what its variables were filled with, and
    compares this alone with other messages. With ``delay_seconds`` it can be taken back for so long
    after it was stored; two requests at different moments are the same one all the same.
    """

    to: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    typed: str | None = None
    campaign: str | None = None
    key: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    delay_seconds: int = 0

    @property
    def fingerprint(self) -> str:
        """A hash of everything in the request except the idempotency key."""
        asked = msgspec.json.encode(replace(self, key=None), order="sorted")
        return hashlib.sha256(asked).hexdigest()


class SessionChoices:
    """The sessions that a message may go by, read once for all requests that come at one time.

    Many producers ask at once, and each answer takes a handful of queries for each session.
    """

    def __init__(self, database: Database, pacing: Pacing, clock: Clock) -> None:
        self._database = database
        self._pacing = pacing
        self._clock = clock
        self._reading = asyncio.Lock()
        self._begun = 0
        self._latest = 0
        self._choices: Sequence[SessionChoice] = ()

    async def list_choices(self) -> Sequence[SessionChoice]:
        """Return every session with what it has left, as read after this was called."""
        begun_before = self._begun
        async with self._reading:
            if self._latest <= begun_before:
                self._begun += 1
                self._choices = await self._database.read(self._read_choices)
                self._latest = self._begun
            return self._choices

    def _read_choices(self, reader: Reader) -> tuple[SessionChoice, ...]:
        now = self._clock.now()
        return tuple(
            SessionChoice(
                name=session.name,
                channel=session.channel,
                phone=session.phone,
                ready=session.connection in CAN_SEND_STATES,
                new_chats_left=self._pacing.count_new_chats_left(
                    reader, evaluation_context.read_session_context(reader, session.name, now), now
                ),
            )
            for session in sessions.list_sessions(reader)
        )


class MessageEnqueuer:
    """Validates requests and stores them as queued messages."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        pacing: Pacing,
        aliases: Aliases,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._database = database
        self._plugins = plugins
        self._choices = SessionChoices(database, pacing, clock)
        self._aliases = aliases
        self._clock = clock
        self._settings = settings

    async def enqueue(
        self, request: SendRequest, who: str, *, first: Callable[[Tx], None] | None = None
    ) -> MessageRecord:
        """Store a message as ``queued`` and return it; for a repeated request, the stored one.

        ``first`` runs in the transaction that stores the message, and not for a repeated request;
        what it raises keeps the message from being stored. Raises :class:`NumberRejected`,
        :class:`BadRequest`, or :class:`IdempotencyConflict` when the idempotency key was used for
        another request.
        """
        _validate_request(request)
        if (known := await self._find_by_key(request)) is not None:
            return known
        recipient = self._parse_recipient(request)
        choices = await self._choices.list_choices()
        prepared = await self._prepare(request, recipient, choices)
        at = self._clock.now()
        return await self._database.write(
            lambda tx: self._insert(tx, request, prepared, recipient, at, who, first)
        )

    async def _find_by_key(self, request: SendRequest) -> MessageRecord | None:
        if request.key is None:
            return None
        key = request.key
        found = await self._database.read(
            lambda reader: messages.find_message_by_idempotency_key(reader, key)
        )
        return _require_same_request(found, request) if found else None

    async def _prepare(
        self, request: SendRequest, recipient: str, choices: Sequence[SessionChoice]
    ) -> Prepared:
        draft = Draft(
            recipient,
            request.text,
            request.session,
            request.channel,
            request.template,
            request.campaign,
        )
        if request.session is not None:
            choices = [each for each in choices if each.name == request.session]
        prepared = await self._plugins.prepare(draft, choices)
        if prepared is None:
            raise _build_no_session_error(request)
        return prepared

    def _insert(
        self,
        tx: Tx,
        request: SendRequest,
        prepared: Prepared,
        recipient: str,
        at: datetime,
        who: str,
        first: Callable[[Tx], None] | None,
    ) -> MessageRecord:
        """Insert the message, or return the one of its idempotency key."""
        # Looked up again in the transaction: another caller may have used the key meanwhile.
        if request.key and (found := messages.find_message_by_idempotency_key(tx, request.key)):
            return _require_same_request(found, request)
        if first is not None:
            first(tx)
        contact = contacts.resolve_contact(tx, self._aliases.from_phone(recipient), at)
        message = self._build(tx, request, prepared, recipient, contact, at)
        return messages.insert_message(tx, message, who=who)

    async def draft(self, request: SendRequest) -> MessageRecord:
        """Return the message that :meth:`enqueue` would store, and store nothing.

        Its contact is empty where the number belongs to nobody that is known. Raises what
        :meth:`enqueue` raises.
        """
        _validate_request(request)
        recipient = self._parse_recipient(request)
        choices = await self._choices.list_choices()
        prepared, at = await self._prepare(request, recipient, choices), self._clock.now()
        aliases = self._aliases.from_phone(recipient)
        return await self._database.read(
            lambda reader: self._build(
                reader,
                request,
                prepared,
                recipient,
                contacts.find_contact_by_aliases(reader, aliases) or "",
                at,
            )
        )

    async def draft_all(
        self, requests: Sequence[SendRequest]
    ) -> list[MessageRecord | LeadMasterError]:
        """Return what :meth:`draft` would return for each request, or the error it would raise."""
        choices = await self._choices.list_choices()
        prepared = [await self._try_prepare(request, choices) for request in requests]
        at = self._clock.now()

        def build(reader: Reader) -> list[MessageRecord | LeadMasterError]:
            return [
                found
                if isinstance(found, LeadMasterError)
                else self._try_build(reader, request, *found, at)
                for request, found in zip(requests, prepared, strict=True)
            ]

        return await self._database.read(build)

    async def _try_prepare(
        self, request: SendRequest, choices: Sequence[SessionChoice]
    ) -> tuple[Prepared, str] | LeadMasterError:
        try:
            _validate_request(request)
            recipient = self._parse_recipient(request)
            return await self._prepare(request, recipient, choices), recipient
        except LeadMasterError as error:
            return error

    def _try_build(
        self,
        reader: Reader,
        request: SendRequest,
        prepared: Prepared,
        recipient: str,
        at: datetime,
    ) -> MessageRecord | LeadMasterError:
        aliases = self._aliases.from_phone(recipient)
        contact = contacts.find_contact_by_aliases(reader, aliases) or ""
        try:
            return self._build(reader, request, prepared, recipient, contact, at)
        except LeadMasterError as error:
            return error

    def _parse_recipient(self, request: SendRequest) -> str:
        try:
            return numbers.parse_phone(request.to, self._settings.daemon.default_region).e164
        except numbers.NumberUnusable as error:
            raise NumberRejected(f"to: {error.sentence}") from error

    def _build(
        self,
        reader: Reader,
        request: SendRequest,
        prepared: Prepared,
        recipient: str,
        contact: str,
        at: datetime,
    ) -> MessageRecord:
        not_after, by_default = self._choose_expiry(reader, request, contact, at)
        delayed = at + timedelta(seconds=request.delay_seconds) if request.delay_seconds else None
        return build_message(
            at=at,
            contact=contact,
            recipient=recipient,
            session=prepared.session,
            channel=prepared.channel,
            text=prepared.text,
            kind=MessageKind.COMMERCIAL,  # the strictest, until the gate derives the kind
            not_after=not_after,
            expires_by_default=by_default,
            key=request.key,
            request_hash=request.fingerprint,
            template=request.template,
            typed=request.typed,
            campaign=request.campaign,
            not_before=request.not_before or delayed,
        )

    def _choose_expiry(
        self, reader: Reader, request: SendRequest, contact: str, at: datetime
    ) -> tuple[datetime, bool]:
        """Return until when a message may wait, and whether a wait of days may move that.

        That is the request's own moment, or one by the settings; a reply waits less, and its time
        is never moved.
        """
        if request.not_after:
            return request.not_after, False
        begins, sending = max(at, request.not_before or at), self._settings.sending
        if not request.campaign and _is_in_conversation(reader, contact, at):
            return begins + timedelta(hours=sending.reply_expires_hours), False
        return begins + timedelta(days=sending.expires_days), True


def _is_in_conversation(reader: Reader, contact: str, at: datetime) -> bool:
    said = evidence.list_contact_evidence(reader, contact)
    return derive_permission(said, at) is Permission.CONVERSATION


def _build_no_session_error(request: SendRequest) -> BadRequest:
    """Return the error where no session takes a message, with a command that adds one."""
    session, channel = request.session, request.channel
    if session and channel:
        sentence = f"session: there is no session {session!r} on the channel {channel!r}."
    elif channel:
        sentence = f"channel: there is no session on the channel {channel!r}."
    elif session:
        sentence = f"session: there is no session {session!r}."
    else:
        sentence = "session: there is no session that could take this message."
    wanted = f"{session or 'NAME'} --channel {channel or BuiltinChannel.SIMULATED}"
    return BadRequest(sentence, hint=f"Add one with: leadmaster sessions add {wanted}")


def _require_same_request(found: MessageRecord, request: SendRequest) -> MessageRecord:
    if found.request_hash != request.fingerprint:
        raise IdempotencyConflict(
            f"The key was used for another message, {found.id}, with another recipient or text."
        )
    return found


def _validate_request(request: SendRequest) -> None:
    validate_text(request.text)
    _validate_typed(request)
    begins, ends = request.not_before, request.not_after
    if begins and ends and ends <= begins:
        raise BadRequest("not_after: it ends before not_before.", hint="Swap the two times.")


def _validate_typed(request: SendRequest) -> None:
    """Refuse typed words that are not in the text, or without the template of the others."""
    if request.typed is None:
        return
    if not request.template:
        raise BadRequest(
            "typed: it goes with a template, which the other words are of.",
            hint="Name the template, or leave typed out: without one everything is typed.",
        )
    if any(line.strip() not in request.text for line in request.typed.splitlines()):
        raise BadRequest(
            "typed: these words are not in the text.",
            hint="Give what a person typed as it is in the text, each part on a line of its own.",
        )
