"""The conformance probe: what ``leadmaster channels check`` needs to test a channel from outside.

The suite can't see what reached the platform, and can't make it send or break a connection. The
author of a channel gives it a probe that can, or that can do some of these things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import InboundKind, Origin


class ProbeScenario(StrEnum):
    """What a probe makes happen on the platform, once a session is ready or while it sends."""

    FRIENDLY = "friendly"
    """The account is linked, and every message arrives."""
    MESSAGES = "messages"
    """Each of the probe's ``samples`` is reported, in that order."""
    RECEIPTS_REVERSED = "receipts_reversed"
    """A sent message is reported as read first, and as delivered afterwards."""
    RECEIPTS_LATE = "receipts_late"
    """A sent message is reported as delivered a second later; meanwhile the suite closes the
    transport and opens it again, with the same options."""
    CUT = "cut"
    """The platform closes the connection."""
    DEATH = "death"
    """The transport's worker process dies, or whatever else the transport depends on."""


class WireMessage(Struct, frozen=True):
    """A message that reached the platform: the recipient's number, and the hash of the content.

    ``body`` is :func:`daemon.api.transport.hash_content`; for a text that is the same as
    :func:`daemon.api.permit.hash_body`.
    """

    recipient: str
    body: str


class SampleMessage(Struct, frozen=True, kw_only=True):
    """A message as a platform reports it, and the identity that the channel should make of it.

    ``address`` is the sender's raw address, or the recipient's for a message that the account's
    owner typed (``own``). ``identity`` is None for an address that is no contact. ``written_ago``
    is the message's age when it is reported.
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
    # From the sender's twelfth device: the same person.
    SampleMessage(
        address="5491155550203:12@s.whatsapp.net", text="sample 3", identity=_build_phone("203")
    ),
    SampleMessage(address="5491155550204", text="sample 4", identity=_build_phone("204")),
    SampleMessage(
        address="199999000205:1@lid",
        text="sample 5",
        identity=Identity(IdentityKind.LID, "199999000205@lid"),
    ),
    # A group, a status update and a followed channel: none is a contact.
    SampleMessage(address="120363041234567890@g.us", text="sample 6", identity=None),
    SampleMessage(address="status@broadcast", text="sample 7", identity=None),
    SampleMessage(address="120363041234567890@newsletter", text="sample 8", identity=None),
    # Replayed history, much older than anything that the daemon acts on.
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
"""Messages in the forms that channels were seen to report. A probe whose platform uses other forms
has samples of its own. Each text is different, so that the suite can recognise it."""


class ChannelProbe:
    """What the suite can see and do on the platform of one channel. Override what yours can.

    ``own_phone`` is the number of the account, on whose phone a code can be typed. ``recipient`` is
    a number that accepts messages: **real messages are sent to it**.
    ``refused_recipient`` is one that the platform certainly refuses, ``unanswered_recipient`` one
    whose messages leave but are never acknowledged. What a probe can't do is reported as not
    tested.
    """

    own_phone: str | None = None
    recipient: str | None = None
    refused_recipient: str | None = None
    unanswered_recipient: str | None = None
    samples: Sequence[SampleMessage] = SAMPLE_MESSAGES

    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = options
        """The options of the session, as given to the suite."""

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object] | None:
        """Prepare a scenario, and return the options of its session; None if this probe can't.

        ``folder`` is the session's own folder. Called once for each test.
        """
        del folder
        return self.options if scenario is ProbeScenario.FRIENDLY else None

    async def read_wire(self) -> Sequence[WireMessage] | None:
        """Return the messages that reached the platform since :meth:`start`, oldest first.

        None where this probe can't see them.
        """
        return None

    async def stop(self) -> None:
        """Release what :meth:`start` made. Idempotent."""
