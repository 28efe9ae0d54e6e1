"""A house with an open stream, for clients."""

from __future__ import annotations

from tests.conftest import short_folder
from tests.helpers.client.websocket import stream, token

__all__ = ["short_folder", "stream", "token"]
