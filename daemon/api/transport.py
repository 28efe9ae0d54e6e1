"""The transport port: the protocol that a channel implements, and the types of its results."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec
from msgspec import Struct, field

from daemon.api.clock import Clock
from daemon.api.identity import Identity
from daemon.api.launcher import LaunchWorker
from daemon.api.permit import Permit, PermitVerifier, hash_body
from daemon.api.signals import Signal
from statemachines.vocabulary import BuiltinChannel

__all__ = [
    "Acknowledged",
    "BuiltinChannel",
    "CannotOpen",
    "Capabilities",
    "Channel",
    "Content",
    "KnownContact",
    "Media",
    "NumberAnswer",
    "OnWhatsApp",
    "OpenContext",
    "OpenTransport",
    "Outgoing",
    "Pairing",
    "Refused",
    "SendResult",
    "SessionInfo",
    "Template",
    "Text",
    "Transport",
    "Unknown",
    "hash_content",
    "redeem_permit",
]


class Text(Struct, frozen=True):
    """A plain text."""

    text: str

    def __repr__(self) -> str:
        """Keep the body out of logs."""
        return f"Text({len(self.text)} characters)"


class Template(Struct, frozen=True):
    """A text that the platform has approved; ``variables`` fill its placeholders in order."""

    name: str
    language: str
    variables: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Keep the variables out of logs."""
        return f"Template({self.name!r}, {self.language!r}, {len(self.variables)} variables)"


class Media(Struct, frozen=True):
    """A file with a caption; ``sha256`` is the hash of its bytes, as hex."""

    path: Path
    mime_type: str
    sha256: str
    caption: str = ""

    def __repr__(self) -> str:
        """Keep name and caption out of logs."""
        return f"Media({self.mime_type!r}, {len(self.caption)} characters)"


Content: TypeAlias = Text | Template | Media


def hash_content(content: Content) -> str:
    """Return the SHA-256, as hex, of all content that would be sent; permits are bound to it."""
    match content:
        case Text(text):
            return hash_body(text)
        # Tagged by kind, so that two contents of different kinds never have one hash.
        case Template(name, language, variables):
            document: tuple[object, ...] = ("template", name, language, variables)
        case Media(_, mime_type, sha256, caption):
            document = ("media", mime_type, sha256, caption)
    return hashlib.sha256(msgspec.json.encode(document)).hexdigest()


class Outgoing(Struct, frozen=True):
    """One message to send; ``message`` is our own id of it."""

    message: str
    recipient: Identity
    content: Content


class Acknowledged(Struct, frozen=True):
    """The platform's server acknowledged the message under ``wire_id``."""

    wire_id: str
    at: datetime


class Refused(Struct, frozen=True):
    """The message was certainly not sent. ``retryable``: the same message may be tried later.

    ``reason_code`` is the channel's stable code; ``code`` and ``detail`` are the platform's number
    and text, where it gives any; ``retry_after`` is how long it asks us to wait.
    """

    reason_code: str
    sentence: str
    retryable: bool = False
    code: int | None = None
    detail: str = ""
    retry_after: timedelta | None = None


class Unknown(Struct, frozen=True):
    """It is not known whether the message was sent. The daemon never sends it again by itself."""

    reason_code: str
    sentence: str


SendResult: TypeAlias = Acknowledged | Refused | Unknown


class CannotOpen(Exception):
    """A session can't be opened as it is configured; the message says what, where, what to do.

    Raise it from a channel's ``open``: the session fails at once, and is not tried again. With
    ``retryable`` it is tried again later: what is in the way may go without a person.
    """

    def __init__(self, sentence: str, *, retryable: bool = False) -> None:
        super().__init__(sentence)
        self.retryable = retryable


class OnWhatsApp(StrEnum):
    """The answer of a number check. UNKNOWN is never treated as NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class NumberAnswer(Struct, frozen=True):
    """The answer for one number; ``alias`` and ``whatsapp_id`` where the platform gives them."""

    phone: str
    answer: OnWhatsApp
    whatsapp_id: str | None = None
    alias: Identity | None = None


class KnownContact(Struct, frozen=True):
    """A contact of the account: all identities of the person, and the name that they chose."""

    identities: tuple[Identity, ...]
    name: str = ""

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"KnownContact({len(self.identities)} identities)"


class SessionInfo(Struct, frozen=True):
    """The data of a session that its transport gets.

    ``folder`` is the session's own, and may not exist yet: make it before you write there.
    ``pairing_phone`` is the number (E.164) of the phone to be linked by a code that is typed on
    it; without one, a phone is linked by QR codes.
    """

    name: str
    paired: bool
    phone: str | None
    folder: Path
    options: Mapping[str, object] = field(default_factory=dict)
    pairing_phone: str | None = None

    def __repr__(self) -> str:
        """Keep the phones' numbers out of logs."""
        return f"SessionInfo({self.name}, paired={self.paired})"


class Transport(Protocol):
    """The open connection of one session. It reports by ``signals()``, and never acts by itself."""

    def signals(self) -> AsyncIterator[Signal]:
        """Yield signals until the transport is closed; ends after ``TransportDied``."""
        ...

    async def connect(self) -> None:
        """Connect with the stored login, or begin pairing when there is none.

        Pairing is by a code where the session has a ``pairing_phone``, else by QR codes.
        A channel without pairing reports ``Connected()`` and then ``Synced()`` at once.
        """
        ...

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send exactly the message that the permit is for, and return the result.

        First call :func:`redeem_permit`, which raises ``PermitRefused`` for anything else. Return
        :class:`Acknowledged` only for an acknowledgement by the platform's server, :class:`Refused`
        only where the message was certainly not sent, else :class:`Unknown`.
        """
        ...

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return yes, no or unknown for each E.164 number, in any order."""
        ...

    async def contacts(self) -> Sequence[KnownContact]:
        """Return the account's contacts, as far as the platform gives them; else an empty list."""
        ...

    async def logout(self) -> None:
        """Unlink this device, and delete the stored login."""
        ...

    async def close(self) -> None:
        """Close the connection. Idempotent, bounded; does not raise where it is closed already."""
        ...


class OpenContext(Struct, frozen=True):
    """What a channel's ``open`` gets: the session, the clock, the verifier of permits, a launcher.

    ``launch`` starts a worker process, for a transport that needs one.
    """

    session: SessionInfo
    clock: Clock
    verifier: PermitVerifier
    launch: LaunchWorker


def redeem_permit(context: OpenContext, permit: Permit, outgoing: Outgoing) -> None:
    """Redeem the permit for exactly this message; ``send`` has to do this before anything else.

    Raises ``PermitRefused`` where it was given for anything else, or was used before.
    """
    context.verifier.redeem(
        permit,
        message=outgoing.message,
        recipient=outgoing.recipient.value,
        body=hash_content(outgoing.content),
        session=context.session.name,
        now=context.clock.now(),
    )


OpenTransport: TypeAlias = Callable[[OpenContext], Awaitable[Transport]]
ChooseOptions: TypeAlias = Callable[
    [Mapping[str, object], Mapping[str, object], Sequence[Mapping[str, object]]],
    Mapping[str, object],
]
"""Returns the options that a new session is stored with.

Gets the channel's settings, the options that were given, and those of the channel's other sessions.
Raises :class:`CannotOpen` where there is nothing left to choose. Called in a write transaction: it
has to be quick.
"""


class Pairing(StrEnum):
    """How a phone or an account is linked to a session of a channel."""

    QR = "qr"
    CODE = "code"
    QR_OR_CODE = "qr_or_code"
    NONE = "none"

    @property
    def by_qr(self) -> bool:
        """Whether a phone can be linked by scanning QR codes."""
        return self in {Pairing.QR, Pairing.QR_OR_CODE}

    @property
    def by_code(self) -> bool:
        """Whether a phone can be linked by a code that is typed on it."""
        return self in {Pairing.CODE, Pairing.QR_OR_CODE}


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a channel can do. What it does not declare is neither used nor accepted from it.

    ``acks``: a server acknowledges each message; without it the result of a send is never
    :class:`Acknowledged`. ``chooses_id``: it sends under our id. ``templates`` and ``media``: it
    sends that content. ``number_check``: it can check whether a number is on WhatsApp.
    ``receipts``: it reports delivery. ``history``: it replays history when a phone is linked.
    ``window_24h``: free text is allowed within 24 h of the contact's last message only.
    ``restrictions``: it reports limits on new chats.
    """

    acks: bool = False
    chooses_id: bool = False
    templates: bool = False
    media: bool = False
    number_check: bool = False
    receipts: bool = False
    pairing: Pairing = Pairing.NONE
    history: bool = False
    window_24h: bool = False
    restrictions: bool = False


class Channel(Struct, frozen=True):
    """A channel, as its plugin declares it.

    ``name`` is its name in rule files, rows and pages. ``open`` is None for a channel without a
    connection (manual). ``simulated`` channels may run on an injected clock. ``probe`` names a
    :class:`daemon.api.conformance.ChannelProbe` as ``module:attribute``, which the conformance
    suite uses to see and cause what happens on the platform. ``settings_only`` are the options that
    name files: the settings give them, and a session's own options, which may come from the
    network, never do. ``choose_options`` completes the options of a new session.
    """

    name: str
    summary: str
    open: OpenTransport | None
    capabilities: Capabilities = Capabilities()
    simulated: bool = False
    probe: str = ""
    settings_only: frozenset[str] = frozenset()
    choose_options: ChooseOptions | None = None

    def merge_options(
        self, settings: Mapping[str, object], own: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the options of a session: its own, and the settings for what they leave out."""
        return {
            **settings,
            **{name: value for name, value in own.items() if name not in self.settings_only},
        }

    @property
    def connects(self) -> bool:
        """Whether it has a connection; without one a person sends by hand."""
        return self.open is not None
