"""The messages pages: search, and one message with its verdict, its forecast and its timeline."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import PageQuery, read_query
from daemon.http.console import timeline, verdict_view
from daemon.http.console.chats import load_tab_counts
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.outcomes import build_outcome_view
from daemon.http.health import get_services
from daemon.http.v1.messages import parse_states
from daemon.outbox.forecast import forecast_message
from daemon.services import Services
from statemachines.message import CANCELLABLE_STATES
from storage import (
    console_queries,
    decisions,
    inbound,
    messages,
    prospects,
    score_explanations,
)
from storage.tx import Reader

routes = web.RouteTableDef()


class MessagesPageQuery(PageQuery, frozen=True):
    """Filters of the messages: states separated by commas, a session, and a text to search for."""

    state: str = ""
    session: str = ""
    text: str = ""


@routes.get("/messages")
@render_errors
async def show_messages_page(request: web.Request) -> web.StreamResponse:
    """Show messages, newest first; a request by htmx (a search) gets the list alone."""
    values = await _search_messages(request)
    if "HX-Request" in request.headers:
        return render_piece(request, "pieces/message_list.html", **values)
    counts = await load_tab_counts(request)
    return await render_page(
        request, "messages.html", active_page="messages", **values, counts=counts
    )


async def _search_messages(request: web.Request) -> dict[str, Any]:
    query, services = read_query(request, MessagesPageQuery), get_services(request)
    states = parse_states(query.state)
    found = await services.database.read(
        lambda reader: console_queries.search_messages(
            reader,
            states=states,
            text=query.text.strip(),
            session=query.session,
            after=query.after,
            limit=query.limit + 1,
        )
    )
    # One more was read than is shown: if it exists, there is a next page.
    visible = found[: query.limit]
    return {
        "found": visible,
        "query": query,
        "state_counts": await services.database.read(messages.count_messages_by_state),
        "next": visible[-1].message.id if len(found) > query.limit else "",
    }


def _get_score_document(reader: Reader, contact: str) -> Any:  # noqa: ANN401 - the document as it was stored
    prospect = prospects.find_prospect_by_contact(reader, contact)
    explanation = prospect.score_explanation if prospect else None
    return json.loads(score_explanations.get_score_explanation(reader, explanation) or "null")


@routes.get("/messages/{id}")
@render_errors
async def show_message_page(request: web.Request) -> web.StreamResponse:
    """Show one message: its state, verdict, forecast and timeline."""
    return await render_page(
        request, "message.html", active_page="messages", **await _build_message_values(request)
    )


@routes.get("/pieces/messages/{id}")
@render_errors
async def show_message_piece(request: web.Request) -> web.StreamResponse:
    """Show the content of a message's page, to be refreshed."""
    return render_piece(request, "pieces/message.html", **await _build_message_values(request))


@routes.get("/pieces/messages/{id}/cancel")
@render_errors
async def show_cancel_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that cancels a message."""
    message_id = await require_message_id(request)
    return render_piece(request, "pieces/cancel_message.html", message=message_id)


async def require_message_id(request: web.Request) -> str:
    """Return the id in the path; raise :class:`NotFound` where no message has it."""
    message_id = request.match_info["id"]
    found = await get_services(request).database.read(
        lambda reader: messages.get_message(reader, message_id)
    )
    if found is None:
        raise NotFound(f"There is no message {message_id}.")
    return message_id


async def _build_message_values(request: web.Request) -> dict[str, Any]:
    services, now = get_services(request), build_page_context(request).now
    message_id = request.match_info["id"]
    values = await services.database.read(
        lambda reader: _read_message(reader, services, message_id)
    )
    message = values["message"]
    if not isinstance(message, messages.MessageRecord):
        raise NotFound(f"There is no message {message_id}.")
    forecast = await services.database.read(
        lambda reader: forecast_message(reader, services.sessions, services.pacing, message, now)
    )
    return {**values, "forecast": forecast, "cancellable": message.state in CANCELLABLE_STATES}


def _read_message(reader: Reader, services: Services, message_id: str) -> dict[str, Any]:
    message = messages.get_message(reader, message_id)
    if message is None:
        return {"message": None}
    judgements = decisions.list_message_decisions(reader, message_id)
    ruleset = services.rulesets.gate.ruleset
    answers = inbound.list_contact_inbound(reader, message.contact)
    return {
        "message": message,
        "name": console_queries.get_prospect_name(reader, message.contact),
        "timeline": timeline.build_message_timeline(
            [dict(row) for row in messages.list_message_history(reader, message_id)], answers
        ),
        "verdict": verdict_view.build_verdict_view(
            judgements[-1].document, ruleset, _get_score_document(reader, message.contact)
        )
        if judgements
        else None,
        "judged_at": judgements[-1].at if judgements else None,
        "decision_count": len(judgements),
        "outcomes": build_outcome_view(reader, message.contact) if message.sent_at else None,
    }
