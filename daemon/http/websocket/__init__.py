"""The event stream over WebSocket: `/v1/events`, as `docs/reference/websocket.md` describes it."""

from __future__ import annotations

from daemon.http.websocket.client import StreamLimits
from daemon.http.websocket.handler import install_websocket, serve_websocket

__all__ = ["StreamLimits", "install_websocket", "serve_websocket"]
