"""`POST /v1/messages`: enqueues one message or a batch, and can wait for the verdict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from daemon import validation_errors
from daemon.bus import EventSubscription, SubscriberLagged
from daemon.errors import BadRequest, IdempotencyConflict, LeadMasterError, NumberRejected
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    RequestQuery,
    ResponseBody,
    check_year,
    json_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import IDEMPOTENCY_KEY_HEADER, operation
from daemon.http.problems import problem_from_error
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.message_check import MessageCheckResult
from daemon.services import Services
from statemachines.message import MessageState
from storage import messages
from storage.errors import StorageError
from storage.messages import MessageRecord

routes = web.RouteTableDef()

VERDICT_TIMEOUT_SECONDS: Final = 30.0
BATCH_LIMIT: Final = 500
ACCEPTED: Final = 202
_EVENT_LIMIT: Final = 8 * BATCH_LIMIT  # a message has a few events until its verdict
_QUEUED: Final = MessageState.QUEUED
ZonedDateTime = Annotated[datetime, msgspec.Meta(tz=True)]
IdempotencyKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


MAX_DELAY_SECONDS: Final = 60
"""How long a message may be held back so that its writer can take it back."""


class NewMessageBody(RequestBody, frozen=True):
    """A message to send. The sender plugin chooses what is left out.

    `key` is its idempotency key: the same key and message again return the same message.
    `typed` is what a person typed of a text that is made with `template`, each part on a line of
    its own. `template` is as `POST /v1/texts/{id}/prepare` returns it: where a person approved that
    version, its fixed words do not count in the likeness of a text that is made of it.
    `not_before` and `not_after` carry their offset from UTC, so that no change of clocks
    makes them ambiguous. With `delay_seconds` it can be taken back for so long.
    """

    to: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    typed: str | None = None
    campaign: str | None = None
    not_before: ZonedDateTime | None = None
    not_after: ZonedDateTime | None = None
    delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_DELAY_SECONDS)] = 0
    key: IdempotencyKey | None = None


MessageBatch = Annotated[list[NewMessageBody], msgspec.Meta(min_length=1, max_length=BATCH_LIMIT)]
# Any, because msgspec takes the union as a value, at run time.
MessageOrBatch: Final[Any] = NewMessageBody | MessageBatch


class EnqueueQuery(RequestQuery, frozen=True):
    """How long to wait before answering."""

    wait: Literal["verdict"] | None = None


class MessageBatchItem(ResponseBody, frozen=True):
    """The result of one message of a list: the stored message, or a problem."""

    status: int
    message: MessageRecord | None = None
    problem: dict[str, Any] | None = None


class MessageBatchResult(ResponseBody, frozen=True):
    """The results of a list of messages, in the order of the list."""

    items: Sequence[MessageBatchItem]


@routes.post("/v1/messages")
@operation(
    (MessageRecord, MessageBatchResult),
    status=ACCEPTED,
    body=MessageOrBatch,
    query=EnqueueQuery,
    errors=(NumberRejected, IdempotencyConflict),
    idempotency_key=True,
)
async def enqueue_messages(request: web.Request) -> web.Response:
    """Accept a message: 202 with its id; the gate judges it next.

    `?wait=verdict` answers once the gate has judged. A list is accepted one by one: each item is
    stored whole or not at all, and each has its own result. One message may have its idempotency
    key in the header `Idempotency-Key`; in a list each item has its own `key`.
    """
    body: NewMessageBody | list[NewMessageBody] = await read_body(request, MessageOrBatch)
    query, services = read_query(request, EnqueueQuery), get_services(request)
    header = _read_key_header(request)
    with _subscribe(services, query) as events:
        if isinstance(body, NewMessageBody):
            message = await services.outbox.enqueue(
                build_send_request(body, header), request[ACTOR]
            )
            if events:
                message = (await _wait_for_verdicts(services, [message], events))[message.id]
            return json_response(message, status=ACCEPTED)
        if header is not None:
            raise BadRequest(
                f"{IDEMPOTENCY_KEY_HEADER}: one key can't stand for many messages.",
                hint="Give each message of the list a `key` of its own.",
            )
        items = [await _enqueue_item(services, each, request[ACTOR]) for each in body]
        if events:
            items = await _wait_for_item_verdicts(services, items, events)
    return json_response(MessageBatchResult(items), status=ACCEPTED)


@routes.post("/v1/messages/check")
@operation(MessageCheckResult, body=NewMessageBody, errors=(NumberRejected,))
async def check_message(request: web.Request) -> web.Response:
    """Say what would become of a message if it were sent now; nothing is stored.

    It runs the code of a send up to its verdict. The message is judged again when it is sent.
    """
    body = await read_body(request, NewMessageBody)
    checker = get_services(request).message_check
    return json_response(await checker.check(build_send_request(body, None)))


@contextlib.contextmanager
def _subscribe(services: Services, query: EnqueueQuery) -> Iterator[EventSubscription | None]:
    """Yield a subscription for who waits for the verdict, None for others."""
    if query.wait is None:
        yield None
        return
    # Before the message is queued: the verdict may be committed before its id is known here.
    with contextlib.closing(services.bus.subscribe(_EVENT_LIMIT)) as events:
        yield events


def _read_key_header(request: web.Request) -> str | None:
    given = request.headers.get(IDEMPOTENCY_KEY_HEADER)
    try:
        if given is not None:
            given.encode()
        return msgspec.convert(given, IdempotencyKey | None)
    except UnicodeEncodeError as error:  # the library reads such bytes as surrogates
        raise BadRequest(f"{IDEMPOTENCY_KEY_HEADER}: must be UTF-8.") from error
    except msgspec.ValidationError as error:
        sentence = validation_errors.format_field_error(
            IDEMPOTENCY_KEY_HEADER, error, IdempotencyKey
        )
        raise BadRequest(f"{sentence}.") from error


def build_send_request(asked: NewMessageBody, header: str | None) -> SendRequest:
    """Return the request to send; `header` is the key of the idempotency header, if it was sent."""
    for name, moment in (("not_before", asked.not_before), ("not_after", asked.not_after)):
        check_year(name, moment)
    if header and asked.key and header != asked.key:
        raise BadRequest(
            f"{IDEMPOTENCY_KEY_HEADER}: the message has another key.",
            hint="Give it one: in the header or in the body.",
        )
    fields = msgspec.structs.asdict(asked)
    return SendRequest(**{**fields, "key": header or asked.key})


async def _enqueue_item(services: Services, asked: NewMessageBody, who: str) -> MessageBatchItem:
    try:
        message = await services.outbox.enqueue(build_send_request(asked, None), who)
    except (LeadMasterError, StorageError) as error:
        # One refused message must not lose the others of the list.
        problem = problem_from_error(error, "batch")
        return MessageBatchItem(int(str(problem["status"])), problem=problem)
    return MessageBatchItem(ACCEPTED, message)


async def _wait_for_item_verdicts(
    services: Services, items: Sequence[MessageBatchItem], events: EventSubscription
) -> list[MessageBatchItem]:
    judged = await _wait_for_verdicts(
        services, [item.message for item in items if item.message], events
    )
    return [
        MessageBatchItem(item.status, judged[item.message.id]) if item.message else item
        for item in items
    ]


async def _wait_for_verdicts(
    services: Services, waiting: Sequence[MessageRecord], events: EventSubscription
) -> dict[str, MessageRecord]:
    """Return the messages once each is judged, or as they are after the timeout."""
    found = {message.id: message for message in waiting}
    try:
        async with asyncio.timeout(VERDICT_TIMEOUT_SECONDS):
            while queued := {id_ for id_, each in found.items() if each.state is _QUEUED}:
                changed = await _wait_for_subject(events, queued)
                found[changed] = await services.database.read(
                    partial(messages.require_message, message=changed)
                )
    except (TimeoutError, SubscriberLagged):
        # No error: the messages were accepted. Events that were missed show in the rows.
        for id_ in found:
            found[id_] = await services.database.read(
                partial(messages.require_message, message=id_)
            )
    return found


async def _wait_for_subject(events: EventSubscription, subjects: set[str]) -> str:
    """Return the first of the subjects that an event names.

    Raises :class:`SubscriberLagged`, also where the subscription ends.
    """
    async for published in events:
        if published.event.subject in subjects:
            return published.event.subject
    raise SubscriberLagged
