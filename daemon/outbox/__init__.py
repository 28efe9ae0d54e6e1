"""The outbox: takes messages from the first evaluation to the transport's answer."""

from __future__ import annotations

from daemon.outbox.enqueue import SendRequest
from daemon.outbox.outbox import Outbox

__all__ = ["Outbox", "SendRequest"]
