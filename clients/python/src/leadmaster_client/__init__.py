"""Listen to a LeadMaster daemon: `async for` over its events, past hang-ups and restarts."""

from __future__ import annotations

from leadmaster_client.backoff import Backoff
from leadmaster_client.errors import Refused
from leadmaster_client.frames import Place, Snapshot
from leadmaster_client.stream import EventStream

__all__ = ["Backoff", "EventStream", "Place", "Refused", "Snapshot"]
