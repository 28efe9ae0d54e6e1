"""The declaration that stands beside a handler: what it takes, answers and refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

from aiohttp import web

from daemon.errors import LeadMasterError

JSON: Final = "application/json"
CSV: Final = "text/csv"
LINES: Final = "application/x-ndjson"
BYTES: Final = "application/octet-stream"

Handled = TypeVar("Handled", bound=Callable[..., Awaitable[web.StreamResponse]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route as clients are told of it. Its summary and text are the handler's docstring.

    `answer`, `body` and `query` are types that msgspec can describe, `answer` also one of several
    in a tuple; `refuses` are the errors of this route beyond those that follow from its scope, its
    body and its query.
    """

    answer: Any
    status: int
    body: Any
    query: Any
    refuses: tuple[type[LeadMasterError], ...]
    gives: tuple[str, ...]
    """Media types of the answer."""
    takes: str
    """Media type of the body."""
    tagged: bool
    """The answer has an ETag, and is 304 for whoever has it already."""
    key: bool
    """It takes an Idempotency-Key."""
    otherwise: Mapping[int, Any]
    """Answers of their own kind under another status."""


def operation(
    answer: Any,  # noqa: ANN401 - any type that msgspec can describe
    *,
    status: int = 200,
    body: Any = None,  # noqa: ANN401
    query: Any = None,  # noqa: ANN401
    refuses: tuple[type[LeadMasterError], ...] = (),
    gives: tuple[str, ...] = (JSON,),
    takes: str = JSON,
    tagged: bool = False,
    key: bool = False,
    otherwise: Mapping[int, Any] = MappingProxyType({}),
) -> Callable[[Handled], Handled]:
    """Declare what a handler does; it stays as it is."""
    declared = Operation(
        answer=answer,
        status=status,
        body=body,
        query=query,
        refuses=refuses,
        gives=gives,
        takes=takes,
        tagged=tagged,
        key=key,
        otherwise=otherwise,
    )

    def attach(handler: Handled) -> Handled:
        handler.__dict__["operation"] = declared
        return handler

    return attach


def operation_of(handler: object) -> Operation | None:
    """Return what a handler declares, or None for one that is no part of the described whole."""
    found: Operation | None = getattr(handler, "operation", None)
    return found
