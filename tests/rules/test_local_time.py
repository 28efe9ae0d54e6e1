"""Local times as moments: skipped, doubled, and plain, by the zones of ZoneInfo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.local_time import resolve_local_time
from tests.helpers.hypothesis_profiles import examples

MADRID, SANTIAGO, LORD_HOWE = map(
    ZoneInfo, ("Europe/Madrid", "America/Santiago", "Australia/Lord_Howe")
)


@pytest.mark.parametrize(
    ("local", "moment"),
    [
        (datetime(2026, 3, 29, 2, 30, tzinfo=MADRID), "2026-03-29T01:00Z"),
        (datetime(2026, 3, 29, 2, 59, 59, 999999, tzinfo=MADRID), "2026-03-29T01:00Z"),
        (datetime(2026, 9, 6, 0, 30, tzinfo=SANTIAGO), "2026-09-06T04:00Z"),
        (datetime(2026, 10, 4, 2, 15, tzinfo=LORD_HOWE), "2026-10-03T15:30Z"),
    ],
)
def test_a_skipped_time_is_the_first_moment_after_the_gap(local: datetime, moment: str) -> None:
    """Not the same time by the clock of before, or of after, the change."""
    assert resolve_local_time(local) == datetime.fromisoformat(moment)


def test_of_a_doubled_time_the_first_is_meant_unless_the_second_is_named() -> None:
    """As `fold` tells."""
    local = datetime(2026, 10, 25, 2, 30, tzinfo=MADRID)
    assert resolve_local_time(local) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert resolve_local_time(local.replace(fold=1)) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@examples(200)
@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - the zone comes next
    st.sampled_from([MADRID, SANTIAGO, LORD_HOWE, ZoneInfo("Africa/Casablanca")]),
)
def test_any_local_time_is_shown_then_or_was_skipped_just_before(
    wall: datetime, zone: ZoneInfo
) -> None:
    """One second earlier every clock showed less than what was asked for."""
    moment = resolve_local_time(wall.replace(tzinfo=zone))
    shown = moment.astimezone(zone).replace(tzinfo=None)
    earlier = (moment - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
    assert shown == wall or earlier < wall < shown
