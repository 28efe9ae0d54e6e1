"""The decorator with which a handler declares its body, query, answers and errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from aiohttp import web
from msgspec import Struct

from daemon.errors import LeadMasterError

JSON: Final = "application/json"
CSV: Final = "text/csv"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
NDJSON: Final = "application/x-ndjson"
OCTET_STREAM: Final = "application/octet-stream"
IDEMPOTENCY_KEY_HEADER: Final = "Idempotency-Key"

Handled = TypeVar("Handled", bound=Callable[..., Awaitable[web.StreamResponse]])


class Operation(Struct, frozen=True, kw_only=True):
    """The public description of one route; its summary and text are the handler's docstring.

    `answer`, `body` and `query` are types that msgspec can describe; a tuple as `answer` means one
    of several. `errors` are those beyond what follows from scope, body and query.
    """

    answer: Any
    status: int
    body: Any
    query: Any
    errors: tuple[type[LeadMasterError], ...]
    media_types: tuple[str, ...]
    """Media types of the answer."""
    body_media_type: str
    """Media type of the body."""
    etag: bool
    """The answer has an ETag, and is 304 where the client has it already."""
    idempotency_key: bool
    """The route takes an idempotency key in a header."""
    other_answers: Mapping[int, Any]
    """Types of answers with another status."""


def operation(
    answer: Any,  # noqa: ANN401 - any type that msgspec can describe
    *,
    status: int = 200,
    body: Any = None,  # noqa: ANN401
    query: Any = None,  # noqa: ANN401
    errors: tuple[type[LeadMasterError], ...] = (),
    media_types: tuple[str, ...] = (JSON,),
    body_media_type: str = JSON,
    etag: bool = False,
    idempotency_key: bool = False,
    other_answers: Mapping[int, Any] = MappingProxyType({}),
) -> Callable[[Handled], Handled]:
    """Return a decorator that attaches an operation to a handler, and changes nothing else."""
    declared = Operation(
        answer=answer,
        status=status,
        body=body,
        query=query,
        errors=errors,
        media_types=media_types,
        body_media_type=body_media_type,
        etag=etag,
        idempotency_key=idempotency_key,
        other_answers=other_answers,
    )

    def attach(handler: Handled) -> Handled:
        # On the function itself, where a route leads to it.
        handler.__dict__["operation"] = declared
        return handler

    return attach


def get_operation(handler: object) -> Operation | None:
    """Return a handler's declared operation, or None for one that is not in the document."""
    found: Operation | None = getattr(handler, "operation", None)
    return found
