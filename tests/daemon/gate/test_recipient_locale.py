"""Where a number lives: its zones, its holidays, its opening hours."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import rules
from daemon.gate import recipient_locale

BUENOS_AIRES = "America/Argentina/Buenos_Aires"
RULES = rules.load_ruleset([rules.DEFAULTS / "gate.yaml"])
ARGENTINE = "+5491141234567"
MEXICAN = "+525512345678"
TIJUANA = "+526641234567"
BRAZILIAN = "+5511912345678"
NEW_YORKER = "+12125550123"


def at(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("phone", "country", "hour"),
    [
        (ARGENTINE, "AR", 12),
        (MEXICAN, "MX", 9),
        (TIJUANA, "MX", 7),
        (BRAZILIAN, "BR", 12),
        (NEW_YORKER, "US", 10),
    ],
)
def test_a_number_tells_the_hour_where_it_lives(phone: str, country: str, hour: int) -> None:
    """15:00 UTC on a winter's Tuesday, by each one's own clock."""
    place = recipient_locale.locale_from_phone(phone, BUENOS_AIRES)
    known = place.build_clock_facts(RULES, at("2026-03-03T15:00"))
    assert (place.country, known["clock.local_hour"]) == (country, hour)
    assert known["clock.weekday"] == "tue"


@pytest.mark.parametrize(
    ("phone", "holiday", "working_day"),
    [
        (ARGENTINE, "2026-05-25T15:00", "2026-05-26T15:00"),
        (MEXICAN, "2026-09-16T18:00", "2026-09-17T18:00"),
        (BRAZILIAN, "2026-09-07T15:00", "2026-09-08T15:00"),
        (NEW_YORKER, "2026-07-03T16:00", "2026-07-06T16:00"),
    ],
)
def test_on_their_own_holidays_the_window_is_closed(
    phone: str, holiday: str, working_day: str
) -> None:
    """25 de Mayo closes Argentina and nobody else."""
    place = recipient_locale.locale_from_phone(phone, BUENOS_AIRES)
    closed, opened = (place.build_clock_facts(RULES, at(day)) for day in (holiday, working_day))
    assert (closed["clock.holiday"], closed["clock.in_window"]) == (True, [])
    assert (opened["clock.holiday"], opened["clock.in_window"]) == (False, ["business"])


def test_a_number_in_several_zones_waits_for_the_strictest() -> None:
    """An American freephone number may be anywhere: open only where all are open."""
    freephone = recipient_locale.locale_from_phone("+18005550199", BUENOS_AIRES)
    assert len(freephone.zones) > 1
    morning_in_new_york = at("2026-03-03T15:00")
    assert freephone.build_clock_facts(RULES, morning_in_new_york)["clock.in_window"] == []


def test_a_number_without_a_place_has_the_sessions_clock() -> None:
    """An international freephone number is nowhere."""
    place = recipient_locale.locale_from_phone("+80012345678", BUENOS_AIRES)
    assert place.zones == ()
    known = place.build_clock_facts(RULES, at("2026-03-03T15:00"))
    assert (known["clock.local_hour"], known["clock.in_window"]) == (12, ["business"])


def test_the_window_opens_next_where_they_live() -> None:
    """Friday night in Buenos Aires: Monday, 09:30 there."""
    place = recipient_locale.locale_from_phone(ARGENTINE, BUENOS_AIRES)
    opening = place.find_next_opening(RULES, "business", at("2026-03-06T23:00"))
    assert opening == at("2026-03-09T12:30")
