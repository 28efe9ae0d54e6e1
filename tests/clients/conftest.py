"""A house with an open stream, for clients."""

from __future__ import annotations

from tests.daemon.conftest import short_folder
from tests.daemon.ws.conftest import stream, token

__all__ = ["short_folder", "stream", "token"]
