"""Turns every error into a problem document (RFC 9457)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import BodyTooLarge, LeadMasterError, RequestTooSlow, RequestUnreadable
from daemon.http.bodies import ResponseBody
from storage.errors import DatabaseClosed, DiskFull, StorageError, WriteFailed
from storage.messages import MessageStateConflict

log = structlog.get_logger("http")

REQUEST_ID_HEADER: Final = "X-Request-Id"
PROBLEM_JSON: Final = "application/problem+json"
TRANSLATOR: Final[web.RequestKey[Callable[[str], str]]] = web.RequestKey("translator")
"""Translates a sentence for who made the request; without one, sentences stay English."""
READER_LANGUAGE: Final[web.RequestKey[str]] = web.RequestKey("reader_language")
"""The language of who made the request from a page."""
_BODY_ERRORS: Final = (BodyTooLarge, RequestTooSlow, web.RequestPayloadError)
_WORD_BOUNDARY: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_STORAGE_STATUS: Final[dict[type[StorageError], int]] = {
    MessageStateConflict: 409,
    DiskFull: 507,
    WriteFailed: 503,
    DatabaseClosed: 503,
}


@web.middleware
async def answer_errors_with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with its code, sentence and hint, and the id of the request."""
    request_id = f"req_{secrets.token_hex(8)}"
    try:
        response = await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        response = build_problem_response(request_id, _problem_from_http_error(error, request))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except Exception as error:  # noqa: BLE001 - whatever happens, the client gets a document
        if isinstance(error, ConnectionError) and request.transport is None:
            return web.Response()  # the client has left: nothing failed, and nobody reads this
        response = build_problem_response(request_id, problem_from_error(error, request_id))
        if isinstance(error, _BODY_ERRORS):
            response.force_close()  # the body was not read to its end, so nothing can follow it
    if not response.prepared:
        response.headers[REQUEST_ID_HEADER] = request_id
    return response


def problem_from_error(error: Exception, request_id: str) -> dict[str, object]:
    """Return an error as a problem; an unexpected one is logged in full, and not shown."""
    if isinstance(error, LeadMasterError):
        return error.to_problem()
    if isinstance(error, web.RequestPayloadError):
        return RequestUnreadable("The body of the request can't be read.").to_problem()
    if isinstance(error, StorageError):
        return _problem_from_storage_error(error)
    log.error("request_failed", request_id=request_id, exc_info=error)
    return _build_problem(
        500,
        "internal",
        "The daemon failed at this request; nothing was changed.",
        f"Look for {request_id} in the daemon's log and report what it says.",
    )


def translate_problem(request: web.Request, problem: dict[str, object]) -> dict[str, object]:
    """Return a problem with `detail` and `hint` for who made the request; see `TRANSLATOR`."""
    if (translate := request.get(TRANSLATOR)) is None:
        return problem
    return {
        key: translate(str(value)) if key in {"detail", "hint"} else value
        for key, value in problem.items()
    }


def get_reader_language(request: web.Request) -> str:
    """Return the language of sentences for who made a request; programs get English."""
    language: str = request.get(READER_LANGUAGE, "en")
    return language


def build_problem_response(request_id: str, document: dict[str, object]) -> web.Response:
    """Return a problem document as a response with its status."""
    status = document["status"]
    return web.Response(
        body=msgspec.json.encode({**document, "request_id": request_id}),
        status=status if isinstance(status, int) else 500,
        content_type=PROBLEM_JSON,
    )


def _build_problem(status: int, code: str, detail: str, hint: str = "") -> dict[str, object]:
    return {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
    }


def _problem_from_storage_error(error: StorageError) -> dict[str, object]:
    status = next(
        (status for kind, status in _STORAGE_STATUS.items() if isinstance(error, kind)), 500
    )
    return _build_problem(status, error.code, error.sentence, error.hint)


def _problem_from_http_error(error: web.HTTPException, request: web.Request) -> dict[str, object]:
    """Return the problem of one of aiohttp's own errors, such as an unknown route."""
    # From the name of aiohttp's class: HTTPStatus's phrases differ between Python versions.
    words = _WORD_BOUNDARY.sub(" ", type(error).__name__.removeprefix("HTTP")).lower()
    return _build_problem(
        error.status,
        words.replace(" ", "_"),
        f"{request.method} {request.path}: {words}.",
        "See docs/reference.",
    )


class ProblemDetails(ResponseBody, frozen=True):
    """A problem: `code` is stable, `detail` says what and where, `hint` what to do.

    `request_id` identifies the request in the daemon's log.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str
    request_id: str
