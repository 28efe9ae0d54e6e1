"""The transport port: what a channel must offer, and what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

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


@dataclass(frozen=True, slots=True)
class Text:
    """A plain text."""

    text: str

    def __repr__(self) -> str:
        """Keep the body out of logs."""
        return f"Text({len(self.text)} characters)"


@dataclass(frozen=True, slots=True)
class Template:
    """A text that the platform approved before; ``variables`` fill its gaps in order."""

    name: str
    language: str
    variables: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Keep what fills the gaps out of logs."""
        return f"Template({self.name!r}, {self.language!r}, {len(self.variables)} variables)"


@dataclass(frozen=True, slots=True)
class Media:
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
    """Return what a permit binds to: the SHA-256, as hex, of everything that would go out."""
    match content:
        case Text(text):
            return hash_body(text)
        case Template(name, language, variables):
            document: tuple[object, ...] = ("template", name, language, variables)
        case Media(_, mime_type, sha256, caption):
            document = ("media", mime_type, sha256, caption)
    return hashlib.sha256(msgspec.json.encode(document)).hexdigest()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it goes to the wire; ``message`` is our own id of it."""

    message: str
    recipient: Identity
    content: Content


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A server acknowledged the message under ``wire_id``."""

    wire_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not sent. ``retryable`` says whether the same message may be tried later.

    ``reason_code`` is the channel's stable word; ``code`` and ``detail`` are the platform's number
    and its own word, where it gives any; ``retry_after`` is how long it asks us to wait.
    """

    reason_code: str
    sentence: str
    retryable: bool = False
    code: int | None = None
    detail: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say whether it left. It is never sent again blindly."""

    reason_code: str
    sentence: str


SendResult: TypeAlias = Acknowledged | Refused | Unknown


class CannotOpen(Exception):
    """A line can't be opened as it is configured; the message says what, where, what to do.

    Raise it from a channel's ``open``: the session fails at once, because trying again is no use.
    """


class OnWhatsApp(StrEnum):
    """The three answers of a number check; unknown never becomes no."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NumberAnswer:
    """One number's answer; ``alias`` and ``whatsapp_id`` where the platform tells them."""

    phone: str
    answer: OnWhatsApp
    whatsapp_id: str | None = None
    alias: Identity | None = None


@dataclass(frozen=True, slots=True)
class KnownContact:
    """Somebody whom the account knows: every identity of theirs, and the name that they chose."""

    identities: tuple[Identity, ...]
    name: str = ""

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"KnownContact({len(self.identities)} identities)"


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a transport may know of the session it serves."""

    name: str
    paired: bool
    phone: str | None
    folder: Path
    options: Mapping[str, object] = field(default_factory=dict)


class Transport(Protocol):
    """The open connection of one session. It reports by ``signals()``, never acts by itself."""

    def signals(self) -> AsyncIterator[Signal]:
        """Yield signals until the transport is closed; ends after ``TransportDied``."""
        ...

    async def connect(self) -> None:
        """Connect with the stored login, or begin pairing when there is none.

        A channel without pairing reports ``Connected()`` and then ``Synced()`` at once.
        """
        ...

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Send exactly what the permit allows.

        First call :func:`redeem_permit`: it raises ``PermitRefused`` for anything else,
        and accepts each permit once. Return :class:`Acknowledged` for a server's acknowledgement
        only, :class:`Refused` only for what certainly did not leave, else :class:`Unknown`.
        """
        ...

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer yes, no or unknown for each E.164 number, in any order."""
        ...

    async def contacts(self) -> Sequence[KnownContact]:
        """Return whom the account knows, as far as the platform tells; empty where it does not."""
        ...

    async def logout(self) -> None:
        """Unlink this device; the stored login is gone afterwards."""
        ...

    async def close(self) -> None:
        """Close the connection. Idempotent, bounded, never raises where it is closed already."""
        ...


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What a channel is given to open the connection of one session.

    ``launch`` starts the worker process of a transport that needs one.
    """

    session: SessionInfo
    clock: Clock
    verifier: PermitVerifier
    launch: LaunchWorker


def redeem_permit(context: OpenContext, permit: Permit, outgoing: Outgoing) -> None:
    """Spend the permit for exactly this message, as the first thing that ``send`` does.

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


class Pairing(StrEnum):
    """How a phone or an account is linked to a session of a channel."""

    QR = "qr"
    CODE = "code"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do. What is not declared is not expected, and not believed.

    ``acks``: a server acknowledges each message; without it the answer of a send is never
    :class:`Acknowledged`. ``chooses_id``: it sends under our id. ``templates`` and ``media``: it
    takes that content. ``number_check``: it can say whether a number is on WhatsApp. ``receipts``:
    it reports delivery. ``history``: it replays the past when a phone is linked. ``window_24h``:
    free text goes within 24 h of their last message only. ``restrictions``: it reports limits on
    new chats.
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


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as its plugin declares it.

    ``name`` is the word in rule files, rows and pages. ``open`` is None for a channel without a
    connection (manual). ``simulated`` channels may run on an injected clock. ``probe`` names a
    :class:`daemon.api.conformance.ChannelProbe` as ``module:attribute``: with it the conformance
    suite sees and moves what is outside of the channel.
    """

    name: str
    summary: str
    open: OpenTransport | None
    capabilities: Capabilities = Capabilities()
    simulated: bool = False
    probe: str = ""

    @property
    def connects(self) -> bool:
        """Return whether it has a connection; without one a person sends by hand."""
        return self.open is not None
