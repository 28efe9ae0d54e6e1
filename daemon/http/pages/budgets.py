"""What is left of a number's budget for new chats, and whether anything can go: for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.http.house import House
from daemon.pacing import Pacing, budget_of
from daemon.sessions.view import SessionView
from statemachines.session import SendingState
from storage import circumstances
from storage.tx import Reader

MOST_DOTS = 10
"""A larger budget is shown in figures: nobody counts forty dots."""


@dataclass(frozen=True, slots=True)
class Budget:
    """New chats of one number in the rolling day; `whose` is the number, or the session's name."""

    whose: str
    left: int
    total: int

    @property
    def dots(self) -> list[bool] | None:
        """Return a dot for each new chat, True while it is left; None where they are too many."""
        if not 0 < self.total <= MOST_DOTS:
            return None
        return [place < self.left for place in range(self.total)]


def budget(reader: Reader, house: House, session: str, now: datetime) -> Budget:
    """Return the budget of a session's number."""
    pacing = Pacing(house.settings.pacing)
    standing = circumstances.of_session(reader, session, now)
    left = pacing.new_chats_left(reader, standing, now)
    return Budget(budget_of(standing), left, pacing.new_chat_budget(standing, now))


def open_budgets(
    reader: Reader, house: House, views: list[SessionView], now: datetime
) -> list[Budget]:
    """Return a budget for each number that can begin chats now, each number once."""
    ready = [view.name for view in views if view.ready and view.sending is SendingState.ALL]
    found = (budget(reader, house, name, now) for name in ready)
    return list({each.whose: each for each in found}.values())
