"""Moments are given in the zone of the reader, and whose time it is stands beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from daemon.http.console import time_format
from tests.helpers.client.console import ConsoleServer

HOME = ZoneInfo("America/Argentina/Buenos_Aires")
NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Asia/Tokyo", "2026-03-03 21:00:00 Tokyo"),
        ("UTC", "2026-03-03 12:00:00 UTC"),
        *(
            (odd, "2026-03-03 09:00:00 Buenos Aires")
            for odd in ("", "Nowhere", "America", "../UTC")
        ),
        ("a\0b", "2026-03-03 09:00:00 Buenos Aires"),
    ],
)
def test_a_browser_tells_its_zone(told: str, shown: str) -> None:
    """A zone that nobody knows is the house's own; no cookie leads to another file."""
    assert time_format.format_exact(NOON, time_format.parse_zone(told, HOME)) == shown


async def test_a_page_tells_times_in_the_zone_of_whoever_looks(console: ConsoleServer) -> None:
    """All of one page's times are of one zone, and scripts are told which."""
    for zone, said in (("Asia/Tokyo", "Tokyo"), ("", "Buenos Aires")):
        await console.api.post("/v1/halt", reason="a drill")
        shown = await console.api.call("GET", "/audit", headers={"Cookie": f"zone={zone}"})
        assert f'data-zone="{zone or HOME.key}"' in shown.document
        assert f' {said}" data-relative>' in shown.document
