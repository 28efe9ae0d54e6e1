"""`/v1/messages`: ask for one to be sent, see what becomes of it and why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from daemon.bus import Lagged, Subscription
from daemon.errors import BadRequest, NotFound
from daemon.http.bodies import Because, Body, Page, Query, Reason, answer, body, page, query
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.vitals import house_of
from daemon.outbox.requests import SendRequest
from statemachines.message import MessageState
from storage import decisions, messages
from storage.messages import MessageRecord
from storage.tx import Reader

routes = web.RouteTableDef()

VERDICT_SECONDS: Final = 30.0
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class NewMessage(Body, frozen=True):
    """A message to send. What is left out the sender plugin chooses."""

    to: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    campaign: str | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None


class Waiting(Query, frozen=True):
    """How long to wait before answering."""

    wait: Literal["", "verdict"] = ""


class Wanted(Page, frozen=True):
    """Which messages to list; `state` is one word or several with commas."""

    state: str = ""


class Settlement(Body, frozen=True):
    """How a message in doubt ended, on a person's word."""

    state: Literal["failed", "cancelled", "confirmed_by_hand"]
    reason: Reason


@routes.post("/v1/messages")
async def enqueue(request: web.Request) -> web.Response:
    """Accept a message: 202 with its id. `?wait=verdict` answers once the gate has judged.

    `Idempotency-Key`: the same key and body return the same message, another body is 409.
    """
    asked, waiting = await body(request, NewMessage), query(request, Waiting)
    house = house_of(request)
    wanted = SendRequest(
        **msgspec.structs.asdict(asked), key=request.headers.get("Idempotency-Key")
    )
    news = house.bus.subscribe()
    try:
        message = await house.outbox.enqueue(wanted, request[WHO])
        if waiting.wait:
            message = await _judged(house, message, news)
    finally:
        news.close()
    return answer(message, status=202)


async def _judged(house: House, message: MessageRecord, news: Subscription) -> MessageRecord:
    """Return the message once the gate has judged it, or as it is when that takes too long."""
    try:
        async with asyncio.timeout(VERDICT_SECONDS):
            while message.state is MessageState.QUEUED:
                await _next_about(news, message.id)
                message = await house.database.read(partial(_must, message=message.id))
    except (TimeoutError, Lagged):
        return message
    return message


async def _next_about(news: Subscription, subject: str) -> None:
    async for published in news:
        if published.event.subject == subject:
            return


@routes.get("/v1/messages")
async def list_(request: web.Request) -> web.Response:
    """Return messages, newest first."""
    wanted = query(request, Wanted)
    states = _states(wanted.state)
    found = await house_of(request).database.read(
        lambda reader: messages.page(
            reader, states=states, after=wanted.after, limit=wanted.limit + 1
        )
    )
    return page(found, wanted.limit, lambda message: message.id)


def _states(words: str) -> list[MessageState]:
    try:
        return [MessageState(word) for word in words.split(",") if word]
    except ValueError as error:
        known = ", ".join(MessageState)
        raise BadRequest(f"state: {error}.", hint=f"The states are: {known}.") from error


@routes.get("/v1/messages/{id}")
async def get(request: web.Request) -> web.Response:
    """Return a message with its whole story: each move with its why, and every decision."""
    wanted = request.match_info["id"]
    return answer(await house_of(request).database.read(lambda reader: _story(reader, wanted)))


@routes.get("/v1/messages/{id}/explain")
async def explain(request: web.Request) -> web.Response:
    """Return the last decision on a message: verdict, score, vetoes, contributions, facts."""
    wanted = request.match_info["id"]
    story = await house_of(request).database.read(lambda reader: _story(reader, wanted))
    if not story["decisions"]:
        raise NotFound(f"The gate has not judged {wanted} yet.", hint="Ask again in a moment.")
    return answer(story["decisions"][-1])


@routes.post("/v1/messages/{id}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Cancel a message that has not left; 409 where it has."""
    asked, wanted = await body(request, Because), request.match_info["id"]
    house = house_of(request)
    return answer(await house.outbox.cancel(wanted, request[WHO], asked.reason))


@routes.post("/v1/messages/{id}/settle")
async def settle(request: web.Request) -> web.Response:
    """Settle a message in doubt on a person's word, which is kept."""
    asked, wanted = await body(request, Settlement), request.match_info["id"]
    state = MessageState(asked.state)
    house = house_of(request)
    return answer(await house.outbox.settle(wanted, state, request[WHO], asked.reason))


def _must(reader: Reader, message: str) -> MessageRecord:
    found = messages.get(reader, message)
    if found is None:
        raise NotFound(f"There is no message {message}.")
    return found


def _story(reader: Reader, message: str) -> Mapping[str, Any]:
    return {
        "message": _must(reader, message),
        "history": [dict(row) for row in messages.history(reader, message)],
        "decisions": decisions.of_message(reader, message),
    }
