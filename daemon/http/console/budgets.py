"""The `/budgets` page: each number's limits, what is used, who set them, and the dialog of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services

routes = web.RouteTableDef()

_RAISE_DAYS: Final = (7, 30, 90)


@routes.get("/budgets")
@render_errors
async def show_budgets_page(request: web.Request) -> web.StreamResponse:
    """Show the budgets of every number, and what was set for it before."""
    found = await get_services(request).number_budgets.list_budgets()
    return await render_page(request, "budgets.html", active_page="budgets", numbers=found)


@routes.get("/pieces/budgets/{phone}/{budget}")
@render_errors
async def show_budget_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that sets one budget, with what the breaker counts beside it."""
    services, wanted = get_services(request), request.match_info
    for number in await services.number_budgets.list_budgets():
        for budget in number.budgets:
            if (number.phone, budget.budget) == (wanted["phone"], wanted["budget"]):
                now = services.clock.now()
                return render_piece(
                    request,
                    "pieces/budget_change.html",
                    number=number,
                    budget=budget,
                    # A minute less, so that the longest is no longer than what is allowed.
                    ends=[(n, now + timedelta(days=n, minutes=-1)) for n in _RAISE_DAYS],
                )
    raise NotFound("There is no such budget of this number.")
