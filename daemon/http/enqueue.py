"""`POST /v1/messages`: ask for one message to be sent, or for many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from daemon import misfits
from daemon.bus import Lagged, Subscription
from daemon.errors import BadRequest, IdempotencyConflict, LeadMasterError, NumberRejected
from daemon.http.bodies import Answer, Body, Query, answer, body, check_year, query
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.openapi import operation
from daemon.http.problems import described
from daemon.http.vitals import house_of
from daemon.outbox.requests import SendRequest
from statemachines.message import MessageState
from storage import messages
from storage.errors import StorageError
from storage.messages import MessageRecord

routes = web.RouteTableDef()

VERDICT_SECONDS: Final = 30.0
BATCH_LIMIT: Final = 500
KEY_HEADER: Final = "Idempotency-Key"
ACCEPTED: Final = 202
_NEWS_LIMIT: Final = 8 * BATCH_LIMIT
_QUEUED: Final = MessageState.QUEUED
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewMessageBody(Body, frozen=True):
    """A message to send. What is left out the sender plugin chooses.

    `key` is its idempotency key: the same key and message again return the same message.
    """

    to: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    campaign: str | None = None
    not_before: Moment | None = None
    not_after: Moment | None = None
    key: Key | None = None


Batch = Annotated[list[NewMessageBody], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
OneOrMany: Final[Any] = NewMessageBody | Batch


class EnqueueQuery(Query, frozen=True):
    """How long to wait before answering."""

    wait: Literal["verdict"] | None = None


class MessageBatchItem(Answer, frozen=True):
    """What became of one of many: the message as stored, or the problem that kept it out."""

    status: int
    message: MessageRecord | None = None
    problem: dict[str, Any] | None = None


class MessageBatchResult(Answer, frozen=True):
    """What became of each, in the order in which they were given."""

    items: Sequence[MessageBatchItem]


@routes.post("/v1/messages")
@operation(
    (MessageRecord, MessageBatchResult),
    status=ACCEPTED,
    body=OneOrMany,
    query=EnqueueQuery,
    refuses=(NumberRejected, IdempotencyConflict),
    key=True,
)
async def enqueue(request: web.Request) -> web.Response:
    """Accept a message: 202 with its id; the gate judges it next.

    `?wait=verdict` answers once the gate has judged. A list is accepted one by one: each item is
    stored whole or not at all, and each has its own result. One message may have its idempotency
    key in the header `Idempotency-Key`; in a list each item has its own `key`.
    """
    asked: NewMessageBody | list[NewMessageBody] = await body(request, OneOrMany)
    waiting, house = query(request, EnqueueQuery), house_of(request)
    header = _key(request)
    news = house.bus.subscribe(_NEWS_LIMIT)
    try:
        if isinstance(asked, NewMessageBody):
            message = await house.outbox.enqueue(_wanted(asked, header), request[WHO])
            if waiting.wait:
                message = (await _judged(house, [message], news))[message.id]
            return answer(message, status=ACCEPTED)
        if header is not None:
            raise BadRequest(
                f"{KEY_HEADER}: one key can't stand for many messages.",
                hint="Give each message of the list a `key` of its own.",
            )
        items = [await _item(house, each, request[WHO]) for each in asked]
        if waiting.wait:
            items = await _items_judged(house, items, news)
    finally:
        news.close()
    return answer(MessageBatchResult(items), status=ACCEPTED)


def _key(request: web.Request) -> str | None:
    try:
        return msgspec.convert(request.headers.get(KEY_HEADER), Key | None)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{misfits.of(KEY_HEADER, error, Key)}.") from error


def _wanted(asked: NewMessageBody, header: str | None) -> SendRequest:
    for name, moment in (("not_before", asked.not_before), ("not_after", asked.not_after)):
        check_year(name, moment)
    if header and asked.key and header != asked.key:
        raise BadRequest(
            f"{KEY_HEADER}: the message has another key.",
            hint="Give it one: in the header or in the body.",
        )
    fields = msgspec.structs.asdict(asked)
    return SendRequest(**{**fields, "key": header or asked.key})


async def _item(house: House, asked: NewMessageBody, who: str) -> MessageBatchItem:
    try:
        message = await house.outbox.enqueue(_wanted(asked, None), who)
    except (LeadMasterError, StorageError) as error:
        problem = described(error, "batch")
        return MessageBatchItem(int(str(problem["status"])), problem=problem)
    return MessageBatchItem(ACCEPTED, message)


async def _items_judged(
    house: House, items: Sequence[MessageBatchItem], news: Subscription
) -> list[MessageBatchItem]:
    judged = await _judged(house, [item.message for item in items if item.message], news)
    return [
        MessageBatchItem(item.status, judged[item.message.id]) if item.message else item
        for item in items
    ]


async def _judged(
    house: House, waiting: Sequence[MessageRecord], news: Subscription
) -> dict[str, MessageRecord]:
    """Return the messages once the gate has judged each, or as they are when that takes long."""
    found = {message.id: message for message in waiting}
    try:
        async with asyncio.timeout(VERDICT_SECONDS):
            while queued := {id_ for id_, each in found.items() if each.state is _QUEUED}:
                changed = await _next_about(news, queued)
                found[changed] = await house.database.read(partial(messages.must, message=changed))
    except (TimeoutError, Lagged):
        for id_ in found:
            found[id_] = await house.database.read(partial(messages.must, message=id_))
    return found


async def _next_about(news: Subscription, subjects: set[str]) -> str:
    """Return the first of these that something happened to; raise :class:`Lagged` at the end."""
    async for published in news:
        if published.event.subject in subjects:
            return published.event.subject
    raise Lagged
