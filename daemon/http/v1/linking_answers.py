"""`/v1/sessions/{name}/linking-answers`: what a person says about a number that is linked."""

from __future__ import annotations

from datetime import date
from functools import partial

from aiohttp import web

from daemon.errors import BadRequest, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    ResultPage,
    json_response,
    list_response,
    read_body,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import linking_answers as rows
from storage.linking_answers import LinkingAnswers

routes = web.RouteTableDef()


class LinkingAnswersBody(RequestBody, frozen=True):
    """How long the number has been in use on WhatsApp, and whether one of yours was banned.

    `banned_on` is the day of that ban, where somebody knows it.
    """

    number_age: NumberAge
    banned: ReportedBan
    banned_on: date | None = None


@routes.post("/v1/sessions/{name}/linking-answers")
@operation(LinkingAnswers, status=201, body=LinkingAnswersBody, errors=(NotFound, BadRequest))
async def answer_linking_questions(request: web.Request) -> web.Response:
    """Store what a person says about a number, best before it is linked; return it, dated.

    After a ban that is reported, the number only replies for its first 14 days here.
    """
    asked = await read_body(request, LinkingAnswersBody)
    answers = await get_services(request).sessions.answer_linking_questions(
        request.match_info["name"],
        asked.number_age,
        asked.banned,
        asked.banned_on,
        request[ACTOR],
    )
    return json_response(answers, status=201)


@routes.get("/v1/sessions/{name}/linking-answers")
@operation(ResultPage[LinkingAnswers], errors=(NotFound,))
async def list_linking_answers(request: web.Request) -> web.Response:
    """Return what people said about the number of a session, newest first."""
    name, services = request.match_info["name"], get_services(request)
    services.sessions.view(name)
    answers = await services.database.read(partial(rows.list_linking_answers, session=name))
    return list_response(answers)
