"""The status stream: `/v1/events` over WebSocket, as `docs/reference/websocket.md` tells it."""

from __future__ import annotations

from daemon.http.ws.door import install_websocket, serve_websocket
from daemon.http.ws.limits import StreamLimits

__all__ = ["StreamLimits", "install_websocket", "serve_websocket"]
