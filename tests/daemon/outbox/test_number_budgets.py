"""Budgets of one number: lowered at once, raised by a decision alone, and back when it ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.numbers.budgets import Budgets
from daemon.outbox.number_budgets import BudgetDecision, NumberBudgets, NumberBudgetService
from daemon.outbox.pacing import Pacing
from daemon.settings import PacingSettings
from storage import audit, decision_entries
from storage.evaluation_context import read_session_context
from tests.helpers.services.messaging import OUR_NUMBER, MessagingServices, open_messaging_services

SHIPPED: Final = PacingSettings()
NONE: Final = BudgetDecision("", "", None)
DAY: Final = timedelta(days=1)


def build_service(services: MessagingServices) -> NumberBudgetService:
    """Return the service over the shipped budgets."""
    budgets = Budgets(SHIPPED)
    return NumberBudgetService(services.database, services.clock, budgets, Pacing(budgets))


def decide(services: MessagingServices, days: float) -> BudgetDecision:
    """Return a whole decision that ends after so many days."""
    until = services.clock.now() + timedelta(days=days)
    return BudgetDecision("people ask for it", "two opt-outs in twenty", until)


def get_limit(found: NumberBudgets, budget: str) -> float:
    """Return the limit of one budget."""
    [limit] = [each.limit for each in found.budgets if each.budget == budget]
    return limit


async def read_new_chats(services: MessagingServices, *, days_later: float = 0) -> int:
    """Return the new chats a day that pacing allows the number, now or later."""
    at, pacing = services.clock.now() + timedelta(days=days_later), Pacing(Budgets(SHIPPED))
    return await services.database.read(
        lambda r: pacing.get_new_chat_budget(r, read_session_context(r, "main", at), at)
    )


async def test_lowering_takes_one_call_and_holds_at_any_age(tmp_path: Path) -> None:
    """The number grows older, and the settings would allow it more; what was set stays."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=10)
        found = await build_service(services).set_budget(OUR_NUMBER, "new_chats", 2, "eva", NONE)
        assert get_limit(found, "new_chats") == 2
        assert [await read_new_chats(services, days_later=n) for n in (0, 30)] == [2, 2]
        [change] = found.history
        assert (change.who, change.until, change.raises) == ("eva", None, False)


@pytest.mark.parametrize("missing", ["reason", "lower_when", "until"])
async def test_raising_without_a_whole_decision_is_refused(tmp_path: Path, missing: str) -> None:
    """Also back to what the settings allow, once it was lowered."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=10)
        service = build_service(services)
        await service.set_budget(OUR_NUMBER, "new_chats", 2, "eva", NONE)
        whole = decide(services, 7)
        part = {
            "reason": replace(whole, reason=" "),
            "lower_when": replace(whole, lower_when=" "),
            "until": replace(whole, until=None),
        }[missing]
        for value in (3, 9):
            with pytest.raises(BadRequest, match="needs a decision"):
                await service.set_budget(OUR_NUMBER, "new_chats", value, "eva", part)
        assert await read_new_chats(services) == 2
        assert (
            await services.database.read(lambda r: decision_entries.list_decision_entries(r, 9))
            == []
        )


async def test_a_raise_ends_by_itself_and_what_was_set_before_holds_again(tmp_path: Path) -> None:
    """Also one that was lowered meanwhile, but is still above the settings."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=10)
        service = build_service(services)
        await service.set_budget(OUR_NUMBER, "new_chats", 4, "eva", NONE)
        await service.set_budget(OUR_NUMBER, "new_chats", 9, "eva", decide(services, 7))
        assert [await read_new_chats(services, days_later=n) for n in (0, 6, 8)] == [9, 9, 4]
        found = await service.set_budget(OUR_NUMBER, "new_chats", 7, "eva", NONE)
        assert [await read_new_chats(services, days_later=n) for n in (0, 6, 8)] == [7, 7, 4]
        assert found.history[0].reason == "people ask for it"
        [entry] = await services.database.read(
            lambda r: decision_entries.list_decision_entries(r, 9)
        )
        assert (entry.lower_when, entry.value) == ("two opt-outs in twenty", 9)
        kept = await services.database.read(
            lambda r: audit.list_subject_audit_entries(r, OUR_NUMBER)
        )
        assert [each.detail["previous"] for each in kept] == [5, 4, 9]


async def test_a_longer_wait_lowers_and_a_shorter_one_raises(tmp_path: Path) -> None:
    """The gap between new chats allows more the lower it is."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=40)
        service = build_service(services)
        found = await service.set_budget(OUR_NUMBER, "new_chat_gap", 30, "eva", NONE)
        assert get_limit(found, "new_chat_gap") == 30
        with pytest.raises(BadRequest, match="needs a decision"):
            await service.set_budget(OUR_NUMBER, "new_chat_gap", 5, "eva", NONE)


async def test_what_can_not_be_set_is_a_sentence(tmp_path: Path) -> None:
    """Unknown numbers and budgets, values that are none, what holds already, a raise for ever."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=10)
        service = build_service(services)
        with pytest.raises(NotFound):
            await service.set_budget("+541100000000", "new_chats", 1, "eva", NONE)
        for budget, value in (("dances", 1), ("new_chats", 1.5), ("new_chats", -1)):
            with pytest.raises(BadRequest):
                await service.set_budget(OUR_NUMBER, budget, value, "eva", NONE)
        with pytest.raises(BadRequest):
            await service.set_budget(OUR_NUMBER, "messages_per_minute", 0, "eva", NONE)
        with pytest.raises(Conflict):
            await service.set_budget(OUR_NUMBER, "new_chats", 5, "eva", NONE)
        with pytest.raises(BadRequest, match="90 days"):
            await service.set_budget(OUR_NUMBER, "new_chats", 9, "eva", decide(services, 91))
