"""The interface described: each handler declares itself, and the pages are made from that."""

from __future__ import annotations

from daemon.http.openapi.operation import (
    CSV,
    NDJSON,
    OCTET_STREAM,
    Operation,
    get_operation,
    operation,
)

__all__ = ["CSV", "NDJSON", "OCTET_STREAM", "Operation", "get_operation", "operation"]
