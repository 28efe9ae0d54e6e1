"""`/v1/manual`: assisted sends, taken by one operator at a time."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, NotAllowed, NotFound
from daemon.http.bodies import Answer, ReasonBody, ResultPage, answer, body, whole
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from storage.messages import MessageRecord

routes = web.RouteTableDef()


class ChatLink(Answer, frozen=True):
    """The link that opens the chat with the text in it."""

    message: str
    link: str


@routes.get("/v1/manual")
@operation(ResultPage[MessageRecord])
async def list_(request: web.Request) -> web.Response:
    """Return what may be taken and what is taken."""
    return whole(await house_of(request).manual.list())


@routes.post("/v1/manual/{id}/take")
@operation(MessageRecord, refuses=(NotFound, Conflict))
async def take(request: web.Request) -> web.Response:
    """Take a message for the length of a lease; one at a time."""
    wanted = request.match_info["id"]
    return answer(await house_of(request).manual.take(wanted, request[WHO]))


@routes.post("/v1/manual/{id}/reveal")
@operation(ChatLink, refuses=(NotFound, Conflict, NotAllowed))
async def reveal(request: web.Request) -> web.Response:
    """Return the link that opens the chat; from here on its taker says how it ended."""
    wanted = request.match_info["id"]
    link = await house_of(request).manual.reveal(wanted, request[WHO])
    return answer(ChatLink(wanted, link))


@routes.post("/v1/manual/{id}/confirm")
@operation(MessageRecord, refuses=(NotFound, Conflict, NotAllowed))
async def confirm(request: web.Request) -> web.Response:
    """Hear from the taker that it was sent."""
    wanted = request.match_info["id"]
    return answer(await house_of(request).manual.confirm(wanted, request[WHO]))


@routes.post("/v1/manual/{id}/cancel")
@operation(MessageRecord, body=ReasonBody, refuses=(NotFound, Conflict, NotAllowed))
async def cancel(request: web.Request) -> web.Response:
    """Hear from the taker that it was not sent and shall not be."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    return answer(await house_of(request).manual.cancel(wanted, request[WHO], asked.reason))


@routes.post("/v1/manual/{id}/return")
@operation(MessageRecord, refuses=(NotFound, Conflict, NotAllowed))
async def give_back(request: web.Request) -> web.Response:
    """Give a message back unseen."""
    wanted = request.match_info["id"]
    return answer(await house_of(request).manual.give_back(wanted, request[WHO]))
