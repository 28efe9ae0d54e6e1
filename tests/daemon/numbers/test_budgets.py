"""Budgets in force: by hand by day and by 24 hours, raised by a decision, widened by nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.errors import BadRequest
from daemon.numbers.budgets import BUDGET_NAMES, LOWER_IS_WIDER, Budgets, is_wider
from daemon.outbox.pacing import PacingSlot
from daemon.settings import PacingSettings
from storage import evaluation_context, spends
from storage.spends import SpendKind
from storage.tx import Reader, Tx
from tests.helpers.services.messaging import (
    OUR_NUMBER,
    MessagingServices,
    open_messaging_services,
)

SHIPPED = PacingSettings()
WIDE = PacingSettings(new_chats_later=50, new_chat_gap_minutes=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# A Tuesday; the days of Buenos Aires begin at 03:00 UTC.
NOON = datetime(2026, 3, 3, 15, tzinfo=UTC)


async def find_slot(
    services: MessagingServices, *, by_hand: bool, at: datetime | None = None, session: str = "main"
) -> PacingSlot:
    """Return the slot of a first contact at a moment, now if None."""
    now = at or services.clock.now()

    def query(reader: Reader) -> PacingSlot:
        context = evaluation_context.read_session_context(reader, session, now)
        return services.pacing.find_slot(reader, context, now, first_contact=True, by_hand=by_hand)

    return await services.database.read(query)


async def spend(
    services: MessagingServices, moments: list[datetime], *, typed: bool = False
) -> None:
    """Enter first contacts by hand, or typed on the phone itself."""

    def job(tx: Tx) -> None:
        for n, at in enumerate(moments):
            if typed:
                spends.insert_own_message_spend(
                    tx, OUR_NUMBER, session="main", wire_id=f"w{n}", new_chat=True, at=at
                )
            else:
                kind = SpendKind.MANUAL_NEW_CHAT
                spends.insert_spend(tx, OUR_NUMBER, kind, session="main", message=None, at=at)

    await services.database.write(job)


@pytest.mark.parametrize(("linked_days", "per_day"), [(29.9, 8), (30, 15)])
@pytest.mark.parametrize("typed", [False, True])
async def test_by_hand_a_local_day_has_a_budget(
    tmp_path: Path, linked_days: float, per_day: int, *, typed: bool
) -> None:
    """Eight in the first month, then fifteen, until midnight where the number is."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=linked_days)
        morning = [NOON - 2 * HOUR + timedelta(minutes=n) for n in range(per_day)]
        await spend(services, morning[:-1], typed=typed)
        assert (await find_slot(services, by_hand=True)).is_open(services.clock.now())
        await spend(services, [*morning[:-1], morning[-1]][-1:])
        slot = await find_slot(services, by_hand=True)
        assert slot.reason_code == "manual_new_chat_budget"
        assert slot.at == datetime(2026, 3, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize(("linked_days", "in_24_hours"), [(1, 12), (31, 20)])
async def test_by_hand_24_hours_have_a_budget_too_and_the_stricter_counts(
    tmp_path: Path, linked_days: float, in_24_hours: int
) -> None:
    """Yesterday evening's count until this evening."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=linked_days)
        evening = datetime(2026, 3, 3, 0, tzinfo=UTC)  # 21:00 on Monday
        yesterday = [evening + timedelta(minutes=n) for n in range(8)]
        today = [NOON - HOUR + timedelta(minutes=n) for n in range(in_24_hours - 8)]
        await spend(services, [*yesterday, *today])
        slot = await find_slot(services, by_hand=True)
        assert slot.at == evening + DAY


async def test_the_day_is_that_of_the_numbers_first_session(tmp_path: Path) -> None:
    """A second session in a zone where midnight has just passed gives no second budget."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=1)
        await spend(services, [NOON - HOUR] * 8)
        await services.add_session("east", linked_days=1, time_zone="Pacific/Auckland")
        late = datetime(2026, 3, 3, 20, tzinfo=UTC)
        for session in ("main", "east"):
            slot = await find_slot(services, by_hand=True, at=late, session=session)
            assert slot.at == datetime(2026, 3, 4, 3, tzinfo=UTC)


async def read_limits(
    services: MessagingServices, settings: PacingSettings, channel: str = "linked"
) -> PacingSettings:
    """Return the budgets in force for a channel."""
    budgets = Budgets(settings, {"simulated"})
    return await services.database.read(lambda reader: budgets.read(reader, channel))


async def test_a_budget_is_raised_by_a_decision_only(tmp_path: Path) -> None:
    """Without one the shipped value counts; with one the setting, up to what was decided."""
    async with open_messaging_services(tmp_path) as services:
        limits = await read_limits(services, WIDE)
        assert (limits.new_chats_later, limits.new_chat_gap_minutes) == (10, 15)
        assert await read_limits(services, WIDE, "simulated") == WIDE
        await services.decisions.record("new_chats_later", 20, "eva", "the number is old")
        await services.decisions.record("new_chat_gap_minutes", 5, "eva", "so are its people")
        limits = await read_limits(services, WIDE)
        assert (limits.new_chats_later, limits.new_chat_gap_minutes) == (20, 5)
        await services.decisions.record("new_chats_later", 12, "eva", "that was too much")
        assert (await read_limits(services, WIDE)).new_chats_later == 12
        assert ("eva", "decision_recorded", "budget.new_chats_later", "that was too much") in (
            await services.list_audit_entries()
        )
        assert "decision.recorded" in [each.type for each in services.published]


async def test_lowering_a_budget_needs_no_decision(tmp_path: Path) -> None:
    """The setting alone does it; a decision alone raises nothing."""
    async with open_messaging_services(tmp_path) as services:
        low = PacingSettings(new_chats_later=2, new_chat_gap_minutes=60)
        await services.decisions.record("new_chats_later", 20, "eva", "the number is old")
        assert await read_limits(services, low) == low
        assert await read_limits(services, SHIPPED) == SHIPPED


@pytest.mark.parametrize(
    ("budget", "value"), [("nothing", 5), ("new_chats_later", 10), ("new_chat_gap_minutes", 20)]
)
async def test_what_needs_no_decision_is_refused(tmp_path: Path, budget: str, value: float) -> None:
    """So that nobody believes to have raised something."""
    async with open_messaging_services(tmp_path) as services:
        with pytest.raises(BadRequest):
            await services.decisions.record(budget, value, "eva", "why not")


@pytest.mark.parametrize("name", BUDGET_NAMES)
def test_every_budget_has_a_direction(name: str) -> None:
    """The shipped value is no wider than itself; one step further is."""
    shipped = getattr(SHIPPED, name)
    assert not is_wider(name, shipped)
    assert is_wider(name, shipped + (-1 if name in LOWER_IS_WIDER else 1))


@pytest.mark.parametrize("days", [2, 30, 400])
async def test_a_clock_that_jumps_ahead_widens_nothing(tmp_path: Path, days: int) -> None:
    """Neither budgets nor the number's age nor the days after a ban; back again, neither."""
    async with open_messaging_services(tmp_path, pacing=SHIPPED) as services:
        await services.add_session(linked_days=1)
        await spend(services, [NOON - HOUR] * 8)
        await services.execute_sql(
            "UPDATE numbers SET reply_only_until = '2026-03-10T00:00:00.000Z'"
        )
        watcher = services.clock_steps
        await watcher.look()
        before = await find_slot(services, by_hand=True)
        waits = [before.at - services.clock.now()] if before.at else []
        for step in (days * 86_400.0, -days * 86_400.0):
            services.clock.set_back(-step)
            await services.clock.advance(5)
            await watcher.look()
            slot = await find_slot(services, by_hand=True)
            assert slot.reason_code == "reply_only_after_ban"
            assert slot.at is not None
            waits.append(slot.at - services.clock.now())
            limits = await services.database.read(
                lambda reader: services.pacing.get_new_chat_budget(
                    reader,
                    evaluation_context.read_session_context(reader, "main", services.clock.now()),
                    services.clock.now(),
                )
            )
            assert limits == SHIPPED.new_chats_first_week
        assert waits[1] >= waits[0] - timedelta(seconds=10)
        assert waits[2] >= waits[0] - timedelta(seconds=15)


async def test_an_undecided_budget_matters_where_a_channel_reaches_people(tmp_path: Path) -> None:
    """A house of simulated phones alone has nothing to decide."""
    budgets = Budgets(WIDE, {"simulated"})
    async with open_messaging_services(tmp_path) as services:
        real = await services.database.read(
            lambda reader: budgets.list_undecided(reader, {"simulated", "linked"})
        )
        simulated = await services.database.read(
            lambda reader: budgets.list_undecided(reader, {"simulated"})
        )
    assert real == ["new_chats_later", "new_chat_gap_minutes"]
    assert simulated == []
