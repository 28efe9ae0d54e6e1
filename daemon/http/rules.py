"""`/v1/rules`: which rule sets are in force, and what stands in them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from daemon.http.bodies import answer
from daemon.http.vitals import house_of
from rules import Judge

routes = web.RouteTableDef()


@routes.get("/v1/rules")
async def active(request: web.Request) -> web.Response:
    """Return the live sets: hash, format, engine and files."""
    book = house_of(request).rulebook
    return answer({"gate": _described(book.gate), "score": _described(book.score)})


def _described(judge: Judge) -> dict[str, Any]:
    return {
        "hash": judge.ruleset.hash,
        "format": str(judge.ruleset.format),
        "engine": judge.engine,
        "files": list(judge.ruleset.files),
    }
