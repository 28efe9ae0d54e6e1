"""The status stream: `/v1/events` over WebSocket, as `docs/reference/websocket.md` tells it."""

from __future__ import annotations

from daemon.http.ws.door import open_stream, serve
from daemon.http.ws.limits import Limits

__all__ = ["Limits", "open_stream", "serve"]
