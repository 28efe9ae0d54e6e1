"""The transport port: what a channel must offer, and what it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitVerifier
from daemon.api.signals import Signal
from statemachines.vocabulary import BuiltinChannel

__all__ = [
    "Acknowledged",
    "BuiltinChannel",
    "CannotOpen",
    "Channel",
    "NumberAnswer",
    "OnWhatsApp",
    "OpenContext",
    "OpenTransport",
    "Outgoing",
    "Refused",
    "SendResult",
    "SessionInfo",
    "Transport",
    "Unknown",
]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it goes to the wire: recipient in E.164, plain text."""

    message: str
    recipient: str
    text: str

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"Outgoing({self.message!r}, {len(self.text)} characters)"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A server acknowledged the message under ``wire_id``."""

    wire_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not sent. ``retryable`` says whether the same message may be tried later."""

    reason_code: str
    sentence: str
    retryable: bool = False


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
    """One number's answer; ``lid`` and ``whatsapp_id`` where the platform tells them."""

    phone: str
    answer: OnWhatsApp
    whatsapp_id: str | None = None
    lid: str | None = None


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

        First call ``OpenContext.verifier.redeem``: it raises ``PermitRefused`` for anything else,
        and accepts each permit once.
        """
        ...

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer yes, no or unknown for each E.164 number, in any order."""
        ...

    async def logout(self) -> None:
        """Unlink this device; the stored login is gone afterwards."""
        ...

    async def close(self) -> None:
        """Close the connection. Idempotent, bounded, never raises where it is closed already."""
        ...


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What a channel is given to open the connection of one session."""

    session: SessionInfo
    clock: Clock
    verifier: PermitVerifier


OpenTransport: TypeAlias = Callable[[OpenContext], Awaitable[Transport]]


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as its plugin declares it.

    ``name`` is the word in rule files, rows and pages. ``connects`` is False for
    a channel without a line (manual). ``simulated`` channels may run on an
    injected clock.
    """

    name: str
    summary: str
    open: OpenTransport | None
    connects: bool = True
    simulated: bool = False
