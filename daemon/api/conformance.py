"""The conformance probe: how the suite of ``leadmaster channels check`` sees past a transport.

A transport is tested from outside: what reached the wire, who writes, when the line breaks. The
author of a channel lends the suite a probe that can see and do these things, or some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import InboundKind, Origin


class ProbeScenario(StrEnum):
    """What happens outside once a session is ready, or while it sends."""

    FRIENDLY = "friendly"
    """The account is linked, and every message arrives."""
    MESSAGES = "messages"
    """Each of the probe's ``samples`` is reported, in that order."""
    RECEIPTS_REVERSED = "receipts_reversed"
    """What is sent is reported as read first and as delivered afterwards."""
    RECEIPTS_LATE = "receipts_late"
    """What is sent is reported as delivered a second later; meanwhile the line is closed and
    opened again, with the same options."""
    CUT = "cut"
    """The platform closes the connection."""
    DEATH = "death"
    """The worker behind the transport dies; of a transport without one, what it stands on."""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """A message that reached the outside: the number, and the hash of the content.

    ``body`` is :func:`daemon.api.transport.hash_content`, of a text
    :func:`daemon.api.permit.hash_body`.
    """

    recipient: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMessage:
    """A message as a platform reports it, and whose it is; ``identity`` None: no contact's.

    ``address`` is the raw name of the sender; of the recipient where the account's owner typed it
    (``own``). ``written_ago`` is how long ago it was written when it is reported.
    """

    address: str
    text: str
    identity: Identity | None
    kind: InboundKind = InboundKind.TEXT
    origin: Origin = Origin.LIVE
    written_ago: timedelta = timedelta()
    own: bool = False


def _build_phone(last_digits: str) -> Identity:
    return Identity(IdentityKind.PHONE, f"+5491155550{last_digits}")


SAMPLE_MESSAGES: Final = (
    SampleMessage(
        address="5491155550201@s.whatsapp.net", text="sample 1", identity=_build_phone("201")
    ),
    SampleMessage(address="5491155550202@c.us", text="sample 2", identity=_build_phone("202")),
    SampleMessage(
        address="5491155550203:12@s.whatsapp.net", text="sample 3", identity=_build_phone("203")
    ),
    SampleMessage(address="5491155550204", text="sample 4", identity=_build_phone("204")),
    SampleMessage(
        address="199999000205:1@lid",
        text="sample 5",
        identity=Identity(IdentityKind.LID, "199999000205@lid"),
    ),
    SampleMessage(address="120363041234567890@g.us", text="sample 6", identity=None),
    SampleMessage(address="status@broadcast", text="sample 7", identity=None),
    SampleMessage(address="120363041234567890@newsletter", text="sample 8", identity=None),
    SampleMessage(
        address="5491155550209@s.whatsapp.net",
        text="sample 9",
        identity=_build_phone("209"),
        origin=Origin.HISTORY,
        written_ago=timedelta(days=400),
    ),
    SampleMessage(
        address="5491155550210@s.whatsapp.net",
        text="sample 10",
        identity=_build_phone("210"),
        kind=InboundKind.VOICE,
        origin=Origin.OFFLINE,
        written_ago=timedelta(hours=1),
    ),
    SampleMessage(
        address="5491155550211@s.whatsapp.net",
        text="sample 11",
        identity=_build_phone("211"),
        own=True,
    ),
)
"""What channels were seen to tell. A probe whose platform writes otherwise has samples of its own;
the texts tell them apart."""


class ChannelProbe:
    """What the suite can see and do outside of one channel. Override what yours can.

    ``recipient`` is a number that takes whatever is sent to it: **real messages go there**.
    ``refused_recipient`` is one that the platform refuses for certain, ``unanswered_recipient`` one
    to which messages leave without ever being acknowledged. What a probe can't do is not tested,
    and is reported so.
    """

    recipient: str | None = None
    refused_recipient: str | None = None
    unanswered_recipient: str | None = None
    samples: Sequence[SampleMessage] = SAMPLE_MESSAGES

    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = options
        """What the author of the channel gave the suite as options of the session."""

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object] | None:
        """Prepare a scenario, from nothing, and return the options of its session.

        ``folder`` is the session's own. None: this probe can't. Called once for each test.
        """
        del folder
        return self.options if scenario is ProbeScenario.FRIENDLY else None

    async def read_wire(self) -> Sequence[WireMessage] | None:
        """Return what reached the outside since :meth:`start`, oldest first; None: not seen."""
        return None

    async def stop(self) -> None:
        """Let go of what :meth:`start` made. Idempotent."""
