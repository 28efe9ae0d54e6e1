"""Validates a requested message and stores it as queued, once per idempotency key."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.api.effects import Draft, Prepared, SessionChoice
from daemon.api.permit import hash_body
from daemon.contacts.aliases import Aliases
from daemon.errors import BadRequest, IdempotencyConflict, NumberRejected
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A request to send a message. ``to`` is a number as people write it; times are aware.

    ``typed`` is what a person typed of a text that is made with ``template``; None: all of it. Both
    are stored as said; they take nothing out of the likeness of the text, since no template can be
    approved yet.
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

    @property
    def fingerprint(self) -> str:
        """A hash of everything in the request except the idempotency key."""
        asked = msgspec.json.encode(replace(self, key=None), order="sorted")
        return hashlib.sha256(asked).hexdigest()


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
        self._pacing = pacing
        self._aliases = aliases
        self._clock = clock
        self._settings = settings

    async def enqueue(self, request: SendRequest, who: str) -> MessageRecord:
        """Store a message as ``queued`` and return it; for a repeated request, the stored one.

        Raises :class:`NumberRejected`, :class:`BadRequest`, or :class:`IdempotencyConflict` when
        the idempotency key was used for another request.
        """
        _validate_request(request)
        if (known := await self._find_by_key(request)) is not None:
            return known
        try:
            number = numbers.parse_phone(request.to, self._settings.daemon.default_region)
        except numbers.NumberUnusable as error:
            raise NumberRejected(f"to: {error.sentence}") from error
        prepared = await self._prepare(request, number.e164)
        at = self._clock.now()
        return await self._database.write(
            lambda tx: self._insert(tx, request, prepared, number.e164, at, who)
        )

    async def _find_by_key(self, request: SendRequest) -> MessageRecord | None:
        if request.key is None:
            return None
        key = request.key
        found = await self._database.read(
            lambda reader: messages.find_message_by_idempotency_key(reader, key)
        )
        return _require_same_request(found, request) if found else None

    async def _prepare(self, request: SendRequest, recipient: str) -> Prepared:
        draft = Draft(
            recipient,
            request.text,
            request.session,
            request.channel,
            request.template,
            request.campaign,
        )
        choices = await self._database.read(self._list_session_choices)
        prepared = await self._plugins.prepare(draft, choices)
        if prepared is None:
            raise _build_no_session_error(request)
        return prepared

    def _list_session_choices(self, reader: Reader) -> list[SessionChoice]:
        now = self._clock.now()
        return [
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
        ]

    def _insert(
        self,
        tx: Tx,
        request: SendRequest,
        prepared: Prepared,
        recipient: str,
        at: datetime,
        who: str,
    ) -> MessageRecord:
        """Insert the message, or return the one of its idempotency key."""
        # Looked up again in the transaction: another caller may have used the key meanwhile.
        if request.key and (found := messages.find_message_by_idempotency_key(tx, request.key)):
            return _require_same_request(found, request)
        contact = contacts.resolve_contact(tx, self._aliases.from_phone(recipient), at)
        not_after, by_default = self._choose_expiry(tx, request, contact, at)
        message = build_message(
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
            not_before=request.not_before,
        )
        return messages.insert_message(tx, message, who=who)

    def _choose_expiry(
        self, tx: Tx, request: SendRequest, contact: str, at: datetime
    ) -> tuple[datetime, bool]:
        """Return until when a message may wait, and whether a wait of days may move that.

        That is the request's own moment, or one by the settings; a reply waits less, and its time
        is never moved.
        """
        if request.not_after:
            return request.not_after, False
        begins, sending = max(at, request.not_before or at), self._settings.sending
        said = evidence.list_contact_evidence(tx, contact)
        if not request.campaign and derive_permission(said, at) is Permission.CONVERSATION:
            return begins + timedelta(hours=sending.reply_expires_hours), False
        return begins + timedelta(days=sending.expires_days), True


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
