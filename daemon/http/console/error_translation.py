"""Errors for people: as a page of the console, and as problem+json in the reader's language."""

from __future__ import annotations

import functools
import re
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import LeadMasterError
from daemon.http.console.language import Language
from daemon.http.console.layout import get_language, render_page, render_piece
from daemon.http.problems import PROBLEM_JSON

_FIELD_ERROR: Final = re.compile(r"(?P<field>[\w.\[\]-]+): (?P<problem>.+)", re.DOTALL)


@web.middleware
async def translate_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Translate `detail` and `hint` of a problem; wraps the middleware that builds problems.

    Programs get English: only requests from the console's own pages are translated.
    """
    response = await handler(request)
    # Browsers set this header themselves, and no script can.
    same_origin = request.headers.get("Sec-Fetch-Site") == "same-origin"
    if (
        not same_origin
        or response.content_type != PROBLEM_JSON
        or not isinstance(response, web.Response)
    ):
        return response
    if isinstance(response.body, bytes):
        problem, words = msgspec.json.decode(response.body), get_language(request)
        translated = {
            key: translate_sentence(words, problem[key])
            for key in ("detail", "hint")
            if key in problem
        }
        response.body = msgspec.json.encode({**problem, **translated})
    return response


def translate_sentence(words: Language, sentence: str) -> str:
    """Return a sentence in a language; the name of a field before it stays as it is."""
    if found := _FIELD_ERROR.fullmatch(sentence):
        return f"{found['field']}: {words.translate(found['problem'])}"
    return words.translate(sentence)


def render_errors(handler: Handler) -> Handler:
    """Render the expected errors of a handler as a page or a piece: what happened, what to do."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
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
