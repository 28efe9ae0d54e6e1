"""What a phone number may begin now: its stops, its budgets and what the breaker counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.numbers import breaker
from daemon.outbox.pacing import Pacing, get_day_start, list_new_chat_stops
from statemachines.vocabulary import BreakerCause, BuiltinChannel
from storage import breaker_trips, numbers, sessions, spends
from storage.bans import find_latest_ban
from storage.breaker_trips import BreakerTrip
from storage.evaluation_context import SessionContext, read_session_context
from storage.first_contacts import BreakerCounts, FirstContactShare
from storage.numbers import PhoneNumberRecord
from storage.spends import SpendKind
from storage.tx import Reader

_DAY: Final = timedelta(hours=24)


class NewChatStop(Struct, frozen=True):
    """Why a number begins no new chats; ``until`` is None where a person has to change something.

    ``detail`` has what was counted, or what the platform announced.
    """

    code: str
    sentence: str
    until: datetime | None
    detail: str = ""


class BudgetUse(Struct, frozen=True):
    """How much of a budget is used: in 24 hours, or in a day of the number's time zone."""

    budget: str
    used: int
    limit: int


class BreakerFigure(Struct, frozen=True):
    """A count of the breaker, out of so many first contacts, beside its limit.

    With ``in_percent`` the limit is a share. ``at_least`` is how many first contacts it takes
    before the share counts.
    """

    figure: str
    count: int
    total: int
    limit: int
    in_percent: bool = False
    at_least: int = 0

    @property
    def value(self) -> float | None:
        """Return what is compared with the limit; None where there are too few first contacts."""
        if not self.in_percent:
            return self.count
        return None if self.total < max(1, self.at_least) else 100 * self.count / self.total


class NumberStatus(Struct, frozen=True):
    """A phone number, what it may begin, and why not. ``ban``: the id of its latest ban.

    ``trips`` are the stops of the breaker, the latest first, with who resumed them and why.
    ``warning`` is a sentence where few people answer, empty elsewhere. ``next_automatic_at`` and
    ``next_by_hand_at`` are when the next first contact may go, None where a person has to act
    first. ``typed_on_phone``: messages of the last 24 hours that were typed on the phone itself.
    """

    phone: str
    sessions: Sequence[str]
    first_linked_at: datetime
    time_zone: str
    stops: Sequence[NewChatStop]
    warning: str
    budgets: Sequence[BudgetUse]
    next_automatic_at: datetime | None
    next_by_hand_at: datetime | None
    typed_on_phone: int
    breaker: Sequence[BreakerFigure]
    trips: Sequence[BreakerTrip]
    ban: str | None

    @property
    def is_resumable(self) -> bool:
        """Whether a person can resume new chats that the breaker stopped."""
        return any(stop.code == "new_chats_stopped" for stop in self.stops)


def list_number_statuses(reader: Reader, pacing: Pacing, now: datetime) -> list[NumberStatus]:
    """Return the status of every number that a session has, the first linked first."""
    of_number: dict[str, list[str]] = {}
    for session in sessions.list_sessions(reader):
        if session.phone is not None:
            of_number.setdefault(session.phone, []).append(session.name)
    return [
        _build_status(reader, pacing, number, of_number[number.phone], now)
        for number in numbers.list_numbers(reader)
        if number.phone in of_number
    ]


def _build_status(
    reader: Reader,
    pacing: Pacing,
    number: PhoneNumberRecord,
    names: Sequence[str],
    now: datetime,
) -> NumberStatus:
    contexts = [read_session_context(reader, name, now) for name in names]
    ban = find_latest_ban(reader, number.phone)
    trips = breaker_trips.list_breaker_trips(reader, number.phone)

    def find_opening(*, by_hand: bool) -> datetime | None:
        context = choose_context(contexts)
        return pacing.find_slot(reader, context, now, first_contact=True, by_hand=by_hand).at

    return NumberStatus(
        phone=number.phone,
        sessions=names,
        first_linked_at=number.first_linked_at,
        time_zone=number.time_zone,
        stops=_list_stops(contexts[0], trips, now),
        warning=breaker.WARNING_SENTENCE if number.warned_at else "",
        budgets=_list_budget_uses(reader, pacing, contexts, now),
        next_automatic_at=find_opening(by_hand=False),
        next_by_hand_at=find_opening(by_hand=True),
        typed_on_phone=spends.count_typed_messages(reader, number.phone, now - _DAY),
        breaker=build_breaker_figures(breaker.count_for_breaker(reader, number, now)),
        trips=trips,
        ban=ban.id if ban else None,
    )


def _list_stops(
    context: SessionContext, trips: Sequence[BreakerTrip], now: datetime
) -> list[NewChatStop]:
    """Return the stops in force; that of the breaker with the cause of each trip."""
    stops = []
    for slot in list_new_chat_stops(context, now):
        causes = [trip for trip in trips if trip.resumed_at is None]
        if slot.reason_code == "new_chats_stopped" and causes:
            stops += [
                NewChatStop(slot.reason_code, breaker.STOP_SENTENCES[trip.cause], None, trip.detail)
                for trip in causes
            ]
        else:
            stops.append(NewChatStop(slot.reason_code, slot.sentence, slot.at))
    return stops


def _list_budget_uses(
    reader: Reader, pacing: Pacing, contexts: Sequence[SessionContext], now: datetime
) -> list[BudgetUse]:
    context = choose_context(contexts)
    phone = context.phone or context.name
    per_day, per_24_hours = pacing.get_manual_budgets(reader, context, now)
    day_start, since = get_day_start(context, now), now - _DAY
    return [
        BudgetUse(
            "new_chats",
            spends.count_spends(reader, phone, SpendKind.NEW_CHAT, since),
            pacing.get_new_chat_budget(reader, context, now),
        ),
        BudgetUse(
            "manual_new_chats_day",
            spends.count_contacts_by_hand(reader, phone, day_start),
            per_day,
        ),
        BudgetUse(
            "manual_new_chats_24h",
            spends.count_contacts_by_hand(reader, phone, since),
            per_24_hours,
        ),
        BudgetUse(
            "number_checks",
            spends.count_spends(reader, phone, SpendKind.CHECK, since),
            pacing.read_limits(reader, context, now).number_checks,
        ),
    ]


def choose_context(contexts: Sequence[SessionContext]) -> SessionContext:
    """Return the context of a session that sends by itself, else of one by hand."""
    automatic = [each for each in contexts if each.channel != BuiltinChannel.MANUAL]
    return (automatic or list(contexts))[0]


def build_breaker_figures(counts: BreakerCounts) -> list[BreakerFigure]:
    """Return what the breaker counts, beside its limits."""
    return [
        _build_figure(BreakerCause.OPT_OUTS, counts.opted_out, breaker.MAX_OPT_OUTS),
        _build_figure(BreakerCause.COMPLAINTS, counts.complained, breaker.MAX_COMPLAINTS),
        _build_figure(
            BreakerCause.UNDELIVERED,
            counts.undelivered,
            breaker.MAX_UNDELIVERED_PERCENT,
            at_least=breaker.MIN_DELIVERABLE,
        ),
        _build_figure(
            BreakerCause.UNANSWERED,
            counts.answered,
            breaker.MIN_ANSWERED_PERCENT,
            at_least=breaker.MIN_ANSWERABLE,
        ),
    ]


def _build_figure(
    cause: BreakerCause, share: FirstContactShare, limit: int, *, at_least: int = 0
) -> BreakerFigure:
    figure = "answered" if cause is BreakerCause.UNANSWERED else cause.value
    return BreakerFigure(figure, share.count, share.total, limit, at_least > 0, at_least)
