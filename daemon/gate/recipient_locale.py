"""Finds the time zones and the country of a phone number, and the local time there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache, partial
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.late_imports import LateImport
from rules import Ruleset, windows
from rules.facts import CENTURY_DAYS, WEEKDAYS
from rules.local_time import resolve_local_time

_LIBRARIES: Final = LateImport(
    "phonenumbers",
    "phonenumbers.timezone",
    # Any day of any country: the library of holidays loads itself at its first question.
    prepare=partial(windows.is_holiday, date(2026, 1, 1), "AR"),
)


async def load_libraries() -> None:
    """Load the plans of all numbers and countries' holidays, unless they are, beside the loop."""
    await _LIBRARIES.ensure_loaded()


class RecipientLocale(Struct, frozen=True):
    """The IANA zones that a number may be in, its country, and the zone to use without any."""

    zones: tuple[str, ...]
    country: str | None
    default_zone: str

    def build_clock_facts(self, ruleset: Ruleset, at: datetime) -> dict[str, object]:
        """Return the ``clock.*`` facts; hour and day are those of the first zone."""
        local = at.astimezone(self._zone)
        return {
            "clock.local_hour": local.hour,
            "clock.weekday": WEEKDAYS[local.weekday()],
            "clock.holiday": windows.is_holiday(local.date(), self.country),
            "clock.in_window": sorted(
                windows.list_open_windows(
                    ruleset.windows, at, self.zones, self.country, self.default_zone
                )
            ),
        }

    def count_business_days(self, since: datetime | None, at: datetime) -> int:
        """Return how many business days lie after the day of ``since`` there.

        That is a century where there is no such day, as the facts have it.
        """
        if since is None:
            return CENTURY_DAYS
        first, last = since.astimezone(self._zone).date(), at.astimezone(self._zone).date()
        return windows.count_business_days(first, last, self.country)

    def find_business_day(self, since: datetime, days: int) -> datetime:
        """Return when the day begins there on which `count_business_days` becomes ``days``."""
        first = since.astimezone(self._zone).date()
        day = windows.find_business_day(first, days, self.country)
        return resolve_local_time(datetime.combine(day, time(), self._zone))

    def find_end_of_business_day(self, since: datetime, days: int) -> datetime:
        """Return when the day ends there on which `count_business_days` becomes ``days``."""
        begin = self.find_business_day(since, days).astimezone(self._zone).date()
        return resolve_local_time(datetime.combine(begin + timedelta(days=1), time(), self._zone))

    def find_next_opening(self, ruleset: Ruleset, window: str, at: datetime) -> datetime | None:
        """Return when a named window opens next there, or None if not within a year."""
        return windows.find_next_opening(
            ruleset.windows[window], at, self.zones, self.country, self.default_zone
        )

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zones[0] if self.zones else self.default_zone)


def locale_from_phone(phone: str, default_zone: str) -> RecipientLocale:
    """Return the locale of an E.164 number; ``default_zone`` is the session's."""
    zones, country = _lookup_zones_and_country(phone)
    return RecipientLocale(zones, country, default_zone)


@lru_cache(maxsize=4096)
def _lookup_zones_and_country(phone: str) -> tuple[tuple[str, ...], str | None]:
    """Return the known zones of an E.164 number, and its country if there is one."""
    # Imported here, because the library is large, and most processes never need it. The gate has
    # loaded it by now, in a thread.
    import phonenumbers  # noqa: PLC0415
    from phonenumbers import timezone  # noqa: PLC0415

    number = phonenumbers.parse(phone, None)
    found: Sequence[str] = timezone.time_zones_for_number(number)
    known = tuple(zone for zone in found if zone != timezone.UNKNOWN_TIMEZONE)
    return known, phonenumbers.region_code_for_number(number)
