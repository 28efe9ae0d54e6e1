"""`/v1/conversations`: who waits, one chat with its lines, and what a person does with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.chats.outcome_service import OutcomeResult
from daemon.chats.reading import ChatDetail, ChatSummary, ChatTab
from daemon.chats.service import ConversationMoved
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResponseBody,
    ResultPage,
    check_year,
    json_response,
    list_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage.conversation_queries import ChatLine
from storage.messages import MessageRecord
from storage.outcomes import Outcome, OutcomeRecord
from storage.prospects import ProspectRecord

routes = web.RouteTableDef()

ACCEPTED = 202
_LineId = Annotated[str, msgspec.Meta(max_length=64)]
_BoxKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_MAX_INTEGER = 2**53 - 1


class ConversationQuery(PageQuery, frozen=True):
    """Which chats to list: those that wait, mine, snoozed ones, strangers, or all.

    `no_outcome`: closed though nobody said what came of it. `data_asked`: they wait for their data.

    With `text`, those whose name, number or words contain it, whatever its accents.
    """

    tab: ChatTab = "waiting"
    text: Annotated[str, msgspec.Meta(max_length=100)] = ""


class TakeConversationBody(RequestBody, frozen=True):
    """Whether the chat is mine from now on, or nobody's."""

    mine: bool = True


class CloseConversationBody(RequestBody, frozen=True):
    """Whether the chat is closed, or open again."""

    closed: bool = True


class ReadConversationBody(RequestBody, frozen=True):
    """Whether I have read the chat, or want to see it as unread."""

    read: bool = True


class SnoozeConversationBody(RequestBody, frozen=True):
    """Until when the chat waits; null, or nothing, ends that. With its offset from UTC."""

    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class ViewConversationBody(RequestBody, frozen=True):
    """Whether I look at the chat now, or no longer."""

    viewing: bool = True


class StrangerProspectBody(RequestBody, frozen=True):
    """The name of the prospect that a stranger becomes, if it is known."""

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


class ConversationDraftBody(RequestBody, frozen=True):
    """What I have typed so far; an empty text deletes it."""

    text: str


class ConversationReplyBody(RequestBody, frozen=True):
    """An answer. `last_seen` is the newest line that its writer saw, as the chat names it.

    `key` is made once for each box, so that two taps send one message. `take_over`: also while
    another person answers. `template` is the version of the text that it is made of, if any.
    """

    text: str
    last_seen: _LineId
    key: _BoxKey
    template: str | None = None
    take_over: bool = False


class ConversationOutcomeBody(RequestBody, frozen=True):
    """What came of the conversation, and the message of theirs that shows it; else their last.

    `refuse` counts for `not_interested` alone: they get nothing commercial any more. `minor` needs
    `confirmed`.
    """

    outcome: Outcome
    inbound: _LineId = ""
    refuse: bool = True
    confirmed: bool = False


class DataRequestBody(RequestBody, frozen=True):
    """That they asked for their data, by this message of theirs, else the last; or got it."""

    inbound: _LineId = ""
    given: bool = False


class DataRequestResult(ResponseBody, frozen=True):
    """When they asked for their data, until when they must have it, and whether they got it."""

    contact: str
    asked_at: datetime
    due_at: datetime
    given: bool


class UndoOutcomeBody(RequestBody, frozen=True):
    """The outcome to take back."""

    id: Annotated[int, msgspec.Meta(ge=1, le=_MAX_INTEGER)]


class ViewConversationResult(ResponseBody, frozen=True):
    """Who else looks at the chat now."""

    contact: str
    viewing_by: Sequence[str]


class PrivateConversationResult(ResponseBody, frozen=True):
    """What was erased; nothing of theirs is stored from now on."""

    contact: str
    erased: bool


class ReadConversationResult(ResponseBody, frozen=True):
    """Whether the reader has read the chat."""

    contact: str
    read: bool


@routes.get("/v1/conversations")
@operation(ResultPage[ChatSummary], query=ConversationQuery)
async def list_conversations(request: web.Request) -> web.Response:
    """Return the chats of a tab: who waits longest first, courtesy last, elsewhere newest first.

    A stranger's row has neither their text nor their whole number.
    """
    query = read_query(request, ConversationQuery)
    found = await get_services(request).chats.list_chats(
        *(query.tab, request[ACTOR]),
        text=query.text.strip(),
        after=query.after,
        limit=query.limit + 1,
    )
    return page_response(found, query.limit, lambda chat: chat.contact)


@routes.get("/v1/conversations/{contact}")
@operation(ChatDetail, errors=(NotFound,))
async def get_conversation(request: web.Request) -> web.Response:
    """Return one chat: its latest lines, what may be written now, and the caller's own draft.

    It marks nothing as read, and a stranger's lines are left out.
    """
    contact = request.match_info["contact"]
    return json_response(await get_services(request).chats.read_chat(contact, request[ACTOR]))


@routes.post("/v1/conversations/{contact}/take")
@operation(ChatSummary, body=TakeConversationBody, errors=(NotFound,))
async def take_conversation(request: web.Request) -> web.Response:
    """Say that a chat is the caller's, or nobody's; nobody is kept from answering by that."""
    body, contact = await read_body(request, TakeConversationBody), request.match_info["contact"]
    chats = get_services(request).chats
    return json_response(await chats.take(contact, request[ACTOR], mine=body.mine))


@routes.post("/v1/conversations/{contact}/close")
@operation(ChatSummary, body=CloseConversationBody, errors=(NotFound,))
async def close_conversation(request: web.Request) -> web.Response:
    """Close a chat for everybody until they write again; with `closed` false, open it again."""
    body, contact = await read_body(request, CloseConversationBody), request.match_info["contact"]
    chats = get_services(request).chats
    return json_response(await chats.close(contact, request[ACTOR], closed=body.closed))


@routes.post("/v1/conversations/{contact}/snooze")
@operation(ChatSummary, body=SnoozeConversationBody, errors=(NotFound,))
async def snooze_conversation(request: web.Request) -> web.Response:
    """Let a chat wait until a time, at most 90 days away, or until they write again."""
    body, contact = await read_body(request, SnoozeConversationBody), request.match_info["contact"]
    check_year("until", body.until)
    chats = get_services(request).chats
    return json_response(await chats.snooze(contact, request[ACTOR], body.until))


@routes.post("/v1/conversations/{contact}/read")
@operation(ReadConversationResult, body=ReadConversationBody, errors=(NotFound,))
async def read_conversation(request: web.Request) -> web.Response:
    """Note that the caller has read a chat, or wants it unread; who waits stays the same."""
    body, contact = await read_body(request, ReadConversationBody), request.match_info["contact"]
    await get_services(request).chats.mark_read(contact, request[ACTOR], read=body.read)
    return json_response(ReadConversationResult(contact, body.read))


@routes.post("/v1/conversations/{contact}/draft")
@operation(ChatSummary, body=ConversationDraftBody, errors=(NotFound,))
async def save_conversation_draft(request: web.Request) -> web.Response:
    """Keep what the caller has typed; `writing_by` names another person who types already."""
    body, contact = await read_body(request, ConversationDraftBody), request.match_info["contact"]
    chats = get_services(request).chats
    return json_response(await chats.save_draft(contact, request[ACTOR], body.text))


@routes.post("/v1/conversations/{contact}/reply")
@operation(
    MessageRecord,
    status=ACCEPTED,
    body=ConversationReplyBody,
    errors=(NotFound, Conflict, ConversationMoved),
)
async def reply_to_conversation(request: web.Request) -> web.Response:
    """Queue an answer; the gate decides, and it leaves five seconds later, unless it is cancelled.

    409 `conversation_moved` where something is newer than `last_seen`: the problem has the new
    `lines`, and nothing was queued. The same `key` and text again return the same message.
    """
    body, contact = await read_body(request, ConversationReplyBody), request.match_info["contact"]
    message = await get_services(request).chats.reply(
        contact,
        request[ACTOR],
        body.text,
        last_seen=body.last_seen,
        key=body.key,
        template=body.template,
        take_over=body.take_over,
    )
    return json_response(message, status=ACCEPTED)


@routes.post("/v1/conversations/{contact}/view")
@operation(ViewConversationResult, body=ViewConversationBody, errors=(NotFound,))
async def view_conversation(request: web.Request) -> web.Response:
    """Say that the caller looks at a chat, for 45 seconds; the answer names who else does."""
    body, contact = await read_body(request, ViewConversationBody), request.match_info["contact"]
    others = await get_services(request).chats.view(contact, request[ACTOR], viewing=body.viewing)
    return json_response(ViewConversationResult(contact, others))


@routes.post("/v1/conversations/{contact}/reveal")
@operation(ResultPage[ChatLine], errors=(NotFound,))
async def reveal_conversation(request: web.Request) -> web.Response:
    """Return the lines of a stranger's chat; that the caller saw them is audited."""
    contact = request.match_info["contact"]
    lines = await get_services(request).strangers.reveal(contact, request[ACTOR])
    response = list_response(lines)
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.post("/v1/conversations/{contact}/prospect")
@operation(ProspectRecord, status=201, body=StrangerProspectBody, errors=(NotFound, Conflict))
async def add_stranger_as_prospect(request: web.Request) -> web.Response:
    """Make a prospect of a stranger who wrote; their own words say what may be written to them."""
    body, contact = await read_body(request, StrangerProspectBody), request.match_info["contact"]
    strangers = get_services(request).strangers
    made = await strangers.add_as_prospect(contact, request[ACTOR], body.name.strip())
    return json_response(made, status=201)


@routes.post("/v1/conversations/{contact}/private")
@operation(PrivateConversationResult, errors=(NotFound, Conflict))
async def make_conversation_private(request: web.Request) -> web.Response:
    """Erase a stranger's chat, and store nothing of theirs again but an opt-out."""
    contact = request.match_info["contact"]
    await get_services(request).strangers.make_private(contact, request[ACTOR])
    return json_response(PrivateConversationResult(contact, erased=True))


@routes.post("/v1/conversations/{contact}/outcome")
@operation(OutcomeResult, body=ConversationOutcomeBody, errors=(NotFound, Conflict))
async def record_outcome(request: web.Request) -> web.Response:
    """Record what came of a conversation, with its effects; the chat is closed.

    It can be taken back for ten seconds. A minor's data is erased at once, but for the hash that
    keeps them suppressed, and that can't be taken back.
    """
    body, contact = await read_body(request, ConversationOutcomeBody), request.match_info["contact"]
    result = await get_services(request).outcomes.record(
        contact,
        body.outcome,
        request[ACTOR],
        inbound_id=body.inbound,
        refuse=body.refuse,
        confirmed=body.confirmed,
    )
    return json_response(result)


@routes.post("/v1/conversations/{contact}/outcome/undo")
@operation(OutcomeRecord, body=UndoOutcomeBody, errors=(NotFound, Conflict))
async def undo_outcome(request: web.Request) -> web.Response:
    """Take an outcome back within ten seconds, with all that it changed.

    What it had cancelled is queued again as new messages, which the gate judges.
    """
    body, contact = await read_body(request, UndoOutcomeBody), request.match_info["contact"]
    outcomes = get_services(request).outcomes
    return json_response(await outcomes.undo(contact, body.id, request[ACTOR]))


@routes.post("/v1/conversations/{contact}/data-request")
@operation(DataRequestResult, body=DataRequestBody, errors=(NotFound, Conflict))
async def note_data_request(request: web.Request) -> web.Response:
    """Note that somebody asked to see what is stored of them, or, with `given`, that they got it.

    They must have it within ten days of their message; Today shows who waits for it.
    """
    body, contact = await read_body(request, DataRequestBody), request.match_info["contact"]
    service, who = get_services(request).data_requests, request[ACTOR]
    if body.given:
        found = await service.settle(contact, who)
    else:
        found = await service.note(contact, who, inbound_id=body.inbound)
    return json_response(DataRequestResult(found.contact, found.asked_at, found.due_at, body.given))
