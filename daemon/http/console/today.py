"""The Today page: whether messages can be sent, what waits for a person, the day's funnel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from daemon.http.console import sessions, todo
from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.morning_lines import build_morning_lines
from daemon.http.console.sessions import NewChatBudget
from daemon.http.console.todo import MAX_VISIBLE_ITEMS, DaemonCondition, TodoItem
from daemon.http.health import DAEMON_HEALTH, get_services
from daemon.morning import MorningReport
from daemon.services import Services
from daemon.sessions.status import SessionView
from daemon.severity import Severity, get_session_severity
from statemachines.session import SendingState
from storage import console_queries
from storage.alerts import AlertRecord, list_open_alerts
from storage.console_queries import MessageFunnel, WaitingCount
from storage.conversation_queries import list_chats_without_outcome
from storage.morning import NightTroubleKind
from storage.tx import Reader
from storage.waiting import count_waiting

CHART_STEP_WIDTH: Final = 120
CHART_HEIGHT: Final = 96
# Units of the drawing: a step of zero still shows as a line.
_MIN_CHART_HEIGHT: Final = 2.0
ChartPoint = tuple[float, float]


class FunnelStep(Struct, frozen=True):
    """One step of the funnel: its key, its count, and its share of the first step in percent."""

    key: str
    count: int
    share: int


class FunnelChart(Struct, frozen=True):
    """The steps, and the outline of the chart in a box of `width` by `height`."""

    steps: tuple[FunnelStep, ...]
    outline: str
    width: int
    height: int


def build_funnel_chart(found: MessageFunnel) -> FunnelChart:
    """Return the funnel of a day as a chart."""
    counts = [(name, int(getattr(found, name))) for name in found.__struct_fields__]
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


class TodayView(Struct, frozen=True):
    """Everything that the page shows, read at one moment."""

    condition: DaemonCondition
    refused: bool
    """Whether the disk takes nothing, which the banner explains."""
    views: list[SessionView]
    budgets: list[NewChatBudget]
    answers: WaitingCount
    alerts: list[AlertRecord]
    items: list[TodoItem]
    funnel: FunnelChart
    without_outcome: int
    """Chats that were closed though nobody said what came of them."""
    morning: MorningReport

    @property
    def listed_items(self) -> list[TodoItem]:
        """Return the items but for who waits, which is one of the four lines."""
        return [item for item in self.items if item.key != "answers"]

    @property
    def visible_items(self) -> list[TodoItem]:
        """Return the items that the page has room for."""
        return self.listed_items[:MAX_VISIBLE_ITEMS]

    @property
    def is_calm(self) -> bool:
        """Return whether all is fine: nothing to do, and every phone that is not off is ready."""
        levels = {get_session_severity(view) for view in self.views} - {Severity.OFF}
        return not self.items and levels == {Severity.READY}

    @property
    def _banned(self) -> str:
        """Return a session whose number is banned; empty where none is."""
        banned = (str(item.values["session"]) for item in self.items if item.key == "ban")
        return next(banned, "")

    @property
    def _without_backup(self) -> datetime | None:
        """Return since when there is no backup, or None where there is one."""
        backups = (t for t in self.morning.troubles if t.kind is NightTroubleKind.BACKUP)
        return next((trouble.since for trouble in backups), None)

    @property
    def worst(self) -> Severity | None:
        """Return how bad the worst is that the sentence says; None for an ordinary day.

        Nothing is green beside what is stopped or needs a person.
        """
        connected = any(view.ready for view in self.views)
        if self.condition.halt or self.refused or self.condition.is_blocked or self._banned:
            return Severity.STOPPED
        if self.views and not connected:
            return Severity.STOPPED
        return Severity.NEEDS_YOU if self._without_backup else None

    def sentence(self, words: Language, format_moment: Callable[[datetime], str]) -> str:
        """Return the sentence at the top, which says the worst first."""
        can, rest = self._format_worst(words, format_moment), ""
        if can:
            rest = self._format_budgets(words, "today.rest.send")
        else:
            can = self._format_capacity(words)
        rest = rest or self._format_remaining(words)
        return words("today.sentence", can=can, rest=rest) if rest else f"{can}."

    def _format_worst(self, words: Language, format_moment: Callable[[datetime], str]) -> str:
        """Return what is worse than any budget; empty where nothing is."""
        if (halt := self.condition.halt) is not None:
            key = "today.can.replies_only" if halt.replies_go else "today.can.halted"
            return words(key, at=format_moment(halt.at))
        if self.refused or self.condition.is_blocked:
            return words("today.can.refused" if self.refused else "today.can.blocked")
        if self._banned:
            return words("today.can.banned", session=self._banned)
        if (since := self._without_backup) and self.views:
            return words("today.can.no_backup", at=format_moment(since))
        return ""

    def _format_budgets(self, words: Language, key: str) -> str:
        """Return how many new chats are left; empty where none is, or sending is stopped."""
        left = sum(budget.left for budget in self.budgets)
        if not left or self.condition.halt or self.refused or self.condition.is_blocked:
            return ""
        return words(key, n=sum(budget.total for budget in self.budgets), left=left)

    def _format_capacity(self, words: Language) -> str:
        if not self.views:
            return words("today.can.no_session")
        if self.budgets:
            total = sum(budget.total for budget in self.budgets)
            left = self._format_budgets(words, "today.can.send")
            return left or words("today.can.spent", n=total)
        if any(view.ready and view.sending is SendingState.REPLY_ONLY for view in self.views):
            return words("today.can.reply")
        return words("today.can.not_connected")

    def _format_remaining(self, words: Language) -> str:
        """Return how much there is to do; empty where nothing is, but not all is fine."""
        if self.answers.count:
            return words("today.rest.answers", n=self.answers.count)
        if self.items:
            return words("today.rest.items", n=len(self.items))
        return words("today.rest.no") if self.is_calm or not self.views else ""


def read_today(
    reader: Reader,
    services: Services,
    condition: DaemonCondition,
    midnight: datetime,
    now: datetime,
) -> TodayView:
    """Return everything that the page shows, in one read."""
    views, band = services.sessions.views(), services.rulesets.compiled.review_band
    return TodayView(
        condition=condition,
        refused=services.database.refusal is not None,
        views=views,
        budgets=sessions.list_open_budgets(reader, services, views, now),
        answers=count_waiting(reader, now),
        alerts=list_open_alerts(reader),
        items=todo.list_todo_items(reader, condition, views, band, now),
        funnel=build_funnel_chart(console_queries.get_message_funnel(reader, midnight)),
        without_outcome=len(list_chats_without_outcome(reader)),
        morning=services.morning.build_report(reader, now),
    )


async def _load_condition(request: web.Request, services: Services) -> DaemonCondition:
    daemon_health = request.app[DAEMON_HEALTH]
    return DaemonCondition(
        halt=await services.halt.get_current(),
        blockers=await daemon_health.find_blockers(),
        warnings=await daemon_health.find_warnings(),
        rules=services.ruleset_service.get_status(),
    )


async def _build_today_values(request: web.Request) -> dict[str, Any]:
    services, page = get_services(request), build_page_context(request)
    now = page.now
    # The day of the installation, and not of the reader: everybody sees the same funnel.
    midnight = now.astimezone(page.daemon_zone).replace(hour=0, minute=0, second=0, microsecond=0)
    condition = await _load_condition(request, services)
    today = await services.database.read(
        lambda reader: read_today(reader, services, condition, midnight, now)
    )
    sentence = today.sentence(page.words, page.near_day)
    lines = build_morning_lines(today.morning, page)
    return {"today": today, "sentence": sentence, "lines": lines}


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
