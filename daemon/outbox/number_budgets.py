"""Budgets of one phone number: lowered at once, raised by a decision, which ends by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.errors import BadRequest, Conflict, NotFound, require_reason
from daemon.events import DecisionRecorded
from daemon.numbers.budgets import NUMBER_BUDGETS, Budgets, BudgetValue, is_wider
from daemon.outbox.number_status import NumberStatus, choose_context, list_number_statuses
from daemon.outbox.pacing import Pacing
from daemon.settings import PacingSettings
from storage import audit, decision_entries, number_budgets, sessions
from storage.db import Database
from storage.evaluation_context import SessionContext, read_session_context
from storage.number_budgets import NumberBudgetChange
from storage.tx import Reader, Tx

LONGEST_RAISE: Final = timedelta(days=90)
_HISTORY_SHOWN: Final = 50
_FLOAT_BUDGETS: Final = frozenset({"new_chat_gap"})
_LIMITS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"new_chat_gap": (0, 1440), "messages_per_minute": (1, 60)}
)
_USUAL_LIMITS: Final = (0, 10_000)


class NumberBudget(Struct, frozen=True):
    """A budget of a number: its limit, what the settings allow, what is used, and who set it.

    ``used`` is None for what is no count of 24 hours. ``change`` is None where the settings hold.
    """

    budget: str
    limit: float
    settings_limit: float
    used: int | None
    lower_is_wider: bool
    change: NumberBudgetChange | None


class NumberBudgets(Struct, frozen=True):
    """A number's budgets with what its breaker counts, and what was set before, latest first."""

    phone: str
    sessions: Sequence[str]
    budgets: Sequence[NumberBudget]
    status: NumberStatus
    history: Sequence[NumberBudgetChange]


class BudgetDecision(Struct, frozen=True):
    """Why a budget may be raised, what would lower it again, and until when it is raised."""

    reason: str
    lower_when: str
    until: datetime | None


class NumberBudgetService:
    """Lists and sets the budgets of single numbers."""

    def __init__(self, database: Database, clock: Clock, budgets: Budgets, pacing: Pacing) -> None:
        self._database = database
        self._clock = clock
        self._budgets = budgets
        self._pacing = pacing

    async def list_budgets(self) -> list[NumberBudgets]:
        """Return the budgets of every number that a session has."""
        now = self._clock.now()

        def job(reader: Reader) -> list[NumberBudgets]:
            return [
                self._build_budgets(reader, status, now)
                for status in list_number_statuses(reader, self._pacing, now)
            ]

        return await self._database.read(job)

    async def set_budget(
        self, phone: str, budget: str, value: float, who: str, decision: BudgetDecision
    ) -> NumberBudgets:
        """Set a budget of a number, and return all of them as they are then.

        Raises :class:`NotFound` for an unknown number, :class:`BadRequest` for a value that can't
        be one and for a raise without a whole decision, :class:`Conflict` where nothing changes.
        """
        _check_value(budget, value)
        now = self._clock.now()

        def job(tx: Tx) -> NumberBudgets:
            context = _find_context(tx, phone, now)
            present = self._read_limit(tx, context, budget, now)
            if value == present:
                raise Conflict("The budget has this value already.")
            if is_wider(_get_setting(budget), value, present):
                self._raise_budget(tx, context, budget, value, who, decision)
            else:
                self._lower_budget(tx, context, budget, value, who)
            detail = {"budget": budget, "value": value, "previous": present}
            audit.insert_audit_entry(
                tx, now, who, "number_budget_set", phone, decision.reason, detail
            )
            [status] = [
                each for each in list_number_statuses(tx, self._pacing, now) if each.phone == phone
            ]
            return self._build_budgets(tx, status, now)

        return await self._database.write(job)

    def _raise_budget(
        self,
        tx: Tx,
        context: SessionContext,
        budget: str,
        value: float,
        who: str,
        decision: BudgetDecision,
    ) -> None:
        now, phone = self._clock.now(), str(context.phone)
        until = _check_decision(decision, now)
        entry = decision_entries.insert_decision_entry(
            tx,
            at=now,
            who=who,
            subject=f"number.{phone}.{budget}",
            value=value,
            reason=require_reason(decision.reason),
            lower_when=decision.lower_when.strip(),
            until=until,
        )
        tx.emit(
            DecisionRecorded(
                subject=entry.subject, at=now, who=who, value=value, reason=entry.reason
            )
        )
        number_budgets.insert_number_budget(
            tx,
            phone=phone,
            budget=budget,
            value=value,
            raises=self._passes_settings(tx, context, budget, value),
            at=now,
            who=who,
            until=until,
            decision=entry.number,
        )

    def _lower_budget(
        self, tx: Tx, context: SessionContext, budget: str, value: float, who: str
    ) -> None:
        now, phone = self._clock.now(), str(context.phone)
        passes = self._passes_settings(tx, context, budget, value)
        # Lowered, but still above the settings: that ends when the raise would have ended.
        raised = number_budgets.read_number_budgets(tx, phone, now).get(budget) if passes else None
        number_budgets.insert_number_budget(
            tx,
            phone=phone,
            budget=budget,
            value=value,
            raises=passes,
            at=now,
            who=who,
            until=raised.until if raised else None,
            decision=number_budgets.find_number_budget_decision(tx, raised.id) if raised else None,
        )

    def _passes_settings(
        self, reader: Reader, context: SessionContext, budget: str, value: float
    ) -> bool:
        common = self._read_settings_limit(reader, context, budget, self._clock.now())
        return is_wider(_get_setting(budget), value, common)

    def _build_budgets(self, reader: Reader, status: NumberStatus, now: datetime) -> NumberBudgets:
        context = _find_context(reader, status.phone, now)
        used = {each.budget: each.used for each in status.budgets}
        changes = number_budgets.read_number_budgets(reader, status.phone, now)
        found = [
            NumberBudget(
                budget=budget,
                limit=self._read_limit(reader, context, budget, now),
                settings_limit=self._read_settings_limit(reader, context, budget, now),
                used=used.get(budget),
                lower_is_wider=budget in _FLOAT_BUDGETS,
                change=changes.get(budget),
            )
            for budget in NUMBER_BUDGETS
        ]
        history = number_budgets.list_number_budget_changes(reader, status.phone, _HISTORY_SHOWN)
        return NumberBudgets(status.phone, status.sessions, found, status, history)

    def _read_limit(
        self, reader: Reader, context: SessionContext, budget: str, now: datetime
    ) -> BudgetValue:
        limits = self._pacing.read_limits(reader, context, now)
        return _get_limit(self._pacing, limits, context, budget, now)

    def _read_settings_limit(
        self, reader: Reader, context: SessionContext, budget: str, now: datetime
    ) -> BudgetValue:
        limits = self._budgets.read(reader, context.channel)
        return _get_limit(self._pacing, limits, context, budget, now)


def _get_limit(
    pacing: Pacing, limits: PacingSettings, context: SessionContext, budget: str, now: datetime
) -> BudgetValue:
    match budget:
        case "new_chats":
            return pacing.choose_new_chat_budget(limits, context, now)
        case "manual_new_chats_day":
            return pacing.choose_manual_budgets(limits, context, now)[0]
        case "manual_new_chats_24h":
            return pacing.choose_manual_budgets(limits, context, now)[1]
    value: BudgetValue = getattr(limits, _get_setting(budget))
    return value


def _find_context(reader: Reader, phone: str, now: datetime) -> SessionContext:
    names = [each.name for each in sessions.list_sessions(reader) if each.phone == phone]
    if not names:
        raise NotFound("No session has this number.", hint="leadmaster budgets lists the numbers.")
    return choose_context([read_session_context(reader, name, now) for name in names])


def _get_setting(budget: str) -> str:
    return NUMBER_BUDGETS[budget][0]


def _check_value(budget: str, value: float) -> None:
    if budget not in NUMBER_BUDGETS:
        known = ", ".join(NUMBER_BUDGETS)
        raise BadRequest(f"There is no budget {budget[:40]!r}.", hint=f"The budgets are: {known}.")
    lowest, highest = _LIMITS.get(budget, _USUAL_LIMITS)
    whole = budget in _FLOAT_BUDGETS or value == math.floor(value)
    if not lowest <= value <= highest or not whole:
        raise BadRequest(f"value: this budget is a number from {lowest} to {highest}.")


def _check_decision(decision: BudgetDecision, now: datetime) -> datetime:
    """Return until when a budget is raised; raise :class:`BadRequest` for half a decision."""
    missing = not decision.reason.strip() or not decision.lower_when.strip()
    if missing or decision.until is None:
        raise BadRequest(
            "Raising a budget needs a decision.",
            hint="Say why, what would make us lower it again, and until when.",
        )
    if not now < decision.until <= now + LONGEST_RAISE:
        raise BadRequest(f"until: a budget is raised for up to {LONGEST_RAISE.days} days from now.")
    return decision.until
