"""`/v1/numbers` and `/v1/decision-entries`: budgets, breaker and stops of phone numbers."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageLimit,
    PhoneText,
    ReasonText,
    RequestBody,
    RequestQuery,
    ResultPage,
    check_year,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.outbox.number_budgets import BudgetDecision, NumberBudgets
from daemon.outbox.number_status import NumberStatus, list_number_statuses
from storage import decision_entries
from storage.decision_entries import DecisionEntry
from storage.numbers import PhoneNumberRecord

routes = web.RouteTableDef()


class NewChatsResumeBody(RequestBody, frozen=True):
    """The number whose new chats a person resumes (E.164), and why."""

    phone: PhoneText
    reason: ReasonText


class NumberBudgetBody(RequestBody, frozen=True):
    """A budget of one number (E.164). One that allows more needs the other three.

    They are why it may be raised, what would make us lower it again, and until when it is raised.
    """

    phone: PhoneText
    budget: Annotated[str, msgspec.Meta(max_length=40)]
    value: float
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    lower_when: Annotated[str, msgspec.Meta(max_length=500)] = ""
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class DecisionEntryBody(RequestBody, frozen=True):
    """Up to which value a budget of the settings may be raised, and why."""

    budget: str
    value: float
    reason: ReasonText


class DecisionEntryQuery(RequestQuery, frozen=True):
    """How many entries to list."""

    limit: PageLimit = 50


@routes.get("/v1/numbers")
@operation(ResultPage[NumberStatus])
async def list_numbers(request: web.Request) -> web.Response:
    """Return what each linked number may begin: its budgets, what the breaker counts, its stops."""
    services = get_services(request)
    now = services.clock.now()
    return list_response(
        await services.database.read(
            lambda reader: list_number_statuses(reader, services.pacing, now)
        )
    )


@routes.post("/v1/numbers/resume")
@operation(PhoneNumberRecord, body=NewChatsResumeBody, errors=(NotFound, Conflict))
async def resume_new_chats(request: web.Request) -> web.Response:
    """Resume new chats that the breaker stopped; what it counts starts at 0.

    Other stops of the number, as those after a ban, last as long as without it.
    """
    asked, services = await read_body(request, NewChatsResumeBody), get_services(request)
    return json_response(await services.breaker.resume(asked.phone, request[ACTOR], asked.reason))


@routes.get("/v1/numbers/budgets")
@operation(ResultPage[NumberBudgets])
async def list_number_budgets(request: web.Request) -> web.Response:
    """Return each number's budgets: limit, use, who set it, and what was set before."""
    return list_response(await get_services(request).number_budgets.list_budgets())


@routes.post("/v1/numbers/budgets")
@operation(NumberBudgets, body=NumberBudgetBody, errors=(NotFound, Conflict, BadRequest))
async def set_number_budget(request: web.Request) -> web.Response:
    """Set a budget of one number: lower at once, higher by a decision that ends by itself."""
    asked, services = await read_body(request, NumberBudgetBody), get_services(request)
    check_year("until", asked.until)
    decision = BudgetDecision(asked.reason, asked.lower_when, asked.until)
    return json_response(
        await services.number_budgets.set_budget(
            asked.phone, asked.budget, asked.value, request[ACTOR], decision
        )
    )


@routes.get("/v1/decision-entries")
@operation(ResultPage[DecisionEntry], query=DecisionEntryQuery)
async def list_decision_entries(request: web.Request) -> web.Response:
    """Return what people decided to allow, the latest first."""
    limit = read_query(request, DecisionEntryQuery).limit
    return list_response(
        await get_services(request).database.read(
            partial(decision_entries.list_decision_entries, limit=limit)
        )
    )


@routes.post("/v1/decision-entries")
@operation(DecisionEntry, status=201, body=DecisionEntryBody, errors=(BadRequest,))
async def record_decision_entry(request: web.Request) -> web.Response:
    """Record up to which value a budget may be raised; the setting itself is still to be changed.

    The latest entry of a budget counts. Lowering a budget needs none.
    """
    asked = await read_body(request, DecisionEntryBody)
    entry = await get_services(request).decisions.record(
        asked.budget, asked.value, request[ACTOR], asked.reason
    )
    return json_response(entry, status=201)
