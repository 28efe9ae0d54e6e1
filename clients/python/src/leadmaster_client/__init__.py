"""Listen to a LeadMaster daemon: `async for` over its events, past hang-ups and restarts."""

from __future__ import annotations

from leadmaster_client.frames import Place, Refused, Snapshot
from leadmaster_client.stream import Backoff, EventStream

__all__ = ["Backoff", "EventStream", "Place", "Refused", "Snapshot"]
