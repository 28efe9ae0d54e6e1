"""The outbox: one message at a time per session, from the gate's first look to the answer."""

from __future__ import annotations

from daemon.outbox.outbox import Outbox
from daemon.outbox.requests import SendRequest

__all__ = ["Outbox", "SendRequest"]
