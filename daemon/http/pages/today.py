"""`/`: can I send, what waits for me, what stopped, and how the day went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from daemon.http.house import HttpServices
from daemon.http.pages import attention, budgets
from daemon.http.pages.attention import MAX_VISIBLE_ITEMS, TodoItem
from daemon.http.pages.budgets import NewChatBudget
from daemon.http.pages.funnel import FunnelChart, build_funnel_chart
from daemon.http.pages.language import Language
from daemon.http.pages.shell import build_page_context, render_errors, render_page, render_piece
from daemon.http.vitals import get_services
from daemon.sessions.view import SessionView
from statemachines.session import SendingState
from storage import halts, listings
from storage.halts import HaltRecord
from storage.listings import WaitingCount
from storage.tx import Reader

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class TodayView:
    """Everything that the page shows, read at one moment."""

    halt: HaltRecord | None
    views: list[SessionView]
    budgets: list[NewChatBudget]
    answers: WaitingCount
    items: list[TodoItem]
    funnel: FunnelChart

    @property
    def visible_items(self) -> list[TodoItem]:
        """Return the lines that the page has room for."""
        return self.items[:MAX_VISIBLE_ITEMS]

    def sentence(self, words: Language, clock: str) -> str:
        """Return the one sentence; `clock` is when the halt began, where there is one."""
        return words(
            "today.sentence",
            can=self._format_capacity(words, clock),
            rest=self._format_remaining(words),
        )

    def _format_capacity(self, words: Language, clock: str) -> str:
        if self.halt is not None:
            return words("today.can.halted", at=clock)
        if not self.views:
            return words("today.can.no_session")
        if self.budgets:
            left = sum(budget.left for budget in self.budgets)
            total = sum(budget.total for budget in self.budgets)
            return words("today.can.send" if left else "today.can.spent", n=total, left=left)
        if any(view.ready and view.sending is SendingState.REPLY_ONLY for view in self.views):
            return words("today.can.reply")
        return words("today.can.not_connected")

    def _format_remaining(self, words: Language) -> str:
        if self.answers.count:
            return words("today.rest.answers", n=self.answers.count)
        return (
            words("today.rest.lines", n=len(self.items)) if self.items else words("today.rest.no")
        )


def read_today(reader: Reader, house: HttpServices, midnight: datetime, now: datetime) -> TodayView:
    """Return the day as it stands in one read."""
    views = house.sessions.views()
    return TodayView(
        halt=halts.get_current_halt(reader),
        views=views,
        budgets=budgets.list_open_budgets(reader, house, views, now),
        answers=listings.count_unanswered_contacts(reader),
        items=attention.list_todo_items(reader, views),
        funnel=build_funnel_chart(listings.get_message_funnel(reader, midnight)),
    )


async def _build_today_values(request: web.Request) -> dict[str, Any]:
    house, shell = get_services(request), build_page_context(request)
    now = shell.now
    midnight = now.astimezone(shell.daemon_zone).replace(hour=0, minute=0, second=0, microsecond=0)
    today = await house.database.read(lambda reader: read_today(reader, house, midnight, now))
    clock = shell.time_of_day(today.halt.at) if today.halt else ""
    return {"today": today, "sentence": today.sentence(shell.words, clock)}


@routes.get("/")
@render_errors
async def show_today_page(request: web.Request) -> web.StreamResponse:
    """Show the day."""
    return await render_page(
        request, "today.html", active_page="today", **await _build_today_values(request)
    )


@routes.get("/pieces/today")
@render_errors
async def show_today_piece(request: web.Request) -> web.StreamResponse:
    """Show what changes of the day."""
    return render_piece(request, "pieces/today.html", **await _build_today_values(request))
