"""`/v1/messages`: lists messages, shows one with its history and decisions, cancels and settles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    ReasonBody,
    ReasonText,
    RequestBody,
    ResponseBody,
    ResultPage,
    build_page,
    etag_response,
    json_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.outbox.forecast import SendForecast, forecast_message
from daemon.services import Services
from statemachines.message import MessageState
from storage import decisions, messages
from storage.column_formats import parse_timestamp
from storage.decisions import DecisionRecord
from storage.messages import MessageRecord
from storage.tx import Reader

routes = web.RouteTableDef()


class MessageQuery(PageQuery, frozen=True):
    """Which messages to list; `state` is one word or several with commas."""

    state: str = ""


class SettlementBody(RequestBody, frozen=True):
    """How a message in doubt ended, as a person states."""

    state: Literal["failed", "cancelled", "confirmed_by_hand"]
    reason: ReasonText


class MessageHistoryEntry(ResponseBody, frozen=True):
    """One transition of a message, and who made it."""

    at: datetime
    previous: MessageState | None
    state: MessageState
    reason_code: str
    sentence: str
    who: str


class MessageDetail(ResponseBody, frozen=True):
    """A message with its forecast, each transition with its reason, and every decision."""

    message: MessageRecord
    forecast: SendForecast | None
    history: Sequence[MessageHistoryEntry]
    decisions: Sequence[DecisionRecord]


@routes.get("/v1/messages")
@operation(ResultPage[MessageRecord], query=MessageQuery, etag=True)
async def list_messages(request: web.Request) -> web.Response:
    """Return messages, newest first."""
    query = read_query(request, MessageQuery)
    states = parse_states(query.state)
    found = await get_services(request).database.read(
        lambda reader: messages.list_messages(
            reader, states=states, after=query.after, limit=query.limit + 1
        )
    )
    return etag_response(request, build_page(found, query.limit, lambda message: message.id))


def parse_states(words: str) -> list[MessageState]:
    """Return states from words with commas between them; raise BadRequest for an unknown one."""
    states = [word for word in words.split(",") if word]
    if unknown := [word for word in states if word not in set(MessageState)]:
        known = ", ".join(MessageState)
        raise BadRequest(
            f"state: there is no state {', '.join(unknown)}.", hint=f"The states are: {known}."
        )
    return [MessageState(word) for word in states]


@routes.get("/v1/messages/{id}")
@operation(MessageDetail, errors=(NotFound,), etag=True)
async def get_message(request: web.Request) -> web.Response:
    """Return a message with each transition, its reason, and every decision."""
    return etag_response(request, await _load_message_detail(request))


@routes.get("/v1/messages/{id}/explain")
@operation(DecisionRecord, errors=(NotFound,))
async def explain_message(request: web.Request) -> web.Response:
    """Return the last decision on a message: verdict, score, vetoes, contributions, facts."""
    message_id, detail = request.match_info["id"], await _load_message_detail(request)
    if not detail.decisions:
        raise NotFound(
            f"The rules have not checked {message_id} yet.", hint="Ask again in a moment."
        )
    return json_response(detail.decisions[-1])


@routes.post("/v1/messages/{id}/cancel")
@operation(MessageRecord, body=ReasonBody, errors=(NotFound, Conflict))
async def cancel_message(request: web.Request) -> web.Response:
    """Cancel a message that has not left; 409 where it has."""
    body, message_id = await read_body(request, ReasonBody), request.match_info["id"]
    services = get_services(request)
    return json_response(await services.outbox.cancel(message_id, request[ACTOR], body.reason))


@routes.post("/v1/messages/{id}/settle")
@operation(MessageRecord, body=SettlementBody, errors=(NotFound, Conflict))
async def settle_message(request: web.Request) -> web.Response:
    """Settle a message in doubt, as a person states; the statement is stored."""
    body, message_id = await read_body(request, SettlementBody), request.match_info["id"]
    state = MessageState(body.state)
    services = get_services(request)
    return json_response(
        await services.outbox.settle(message_id, state, request[ACTOR], body.reason)
    )


async def _load_message_detail(request: web.Request) -> MessageDetail:
    services, message_id = get_services(request), request.match_info["id"]
    now = services.clock.now()
    return await services.database.read(
        lambda reader: _read_message_detail(reader, services, message_id, now)
    )


def _read_message_detail(
    reader: Reader, services: Services, message: str, now: datetime
) -> MessageDetail:
    found = messages.get_message(reader, message)
    if found is None:
        raise NotFound(f"There is no message {message}.")
    moves = [dict(row) for row in messages.list_message_history(reader, message)]
    return MessageDetail(
        found,
        forecast_message(reader, services.sessions, services.pacing, found, now),
        [MessageHistoryEntry(**{**move, "at": parse_timestamp(move["at"])}) for move in moves],
        decisions.list_message_decisions(reader, message),
    )
