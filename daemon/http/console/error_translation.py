"""Errors for people: as a page of the console, and as problem+json in the reader's language."""

from __future__ import annotations

import functools

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import LeadMasterError, NotFound
from daemon.http.authentication import IDENTITY
from daemon.http.console.layout import (
    TEMPLATES,
    get_language,
    note_stream_start,
    render_page,
    render_piece,
    render_signed_out_page,
)
from daemon.http.problems import (
    PROBLEM_JSON,
    READER_LANGUAGE,
    REQUEST_ID_HEADER,
    TRANSLATOR,
    translate_problem,
)
from daemon.http.proxy_headers import get_own_origin
from storage.errors import StorageError


@web.middleware
async def translate_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Translate `detail` and `hint` of a problem; wraps the middleware that builds problems.

    Programs get English: only requests from the console's own pages are translated.
    """
    if not _comes_from_own_page(request):
        return await handler(request)
    # For handlers too: a stream says at its end how it went.
    language = get_language(request)
    request[TRANSLATOR], request[READER_LANGUAGE] = language.translate, language.code
    response = await handler(request)
    if (
        response.content_type == PROBLEM_JSON
        and isinstance(response, web.Response)
        and isinstance(response.body, bytes)
    ):
        problem = translate_problem(request, msgspec.json.decode(response.body))
        response.body = msgspec.json.encode(problem)
    return response


def _comes_from_own_page(request: web.Request) -> bool:
    """Return whether a page of ours made a request, by headers that no script can set."""
    # Browsers say the first over TLS and on this machine alone, the second with each change.
    return request.headers.get("Sec-Fetch-Site") == "same-origin" or request.headers.get(
        "Origin", ""
    ).lower() == get_own_origin(request)


@web.middleware
async def render_problem_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show a problem as a page to a browser that asked for one; wraps what builds problems.

    So an address that leads nowhere, a page that its reader may not open and a fault of ours are
    pages, with a way back.
    """
    response = await handler(request)
    if (
        response.content_type != PROBLEM_JSON
        or not isinstance(response, web.Response)
        or not isinstance(response.body, bytes)
        or not accepts_page(request)
    ):
        return response
    await TEMPLATES.ensure_loaded()
    problem = msgspec.json.decode(response.body)
    error = LeadMasterError(problem["detail"], hint=problem["hint"])
    if request.match_info.http_exception is not None:
        error = NotFound(
            f"There is no page at {request.path}.", hint="Check the address, or go back to Today."
        )
    try:
        page = await render_page(
            request, "problem.html", active_page="", status=response.status, error=error
        )
    except (LeadMasterError, StorageError):
        # Nobody has signed in, or nothing can be read: a page without its frame.
        page = render_signed_out_page(
            request, "problem_alone.html", status=response.status, error=error
        )
    page.headers[REQUEST_ID_HEADER] = response.headers.get(REQUEST_ID_HEADER, "")
    return page


def accepts_page(request: web.Request) -> bool:
    """Return whether a browser asks for a page, and not a program or a script for data."""
    wants_html = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    is_data = request.path == "/v1" or request.path.startswith("/v1/")
    return wants_html and not is_data and "HX-Request" not in request.headers


def render_errors(handler: Handler) -> Handler:
    """Render the expected errors of a handler as a page or a piece: what happened, what to do."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        await TEMPLATES.ensure_loaded()
        try:
            # Before the handler reads anything. Who has not signed in gets no stream.
            if IDENTITY in request and "HX-Request" not in request.headers:
                await note_stream_start(request)
            return await handler(request)
        except LeadMasterError as error:
            if "HX-Request" in request.headers:
                return render_piece(
                    request, "pieces/problem.html", status=error.status, error=error
                )
            return await render_page(
                request, "problem.html", active_page="", status=error.status, error=error
            )

    return answer
