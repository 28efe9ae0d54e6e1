"""Names of records: a prefix, then a ULID."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from storage.ids import new_id

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.integers(1, 10**9))
def test_a_later_id_sorts_later(at: datetime, milliseconds: int) -> None:
    """Ordering by id is ordering by creation, to the millisecond."""
    later = at + timedelta(milliseconds=milliseconds)
    assert new_id("msg", at) < new_id("msg", later)


def test_an_id_is_its_prefix_and_26_unambiguous_characters() -> None:
    """The letters that people misread (I, L, O, U) never occur."""
    prefix, ulid = new_id("dec", datetime(2026, 3, 2, tzinfo=UTC)).split("_")
    assert prefix == "dec"
    assert len(ulid) == 26
    assert set(ulid) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_ids_of_one_moment_differ() -> None:
    """Eighty random bits tell apart what was made in the same millisecond."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    assert len({new_id("msg", at) for _ in range(1000)}) == 1000


def test_ids_of_one_moment_sort_as_they_were_given() -> None:
    """What was queued first in a millisecond stays first."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    given = [new_id("msg", at) for _ in range(1000)]
    assert given == sorted(given)
