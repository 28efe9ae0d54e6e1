"""Clocks: the machine's own, and one that runs from another day at another rate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.api.clock import Clock, ScaledClock, SystemClock

START = datetime(2026, 3, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize("clock", [SystemClock(), ScaledClock(START, 1000)])
async def test_a_clock_tells_aware_utc_and_never_runs_backwards(clock: Clock) -> None:
    """Whatever clock it is; a sleep of nothing, or of less, returns."""
    before = clock.monotonic()
    assert clock.now().tzinfo is UTC
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() >= before
    assert isinstance(clock, Clock)


async def test_a_scaled_clock_sleeps_by_its_own_time() -> None:
    """Ten of its seconds are a hundredth of ours here."""
    clock = ScaledClock(START, 1000)
    before = clock.now()
    assert before >= START
    await clock.sleep(10)
    assert (clock.now() - before).total_seconds() >= 9.9


@pytest.mark.parametrize("rate", [0, -1])
def test_time_that_stands_still_is_no_clock(rate: float) -> None:
    """A rate is above 0."""
    with pytest.raises(ValueError, match="rate"):
        ScaledClock(START, rate)
