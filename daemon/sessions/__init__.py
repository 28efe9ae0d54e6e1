"""Sessions: one machine and one line for each, their deadlines, and what people read."""

from __future__ import annotations

from daemon.sessions.registry import Sessions
from daemon.sessions.view import SessionView
from daemon.sessions.words import UserAction

__all__ = ["SessionView", "Sessions", "UserAction"]
