"""Sessions: a state machine and a connection for each phone, with timers and a readable status."""

from __future__ import annotations

from daemon.sessions.connection import SessionUnavailable
from daemon.sessions.registry import Sessions
from daemon.sessions.status import SessionView, UserAction

__all__ = ["SessionUnavailable", "SessionView", "Sessions", "UserAction"]
