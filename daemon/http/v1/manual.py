"""`/v1/manual`: messages that a person sends by hand, each leased to one operator at a time."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, NotAllowed, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    ReasonBody,
    ResponseBody,
    ResultPage,
    json_response,
    list_response,
    read_body,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage.messages import MessageRecord

routes = web.RouteTableDef()


class ChatLink(ResponseBody, frozen=True):
    """The link that opens the chat with the text filled in."""

    message: str
    link: str


@routes.get("/v1/manual")
@operation(ResultPage[MessageRecord])
async def list_manual_sends(request: web.Request) -> web.Response:
    """Return the messages to send by hand, those that are taken too."""
    return list_response(await get_services(request).manual.list_messages())


@routes.post("/v1/manual/{id}/take")
@operation(MessageRecord, errors=(NotFound, Conflict))
async def take_manual_send(request: web.Request) -> web.Response:
    """Take a message until its lease ends; each user may hold one at a time."""
    message_id = request.match_info["id"]
    return json_response(await get_services(request).manual.take(message_id, request[ACTOR]))


@routes.post("/v1/manual/{id}/reveal")
@operation(ChatLink, errors=(NotFound, Conflict, NotAllowed))
async def reveal_manual_send(request: web.Request) -> web.Response:
    """Return the link that opens the chat; from then on its taker must confirm or cancel it."""
    message_id = request.match_info["id"]
    link = await get_services(request).manual.reveal(message_id, request[ACTOR])
    return json_response(ChatLink(message_id, link))


@routes.post("/v1/manual/{id}/confirm")
@operation(MessageRecord, errors=(NotFound, Conflict, NotAllowed))
async def confirm_manual_send(request: web.Request) -> web.Response:
    """Confirm that the taker sent the message."""
    message_id = request.match_info["id"]
    return json_response(await get_services(request).manual.confirm(message_id, request[ACTOR]))


@routes.post("/v1/manual/{id}/cancel")
@operation(MessageRecord, body=ReasonBody, errors=(NotFound, Conflict, NotAllowed))
async def cancel_manual_send(request: web.Request) -> web.Response:
    """Cancel a taken message that was not sent and shall not be."""
    body, message_id = await read_body(request, ReasonBody), request.match_info["id"]
    return json_response(
        await get_services(request).manual.cancel(message_id, request[ACTOR], body.reason)
    )


@routes.post("/v1/manual/{id}/return")
@operation(MessageRecord, errors=(NotFound, Conflict, NotAllowed))
async def return_manual_send(request: web.Request) -> web.Response:
    """Give back a message whose link was not revealed."""
    message_id = request.match_info["id"]
    return json_response(
        await get_services(request).manual.return_message(message_id, request[ACTOR])
    )
