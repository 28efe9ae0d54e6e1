"""How many, how much and how long: the bounds of the stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SUBPROTOCOL: Final = "leadmaster.v1"
"""The subprotocol that a client must offer, and the one that the server chooses."""
HIGH_WATER_BYTES: Final = 64 << 10
"""Bytes in a connection's own buffer from which on frames wait in the listener's queue."""
MAX_MESSAGE_BYTES: Final = 16 << 10
"""The longest message that a client may send; a longer one closes with 1009."""
MAX_MISTAKES: Final = 8
"""How many messages that can't be understood are answered; the next one closes with 1008."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of one door, which a test may want smaller; times are seconds."""

    clients: int = 1000
    """How many may listen at once."""
    unauthenticated: int = 100
    """How many more may be connected that have not signed in yet."""
    queue: int = 512
    """How many frames may wait for one client; with more it is closed with 1013."""
    bus: int = 8192
    """How many events may wait for all; what has no room is read from the log."""
    ping: float = 20.0
    """How long a line may be silent until it is asked for a sign of life."""
    sign_in: float = 10.0
    """How long a client that did not say who it is may take to send `sign_in`."""
    through: float = 5.0
    """How often a narrowed client hears how far the log has gone without it."""
    recheck: float = 30.0
    """How often it is looked whether a token was revoked, or a user's role changed."""
    close: float = 2.0
    """How long a client may take to answer a close."""
    linger: float = 5.0
    """How long what is on its way may take after the close; then the line is cut."""
