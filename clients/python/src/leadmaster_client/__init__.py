"""A client of LeadMaster's event stream: `async for` over its events, across reconnects."""

from __future__ import annotations

from leadmaster_client.frames import Place, Refused, Snapshot
from leadmaster_client.stream import Backoff, EventStream

__all__ = ["Backoff", "EventStream", "Place", "Refused", "Snapshot"]
