"""The budgets in force: what the settings ask for, as far as a person decided to allow it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from daemon.api.clock import Clock
from daemon.errors import BadRequest, require_reason
from daemon.events import DecisionRecorded
from daemon.settings import PacingSettings
from storage import audit, decision_entries, number_budgets
from storage.db import Database
from storage.decision_entries import DecisionEntry
from storage.tx import Reader, Tx

BudgetValue: TypeAlias = int | float
SHIPPED_BUDGETS: Final = PacingSettings()
BUDGET_NAMES: Final = tuple(PacingSettings.__struct_fields__)
LOWER_IS_WIDER: Final = frozenset({"new_chat_gap_minutes", "number_check_min_age_days"})
"""Budgets that allow more the lower they are: waits, in place of counts."""
NUMBER_BUDGETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "new_chats": ("new_chats_first_week", "new_chats_to_day_30", "new_chats_later"),
        "manual_new_chats_day": ("manual_new_chats_first_month", "manual_new_chats_later"),
        "manual_new_chats_24h": (
            "manual_new_chats_24h_first_month",
            "manual_new_chats_24h_later",
        ),
        "new_chat_gap": ("new_chat_gap_minutes",),
        "messages_per_minute": ("messages_per_minute",),
        "number_checks": ("number_checks",),
    }
)
"""What can be set for one number, with the settings in whose place it stands, at any age of it."""
_SUBJECT_PREFIX: Final = "budget."


class Budgets:
    """Returns the budgets in force.

    A setting that allows more than what is shipped needs a decision entry, and counts up to the
    value that was decided. Channels that reach nobody (``simulated_channels``) need none.
    """

    def __init__(
        self, settings: PacingSettings, simulated_channels: Collection[str] = frozenset()
    ) -> None:
        self._settings = settings
        self._simulated_channels = frozenset(simulated_channels)
        self._wide = [name for name in BUDGET_NAMES if is_wider(name, getattr(settings, name))]

    def read(self, reader: Reader, channel: str) -> PacingSettings:
        """Return the budgets in force for a channel."""
        if not self._wide or channel in self._simulated_channels:
            return self._settings
        narrowed = {
            name: _narrow(name, getattr(self._settings, name), _read_allowed(reader, name))
            for name in self._wide
        }
        return msgspec.structs.replace(self._settings, **narrowed)

    def read_of_number(
        self, reader: Reader, channel: str, phone: str, now: datetime
    ) -> PacingSettings:
        """Return the budgets in force for a number: those of its channel, and what was set for it.

        What was set below them is never passed, at whatever age of the number; what was raised
        allows more than they do until it ends.
        """
        common = self.read(reader, channel)
        changed: dict[str, BudgetValue] = {}
        for change in number_budgets.read_number_budgets(reader, phone, now).values():
            for name in NUMBER_BUDGETS[change.budget]:
                shared: BudgetValue = getattr(common, name)
                value = type(shared)(change.value)
                replaces = is_wider(name, value, shared) == change.raises and value != shared
                changed[name] = value if replaces else shared
        return msgspec.structs.replace(common, **changed) if changed else common

    def list_undecided(self, reader: Reader, channels: Collection[str]) -> list[str]:
        """Return the budgets whose setting allows more than a person decided.

        None do where all of the ``channels`` are simulated.
        """
        if self._simulated_channels.issuperset(channels):
            return []
        return [
            name
            for name in self._wide
            if _narrow(name, getattr(self._settings, name), _read_allowed(reader, name))
            != getattr(self._settings, name)
        ]


def is_wider(name: str, value: BudgetValue, than: BudgetValue | None = None) -> bool:
    """Return whether a value of a budget allows more than another one, the shipped if None."""
    other: BudgetValue = getattr(SHIPPED_BUDGETS, name) if than is None else than
    return value < other if name in LOWER_IS_WIDER else value > other


def _read_allowed(reader: Reader, name: str) -> BudgetValue:
    """Return the widest value that is allowed: the shipped, or what a person decided last."""
    shipped: BudgetValue = getattr(SHIPPED_BUDGETS, name)
    decided = decision_entries.find_decided_value(reader, f"{_SUBJECT_PREFIX}{name}")
    if decided is None or not is_wider(name, decided):
        return shipped
    return type(shipped)(decided)


def _narrow(name: str, wanted: BudgetValue, allowed: BudgetValue) -> BudgetValue:
    return allowed if is_wider(name, wanted, allowed) else wanted


class Decisions:
    """Records what a person decides to allow; the setting itself is still to be changed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, budget: str, value: float, who: str, reason: str) -> DecisionEntry:
        """Record up to which value a budget may be raised, and why; return the entry.

        Raises :class:`BadRequest` for an unknown budget, and for a value that needs no entry.
        """
        if budget not in BUDGET_NAMES:
            known = ", ".join(BUDGET_NAMES)
            raise BadRequest(f"There is no budget {budget!r}.", hint=f"The budgets are: {known}.")
        if value < 0 or not is_wider(budget, value):
            shipped = getattr(SHIPPED_BUDGETS, budget)
            raise BadRequest(
                f"{budget} = {value:g} allows no more than what is shipped, {shipped:g}.",
                hint="A lower budget needs no decision: change the setting.",
            )
        at, stated_reason = self._clock.now(), require_reason(reason)
        subject = f"{_SUBJECT_PREFIX}{budget}"

        def job(tx: Tx) -> DecisionEntry:
            entry = decision_entries.insert_decision_entry(
                tx, at=at, who=who, subject=subject, value=value, reason=stated_reason
            )
            audit.insert_audit_entry(
                tx, at, who, "decision_recorded", subject, stated_reason, {"value": value}
            )
            tx.emit(
                DecisionRecorded(subject=subject, at=at, who=who, value=value, reason=stated_reason)
            )
            return entry

        return await self._database.write(job)
