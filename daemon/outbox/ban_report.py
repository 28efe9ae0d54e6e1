"""The figures before a ban: budgets and breaker, each beside its limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from daemon.errors import NotFound
from daemon.outbox.number_status import build_breaker_figures
from daemon.outbox.pacing import Pacing, get_day_start
from storage import bans, breaker_trips, spends
from storage.bans import BanRecord
from storage.db import Database
from storage.evaluation_context import SessionContext, read_session_context
from storage.first_contacts import get_breaker_counts
from storage.numbers import find_number
from storage.spends import NumberedSpend, SpendKind
from storage.tx import Reader
from storage.waiting import OpenConversation, list_open_conversations

BAN_LOOKBACK: Final = timedelta(hours=72)
"""The period before a ban of which the figures are shown."""
_DAY: Final = timedelta(hours=24)
_MINUTE: Final = timedelta(minutes=1)
_MAX_FIRST_CONTACTS: Final = 100
"""Of so many first contacts before a ban the worst figure is found."""
_MAX_CONVERSATIONS: Final = 200
LOWEST_IS_WORST: Final = frozenset({"answered", "new_chat_gap"})
"""Figures that a limit keeps from falling; the others are kept from growing."""


class BanFigure(Struct, frozen=True):
    """One figure before a ban, beside its limit; None where it says nothing.

    ``last`` is its value right before the last first contact, and so the limit at which that one
    would have been stopped: one as low for a budget or a count, any above it for those in
    `LOWEST_IS_WORST`. ``worst`` is the worst before any first contact of the 72 hours. ``unit`` is
    ``chats``, ``messages``, ``people``, ``percent`` or ``minutes``.
    """

    figure: str
    last: float | None
    worst: float | None
    limit: float
    unit: str

    @property
    def would_stop(self) -> bool:
        """Return whether some limit would have stopped the last first contact by this figure."""
        return self.last is not None and (self.unit not in {"people", "percent"} or self.last > 0)


class BanReport(Struct, frozen=True):
    """A ban, the figures of the 72 hours before it, and the people with open conversations.

    ``first_contacts`` is how many there were in these hours, ``last_first_contact_at`` when the
    last one was.
    """

    ban: BanRecord
    first_contacts: int
    last_first_contact_at: datetime | None
    figures: Sequence[BanFigure]
    conversations: Sequence[OpenConversation]


async def load_ban_report(database: Database, pacing: Pacing, ban: str) -> BanReport:
    """Return the report of a ban by its id; raise :class:`NotFound` for an unknown one."""

    def query(reader: Reader) -> BanReport:
        found = bans.find_ban(reader, ban)
        if found is None:
            raise NotFound(f"There is no ban {ban!r}.", hint="List them: leadmaster bans")
        return build_ban_report(reader, pacing, found)

    return await database.read(query)


def build_ban_report(reader: Reader, pacing: Pacing, ban: BanRecord) -> BanReport:
    """Return the report of a ban; of a reported one, whose number is unknown, it has no figures."""
    if ban.phone is None:
        return BanReport(ban, 0, None, (), ())
    # Whatever number the session has by now.
    context = replace(
        read_session_context(reader, ban.session, ban.at),
        phone=ban.phone,
        number=find_number(reader, ban.phone),
    )
    history = [
        spend
        for spend in spends.list_number_spends(reader, ban.phone, ban.at - BAN_LOOKBACK - _DAY)
        if spend.at <= ban.at
    ]
    contacts = [
        spend for spend in history if spend.is_first_contact and spend.at > ban.at - BAN_LOOKBACK
    ][-_MAX_FIRST_CONTACTS:]
    before = [
        {
            figure.figure: figure
            for figure in _list_figures(reader, pacing, context, history, contact)
        }
        for contact in contacts
    ]
    return BanReport(
        ban=ban,
        first_contacts=len(contacts),
        last_first_contact_at=contacts[-1].at if contacts else None,
        figures=[_find_worst(each, before) for each in before[-1].values()] if before else (),
        conversations=list_open_conversations(reader, ban.phone, ban.at - _DAY, _MAX_CONVERSATIONS),
    )


def _find_worst(last: BanFigure, before: Sequence[dict[str, BanFigure]]) -> BanFigure:
    """Return the figure with its worst value before any of the first contacts."""
    values = [each[last.figure].last for each in before if last.figure in each]
    known = [value for value in values if value is not None]
    choose = min if last.figure in LOWEST_IS_WORST else max
    worst = choose(known) if known else None
    return BanFigure(last.figure, last.last, worst, last.limit, last.unit)


def _list_figures(
    reader: Reader,
    pacing: Pacing,
    context: SessionContext,
    history: Sequence[NumberedSpend],
    contact: NumberedSpend,
) -> Iterator[BanFigure]:
    """Yield every figure as it was right before a first contact."""
    earlier = [spend for spend in history if spend.id < contact.id]
    if contact.by_hand:
        yield from _list_manual_budgets(reader, pacing, context, earlier, contact.at)
    else:
        yield from _list_automatic_budgets(reader, pacing, context, earlier, contact)
    after = _find_count_start(reader, contact, context)
    counts = get_breaker_counts(
        reader, context.phone or context.name, contact.at, after=after, before=contact.id
    )
    for figure in build_breaker_figures(counts):
        unit = "percent" if figure.in_percent else "people"
        yield BanFigure(figure.figure, figure.value, None, figure.limit, unit)


def _list_automatic_budgets(
    reader: Reader,
    pacing: Pacing,
    context: SessionContext,
    earlier: Sequence[NumberedSpend],
    contact: NumberedSpend,
) -> Iterator[BanFigure]:
    limits, at = pacing.read_limits(reader, context, contact.at), contact.at
    chats = [each for each in earlier if each.kind is SpendKind.NEW_CHAT]
    used = sum(each.at > at - _DAY for each in chats)
    budget = pacing.get_new_chat_budget(reader, context, at)
    yield BanFigure("new_chats", used, None, budget, "chats")
    gap = (at - chats[-1].at) / _MINUTE if chats else None
    yield BanFigure("new_chat_gap", gap, None, limits.new_chat_gap_minutes, "minutes")
    sent = sum(
        each.kind is SpendKind.MESSAGE
        and each.session == contact.session
        and each.at > at - _MINUTE
        for each in earlier
    )
    yield BanFigure("messages_per_minute", sent, None, limits.messages_per_minute, "messages")


def _list_manual_budgets(
    reader: Reader,
    pacing: Pacing,
    context: SessionContext,
    earlier: Sequence[NumberedSpend],
    at: datetime,
) -> Iterator[BanFigure]:
    per_day, per_24_hours = pacing.get_manual_budgets(reader, context, at)
    chats = [each for each in earlier if each.by_hand]
    today = sum(each.at >= get_day_start(context, at) for each in chats)
    yield BanFigure("manual_new_chats_day", today, None, per_day, "chats")
    in_24_hours = sum(each.at > at - _DAY for each in chats)
    yield BanFigure("manual_new_chats_24h", in_24_hours, None, per_24_hours, "chats")


def _find_count_start(reader: Reader, contact: NumberedSpend, context: SessionContext) -> int:
    """Return the spend after which the breaker counted then: the last before its last resume."""
    trips = breaker_trips.list_breaker_trips(reader, context.phone or "")
    resumed = [
        trip.resumed_at for trip in trips if trip.resumed_at and trip.resumed_at < contact.at
    ]
    return spends.get_newest_spend_id(reader, max(resumed)) if resumed else 0
