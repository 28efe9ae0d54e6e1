"""Fixtures of these tests: a server with an open stream, and a token for all of it."""

from __future__ import annotations

from tests.helpers.client.websocket import stream, token

__all__ = ["stream", "token"]
