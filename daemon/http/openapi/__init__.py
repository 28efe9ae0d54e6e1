"""The interface described: each handler declares itself, and the pages are made from that."""

from __future__ import annotations

from daemon.http.openapi.operation import BYTES, CSV, LINES, Operation, operation, operation_of

__all__ = ["BYTES", "CSV", "LINES", "Operation", "operation", "operation_of"]
