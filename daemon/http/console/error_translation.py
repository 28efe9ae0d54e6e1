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

_FIELD_ERROR: Final = re.compile(r"(?P<field>[\w.\[\]-]+): (?P<told>.+)", re.DOTALL)


@web.middleware
async def translate_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Translate what is wrong and what to do; stands outside of what makes problems.

    Programs get the daemon's own words: only a browser says that the asker is a page of ours.
    """
    response = await handler(request)
    ours = request.headers.get("Sec-Fetch-Site") == "same-origin"
    if not ours or response.content_type != PROBLEM_JSON or not isinstance(response, web.Response):
        return response
    if isinstance(response.body, bytes):
        problem, words = msgspec.json.decode(response.body), get_language(request)
        told = {
            key: translate_sentence(words, problem[key])
            for key in ("detail", "hint")
            if key in problem
        }
        response.body = msgspec.json.encode({**problem, **told})
    return response


def translate_sentence(words: Language, sentence: str) -> str:
    """Return a sentence in a language; a field's name before it stays."""
    if found := _FIELD_ERROR.fullmatch(sentence):
        return f"{found['field']}: {words.translate(found['told'])}"
    return words.translate(sentence)


def render_errors(handler: Handler) -> Handler:
    """Let a page's expected problems be told as a page: what happened, and what to do."""

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
