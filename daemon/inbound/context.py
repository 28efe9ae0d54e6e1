"""What is known of an inbound message while it is being stored."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from daemon.api.signals import Origin
from daemon.inbound.reading import InboundReading
from storage.inbound import InboundRecord

THEIR_MESSAGE: Final = "their own message"


class InboundContext(Struct, frozen=True):
    """The message as stored, what it asks and may change, and where an answer goes."""

    record: InboundRecord
    reading: InboundReading
    recipient: str | None
    """Where an answer goes: E.164; None while only a hidden id is known."""
    now: datetime
    """When it came in; ``record.at`` is when it was written."""
    source: str = THEIR_MESSAGE
    """Where its evidence comes from, in a few words."""

    @property
    def contact(self) -> str:
        """Return the contact that wrote."""
        return self.record.contact

    @property
    def imported(self) -> bool:
        """Return whether it is from the history of a former system."""
        return self.record.origin == Origin.IMPORTED
