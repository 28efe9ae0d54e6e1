"""The OpenAPI description: each handler declares its operation; the document is built from it."""

from __future__ import annotations

from daemon.http.openapi.operation import (
    CSV,
    IDEMPOTENCY_KEY_HEADER,
    NDJSON,
    OCTET_STREAM,
    XLSX,
    get_operation,
    operation,
)

__all__ = [
    "CSV",
    "IDEMPOTENCY_KEY_HEADER",
    "NDJSON",
    "OCTET_STREAM",
    "XLSX",
    "get_operation",
    "operation",
]
