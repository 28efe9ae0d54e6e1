"""`/`: can I send, what waits for me, what stopped, and how the day went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from daemon.http.house import House
from daemon.http.pages import attention, budgets
from daemon.http.pages.attention import MOST_LINES, Line
from daemon.http.pages.budgets import Budget
from daemon.http.pages.funnel import Picture, picture
from daemon.http.pages.language import Language
from daemon.http.pages.shell import page, piece, shell_of, told
from daemon.http.vitals import house_of
from daemon.sessions.view import SessionView
from statemachines.session import SendingState
from storage import halts, listings
from storage.halts import HaltRecord
from storage.listings import WaitingCount
from storage.tx import Reader

routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Today:
    """Everything that the page shows, read at one moment."""

    halt: HaltRecord | None
    views: list[SessionView]
    budgets: list[Budget]
    answers: WaitingCount
    lines: list[Line]
    funnel: Picture

    @property
    def shown(self) -> list[Line]:
        """Return the lines that the page has room for."""
        return self.lines[:MOST_LINES]

    def sentence(self, words: Language, clock: str) -> str:
        """Return the one sentence; `clock` is when the halt began, where there is one."""
        return words("today.sentence", can=self._can(words, clock), rest=self._rest(words))

    def _can(self, words: Language, clock: str) -> str:
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

    def _rest(self, words: Language) -> str:
        if self.answers.count:
            return words("today.rest.answers", n=self.answers.count)
        return (
            words("today.rest.lines", n=len(self.lines)) if self.lines else words("today.rest.no")
        )


def read(reader: Reader, house: House, midnight: datetime, now: datetime) -> Today:
    """Return the day as it stands in one read."""
    views = house.sessions.views()
    return Today(
        halt=halts.current(reader),
        views=views,
        budgets=budgets.open_budgets(reader, house, views, now),
        answers=listings.unanswered(reader),
        lines=attention.lines(reader, views),
        funnel=picture(listings.funnel(reader, midnight)),
    )


async def _values(request: web.Request) -> dict[str, Any]:
    house, shell = house_of(request), shell_of(request)
    now = shell.now
    midnight = now.astimezone(shell.home).replace(hour=0, minute=0, second=0, microsecond=0)
    today = await house.database.read(lambda reader: read(reader, house, midnight, now))
    clock = shell.clock(today.halt.at) if today.halt else ""
    return {"today": today, "sentence": today.sentence(shell.words, clock)}


@routes.get("/")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show the day."""
    return await page(request, "today.html", here="today", **await _values(request))


@routes.get("/pieces/today")
@told
async def again(request: web.Request) -> web.StreamResponse:
    """Show what changes of the day."""
    return piece(request, "pieces/today.html", **await _values(request))
