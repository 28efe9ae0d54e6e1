"""A server with an open stream, and a token for all of it."""

from __future__ import annotations
