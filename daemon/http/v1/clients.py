"""`/v1/clients`, and in a chat whether one of them may write to the person."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.chats.service import ConversationMoved
from daemon.chats.sharing import MAX_NAME_LENGTH
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResultPage,
    json_response,
    list_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage.clients import ClientRecord, ClientShare
from storage.messages import MessageRecord

routes = web.RouteTableDef()

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class ClientBody(RequestBody, frozen=True):
    """The name by which people know a client."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class ShareQuestionBody(RequestBody, frozen=True):
    """The client to ask about; `last_seen` and `key` as of a reply."""

    client: _Id
    last_seen: Annotated[str, msgspec.Meta(max_length=64)]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ShareAnswerBody(RequestBody, frozen=True):
    """Whether the client may write to them, and the message that says so; else their last.

    Only a person records it.
    """

    client: _Id
    allowed: bool
    inbound: Annotated[str, msgspec.Meta(max_length=64)] = ""


@routes.get("/v1/clients")
@operation(ResultPage[ClientRecord], query=PageQuery)
async def list_clients(request: web.Request) -> web.Response:
    """Return clients, in the order in which they were added."""
    query = read_query(request, PageQuery)
    found = await get_services(request).sharing.list_clients(
        after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda client: client.id)


@routes.post("/v1/clients")
@operation(ClientRecord, status=201, body=ClientBody, errors=(Conflict,))
async def add_client(request: web.Request) -> web.Response:
    """Add a client; 409 where one has this name, however it is written."""
    body = await read_body(request, ClientBody)
    client = await get_services(request).sharing.add_client(body.name, request[ACTOR])
    return json_response(client, status=201)


@routes.post("/v1/conversations/{contact}/share/ask")
@operation(
    MessageRecord,
    status=202,
    body=ShareQuestionBody,
    errors=(NotFound, Conflict, ConversationMoved),
)
async def ask_to_share(request: web.Request) -> web.Response:
    """Ask somebody who is interested whether a client may write to them, by one answer in the chat.

    The gate decides on it. 409 where they were asked, or have answered.
    """
    body = await read_body(request, ShareQuestionBody)
    message = await get_services(request).sharing.ask(
        request.match_info["contact"],
        body.client,
        request[ACTOR],
        last_seen=body.last_seen,
        key=body.key,
    )
    return json_response(message, status=202)


@routes.post("/v1/conversations/{contact}/share/answer")
@operation(ResultPage[ClientShare], body=ShareAnswerBody, errors=(NotFound, Conflict))
async def record_share_answer(request: web.Request) -> web.Response:
    """Record what they answered about a client, with its message as evidence; return all clients.

    The latest record counts. Nothing that LeadMaster reads by itself gives this permission.
    """
    body = await read_body(request, ShareAnswerBody)
    shares = await get_services(request).sharing.record_answer(
        request.match_info["contact"],
        body.client,
        request[ACTOR],
        allowed=body.allowed,
        inbound_id=body.inbound,
    )
    return list_response(shares)
