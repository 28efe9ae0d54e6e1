"""`/v1/messages`: what became of each, and why; cancelling, and settling what is in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.bodies import (
    Answer,
    Body,
    PageQuery,
    Reason,
    ReasonBody,
    ResultPage,
    answer,
    body,
    listing,
    query,
    tagged,
)
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from daemon.outbox.forecast import SendForecast, forecast
from statemachines.message import MessageState
from storage import decisions, messages
from storage.decisions import DecisionRecord
from storage.messages import MessageRecord
from storage.times import parse
from storage.tx import Reader

routes = web.RouteTableDef()


class MessageQuery(PageQuery, frozen=True):
    """Which messages to list; `state` is one word or several with commas."""

    state: str = ""


class SettlementBody(Body, frozen=True):
    """How a message in doubt ended, on a person's word."""

    state: Literal["failed", "cancelled", "confirmed_by_hand"]
    reason: Reason


class MessageHistoryEntry(Answer, frozen=True):
    """One move of a message, and whose it was."""

    at: datetime
    previous: MessageState | None
    state: MessageState
    reason_code: str
    sentence: str
    who: str


class MessageDetail(Answer, frozen=True):
    """A message's whole life: what it waits for, each move with its why, every decision."""

    message: MessageRecord
    forecast: SendForecast | None
    history: Sequence[MessageHistoryEntry]
    decisions: Sequence[DecisionRecord]


@routes.get("/v1/messages")
@operation(ResultPage[MessageRecord], query=MessageQuery, tagged=True)
async def list_(request: web.Request) -> web.Response:
    """Return messages, newest first."""
    wanted = query(request, MessageQuery)
    states = _states(wanted.state)
    found = await house_of(request).database.read(
        lambda reader: messages.page(
            reader, states=states, after=wanted.after, limit=wanted.limit + 1
        )
    )
    return tagged(request, listing(found, wanted.limit, lambda message: message.id))


def _states(words: str) -> list[MessageState]:
    wanted = [word for word in words.split(",") if word]
    if unknown := [word for word in wanted if word not in set(MessageState)]:
        known = ", ".join(MessageState)
        raise BadRequest(
            f"state: there is no state {', '.join(unknown)}.", hint=f"The states are: {known}."
        )
    return [MessageState(word) for word in wanted]


@routes.get("/v1/messages/{id}")
@operation(MessageDetail, refuses=(NotFound,), tagged=True)
async def get(request: web.Request) -> web.Response:
    """Return a message with its whole story: each move with its why, and every decision."""
    return tagged(request, await _story(request))


@routes.get("/v1/messages/{id}/explain")
@operation(DecisionRecord, refuses=(NotFound,))
async def explain(request: web.Request) -> web.Response:
    """Return the last decision on a message: verdict, score, vetoes, contributions, facts."""
    wanted, story = request.match_info["id"], await _story(request)
    if not story.decisions:
        raise NotFound(f"The gate has not judged {wanted} yet.", hint="Ask again in a moment.")
    return answer(story.decisions[-1])


@routes.post("/v1/messages/{id}/cancel")
@operation(MessageRecord, body=ReasonBody, refuses=(NotFound, Conflict))
async def cancel(request: web.Request) -> web.Response:
    """Cancel a message that has not left; 409 where it has."""
    asked, wanted = await body(request, ReasonBody), request.match_info["id"]
    house = house_of(request)
    return answer(await house.outbox.cancel(wanted, request[WHO], asked.reason))


@routes.post("/v1/messages/{id}/settle")
@operation(MessageRecord, body=SettlementBody, refuses=(NotFound, Conflict))
async def settle(request: web.Request) -> web.Response:
    """Settle a message in doubt on a person's word, which is kept."""
    asked, wanted = await body(request, SettlementBody), request.match_info["id"]
    state = MessageState(asked.state)
    house = house_of(request)
    return answer(await house.outbox.settle(wanted, state, request[WHO], asked.reason))


async def _story(request: web.Request) -> MessageDetail:
    house, wanted = house_of(request), request.match_info["id"]
    now = house.clock.now()
    return await house.database.read(lambda reader: _read(reader, house, wanted, now))


def _read(reader: Reader, house: House, message: str, now: datetime) -> MessageDetail:
    found = messages.get(reader, message)
    if found is None:
        raise NotFound(f"There is no message {message}.")
    moves = [dict(row) for row in messages.history(reader, message)]
    return MessageDetail(
        found,
        forecast(reader, house.sessions, house.pacing, found, now),
        [MessageHistoryEntry(**{**move, "at": parse(move["at"])}) for move in moves],
        decisions.of_message(reader, message),
    )
