"""What is left of a number's budget for new chats, and whether anything can go: for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.http.house import HttpServices
from daemon.pacing import Pacing, get_budget_key
from daemon.sessions.view import SessionView
from statemachines.session import SendingState
from storage import circumstances
from storage.tx import Reader

MAX_DOTS = 10
"""A larger budget is shown in figures: nobody counts forty dots."""


@dataclass(frozen=True, slots=True)
class NewChatBudget:
    """New chats of one number in the rolling day; `whose` is the number, or the session's name."""

    key: str
    left: int
    total: int

    @property
    def dots(self) -> list[bool] | None:
        """Return a dot for each new chat, True while it is left; None where they are too many."""
        if not 0 < self.total <= MAX_DOTS:
            return None
        return [place < self.left for place in range(self.total)]


def build_new_chat_budget(
    reader: Reader, house: HttpServices, session: str, now: datetime
) -> NewChatBudget:
    """Return the budget of a session's number."""
    pacing = Pacing(house.settings.pacing)
    standing = circumstances.read_session_context(reader, session, now)
    left = pacing.count_new_chats_left(reader, standing, now)
    return NewChatBudget(get_budget_key(standing), left, pacing.get_new_chat_budget(standing, now))


def list_open_budgets(
    reader: Reader, house: HttpServices, views: list[SessionView], now: datetime
) -> list[NewChatBudget]:
    """Return a budget for each number that can begin chats now, each number once."""
    ready = [view.name for view in views if view.ready and view.sending is SendingState.ALL]
    found = (build_new_chat_budget(reader, house, name, now) for name in ready)
    return list({each.key: each for each in found}.values())
