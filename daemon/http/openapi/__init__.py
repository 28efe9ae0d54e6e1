"""The OpenAPI description: each handler declares its operation; the document is built from it."""

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
