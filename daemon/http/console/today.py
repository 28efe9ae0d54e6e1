"""The Today page: whether messages can be sent, what waits for a person, the day's funnel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from aiohttp import web

from daemon.http.console import sessions, todo
from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.sessions import NewChatBudget
from daemon.http.console.todo import MAX_VISIBLE_ITEMS, TodoItem
from daemon.http.health import get_services
from daemon.services import Services
from daemon.sessions.status import SessionView
from statemachines.session import SendingState
from storage import console_queries, halts
from storage.console_queries import MessageFunnel, WaitingCount
from storage.halts import HaltRecord
from storage.tx import Reader

CHART_STEP_WIDTH: Final = 120
CHART_HEIGHT: Final = 96
# Units of the drawing: a step of zero still shows as a line.
_MIN_CHART_HEIGHT: Final = 2.0
ChartPoint = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step of the funnel: its key, its count, and its share of the first step in percent."""

    key: str
    count: int
    share: int


@dataclass(frozen=True, slots=True)
class FunnelChart:
    """The steps, and the outline of the chart in a box of `width` by `height`."""

    steps: tuple[FunnelStep, ...]
    outline: str
    width: int
    height: int


def build_funnel_chart(found: MessageFunnel) -> FunnelChart:
    """Return the funnel of a day as a chart."""
    counts = [(field.name, int(getattr(found, field.name))) for field in fields(found)]
    largest = max(1, *(count for _, count in counts))
    steps = tuple(
        FunnelStep(name, count, round(100 * count / found.asked) if found.asked else 0)
        for name, count in counts
    )
    heights = [max(_MIN_CHART_HEIGHT, CHART_HEIGHT * step.count / largest) for step in steps]
    return FunnelChart(steps, _build_outline(heights), CHART_STEP_WIDTH * len(steps), CHART_HEIGHT)


def _build_outline(heights: list[float]) -> str:
    """Return the SVG path: along the top from left to right, back along the bottom."""
    middle = CHART_HEIGHT / 2
    top: list[ChartPoint] = [
        (index * CHART_STEP_WIDTH, middle - height / 2) for index, height in enumerate(heights)
    ]
    top.append((len(heights) * CHART_STEP_WIDTH, top[-1][1]))
    bottom = [(x, CHART_HEIGHT - y) for x, y in reversed(top)]
    return f"M{_build_curve(top)} L{_build_curve(bottom)} Z"


def _build_curve(points: Sequence[ChartPoint]) -> str:
    """Return a curve that is level at each point."""
    parts = [f"{points[0][0]:g} {points[0][1]:.1f}"]
    for (x, y), (next_x, next_y) in pairwise(points):
        # Both control points lie halfway between two points, at their heights.
        half = (x + next_x) / 2
        parts.append(f"C{half:g} {y:.1f} {half:g} {next_y:.1f} {next_x:g} {next_y:.1f}")
    return " ".join(parts)


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
        """Return the items that the page has room for."""
        return self.items[:MAX_VISIBLE_ITEMS]

    def sentence(self, words: Language, clock: str) -> str:
        """Return the sentence at the top; `clock` is the time at which a halt began."""
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
            words("today.rest.items", n=len(self.items)) if self.items else words("today.rest.no")
        )


def read_today(reader: Reader, services: Services, midnight: datetime, now: datetime) -> TodayView:
    """Return everything that the page shows, in one read."""
    views = services.sessions.views()
    return TodayView(
        halt=halts.get_current_halt(reader),
        views=views,
        budgets=sessions.list_open_budgets(reader, services, views, now),
        answers=console_queries.count_unanswered_contacts(reader),
        items=todo.list_todo_items(reader, views, now),
        funnel=build_funnel_chart(console_queries.get_message_funnel(reader, midnight)),
    )


async def _build_today_values(request: web.Request) -> dict[str, Any]:
    services, page = get_services(request), build_page_context(request)
    now = page.now
    # The day of the installation, and not of the reader: everybody sees the same funnel.
    midnight = now.astimezone(page.daemon_zone).replace(hour=0, minute=0, second=0, microsecond=0)
    today = await services.database.read(lambda reader: read_today(reader, services, midnight, now))
    clock = page.time_of_day(today.halt.at) if today.halt else ""
    return {"today": today, "sentence": today.sentence(page.words, clock)}


@routes.get("/")
@render_errors
async def show_today_page(request: web.Request) -> web.StreamResponse:
    """Show the page."""
    return await render_page(
        request, "today.html", active_page="today", **await _build_today_values(request)
    )


@routes.get("/pieces/today")
@render_errors
async def show_today_piece(request: web.Request) -> web.StreamResponse:
    """Show the content of the page, to be refreshed."""
    return render_piece(request, "pieces/today.html", **await _build_today_values(request))
