"""How long the budgets of a number make a campaign by hand last, and what is left of today."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.outbox.pacing import Pacing, get_budget_key, get_day_start, list_new_chat_stops
from storage import spends
from storage.evaluation_context import SessionContext
from storage.tx import Reader

_MAX_DAYS: Final = 365


class DryRunPace(Struct, frozen=True, kw_only=True):
    """How long the budgets of the number make a campaign last, in days of first contacts by hand.

    ``days`` is None where none are allowed; ``sentence`` says why.
    """

    first_contacts: int
    per_day: int
    left_today: int
    days: int | None
    sentence: str


def compute_pace(
    reader: Reader, pacing: Pacing, session: SessionContext, wanted: int, at: datetime
) -> DryRunPace:
    """Return how many days so many first contacts by hand take, at the number's budgets."""
    per_day, left = read_pace(reader, pacing, session, at)
    if per_day == 0 and wanted:
        return build_pace(wanted, per_day, left, None)
    days, rest, moment = 0, wanted, at
    while rest > 0 and days < _MAX_DAYS:
        # What is left of today, then the budget of each day: it grows with the number's age here.
        rest -= left if days == 0 else min(pacing.get_manual_budgets(reader, session, moment))
        days, moment = days + 1, moment + timedelta(days=1)
    return build_pace(wanted, per_day, left, days if rest <= 0 else None)


def read_pace(
    reader: Reader, pacing: Pacing, session: SessionContext, at: datetime
) -> tuple[int, int]:
    """Return how many first contacts by hand a number may begin a day, and still today."""
    budgets = pacing.get_manual_budgets(reader, session, at)
    if list_new_chat_stops(session, at):
        return 0, 0
    phone = get_budget_key(session)
    day_start, day_ago = get_day_start(session, at), at - timedelta(hours=24)
    used_today, used_lately = (
        spends.count_contacts_by_hand(reader, phone, since) for since in (day_start, day_ago)
    )
    left = max(0, min(budgets[0] - used_today, budgets[1] - used_lately))
    return min(budgets), left


def build_pace(first_contacts: int, per_day: int, left_today: int, days: int | None) -> DryRunPace:
    """Return a pace with its sentence."""
    if days is None:
        sentence = "No new chats by hand are allowed for this number now."
    elif days <= 1:
        sentence = "The budget of today is enough."
    else:
        sentence = f"It takes {days} days: {per_day} first contacts by hand a day."
    return DryRunPace(
        first_contacts=first_contacts,
        per_day=per_day,
        left_today=left_today,
        days=days,
        sentence=sentence,
    )
