"""`/v1/messages/selection`: one action on many messages, ticked or all that a filter finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from daemon.errors import Conflict
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonText, RequestBody, ResponseBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.v1.messages import parse_states
from daemon.http.v1.selection_actions import (
    MAX_NAMED,
    MAX_SELECTED,
    SelectedIds,
    SelectedText,
    SelectionResult,
    act_on_selection,
    hash_selection,
    require_few,
    require_one_choice,
)
from daemon.services import Services
from storage import console_queries
from storage.console_queries import ListedMessage
from storage.messages import MessageRecord

routes = web.RouteTableDef()


class MessageFilter(RequestBody, frozen=True):
    """What the list of messages is filtered by: states with commas, a session, and a text."""

    state: SelectedText = ""
    session: SelectedText = ""
    text: SelectedText = ""


class MessageSelectionBody(RequestBody, frozen=True):
    """Some messages by their ids, or all that a filter finds: one of the two."""

    ids: SelectedIds | None = None
    filter: MessageFilter | None = None


class SelectedMessagesBody(MessageSelectionBody, frozen=True, kw_only=True):
    """A selection as it was answered, and why something is done about it."""

    hash: SelectedText
    reason: ReasonText


class MessageSelection(ResponseBody, frozen=True):
    """How many messages a selection is, the recipients of the first five, and its hash."""

    count: int
    names: Sequence[str]
    hash: str


@routes.post("/v1/messages/selection")
@operation(MessageSelection, body=MessageSelectionBody)
async def select_messages(request: web.Request) -> web.Response:
    """Return how many messages a selection is, and for which people; its hash goes with actions."""
    asked = await read_body(request, MessageSelectionBody)
    found = await _load(get_services(request), asked)
    names = [each.name or each.message.recipient for each in found[:MAX_NAMED]]
    hash_ = hash_selection(each.message.id for each in found)
    return json_response(MessageSelection(len(found), names, hash_))


@routes.post("/v1/messages/selection/approve")
@operation(SelectionResult, body=SelectedMessagesBody, errors=(Conflict,))
async def approve_selected_messages(request: web.Request) -> web.Response:
    """Approve each of them that is held, as it is worded; the gate judges each once more."""
    review, who = get_services(request).review, request[ACTOR]
    body = await read_body(request, SelectedMessagesBody)
    return await _act(request, body, lambda each: review.approve(each.id, who, body.reason))


@routes.post("/v1/messages/selection/reject")
@operation(SelectionResult, body=SelectedMessagesBody, errors=(Conflict,))
async def reject_selected_messages(request: web.Request) -> web.Response:
    """Reject each of them that is held or deferred, which blocks it."""
    review, who = get_services(request).review, request[ACTOR]
    body = await read_body(request, SelectedMessagesBody)
    return await _act(request, body, lambda each: review.reject(each.id, who, body.reason))


@routes.post("/v1/messages/selection/cancel")
@operation(SelectionResult, body=SelectedMessagesBody, errors=(Conflict,))
async def cancel_selected_messages(request: web.Request) -> web.Response:
    """Cancel each of them that has not left."""
    outbox, who = get_services(request).outbox, request[ACTOR]
    body = await read_body(request, SelectedMessagesBody)
    return await _act(request, body, lambda each: outbox.cancel(each.id, who, body.reason))


async def _act(
    request: web.Request,
    asked: SelectedMessagesBody,
    do: Callable[[MessageRecord], Awaitable[object]],
) -> web.Response:
    found = await _load(get_services(request), asked)
    names = {each.message.id: each.name or each.message.recipient for each in found}
    messages = [each.message for each in found]
    return await act_on_selection(messages, asked.hash, do, lambda each: names[each.id])


async def _load(services: Services, asked: MessageSelectionBody) -> list[ListedMessage]:
    """Return the messages of a selection, the newest first."""
    require_one_choice(asked.ids, asked.filter)
    wanted = asked.filter or MessageFilter()
    states = parse_states(wanted.state)
    found = await services.database.read(
        lambda reader: console_queries.search_messages(
            reader,
            states=states,
            text=wanted.text.strip(),
            session=wanted.session,
            ids=asked.ids,
            limit=MAX_SELECTED + 1,
        )
    )
    require_few(len(found))
    return found
