"""Times that people type in a terminal, on the nights when clocks are put on or back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import click
import pytest

from daemon.cli.time_format import parse_time_option


@pytest.fixture(params=[""])
def terminal_zone(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Put the terminal into the zone that the test names."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _parse(text: str) -> str | None:
    command = click.Command("send")
    return parse_time_option(click.Context(command), click.Option(["--not-before"]), text)


@pytest.mark.parametrize(
    ("terminal_zone", "typed", "meant"),
    [
        ("Europe/Madrid", "2026-03-29T02:30", "2026-03-29T03:00:00+02:00"),
        ("Europe/Madrid", "2026-03-29T02:30:15.25", "2026-03-29T03:00:00+02:00"),
        ("Europe/Madrid", "2026-03-29T02:00", "2026-03-29T03:00:00+02:00"),
        ("America/Santiago", "2026-09-06T00:30", "2026-09-06T01:00:00-03:00"),
        ("America/Santiago", "2026-09-06", "2026-09-06T01:00:00-03:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-04T02:30:00+11:00"),
    ],
    indirect=["terminal_zone"],
)
@pytest.mark.usefixtures("terminal_zone")
def test_a_time_that_the_clocks_skip_is_the_next_moment_that_exists(typed: str, meant: str) -> None:
    """Whatever of the skipped hour, or half hour, was typed."""
    assert _parse(typed) == meant


@pytest.mark.parametrize(
    ("terminal_zone", "typed", "meant"),
    [
        ("Europe/Madrid", "2026-03-29T01:59:59", "2026-03-29T01:59:59+01:00"),
        ("Europe/Madrid", "2026-03-29T03:00", "2026-03-29T03:00:00+02:00"),
        ("Europe/Madrid", "2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
        ("America/Santiago", "2026-04-04T23:30", "2026-04-04T23:30:00-03:00"),
    ],
    indirect=["terminal_zone"],
)
@pytest.mark.usefixtures("terminal_zone")
def test_of_a_time_that_comes_twice_the_first_is_meant(typed: str, meant: str) -> None:
    """And the times around a change are what they are."""
    assert _parse(typed) == meant


@pytest.mark.parametrize("terminal_zone", ["Europe/Madrid"], indirect=True)
@pytest.mark.usefixtures("terminal_zone")
def test_a_time_with_its_zone_is_one_moment() -> None:
    """An hour that a zone skips has no gap in the offset that was typed with it."""
    parsed = _parse("2026-03-29T02:30+01:00")
    assert parsed is not None
    assert datetime.fromisoformat(parsed) == datetime.fromisoformat("2026-03-29T01:30Z")


@pytest.mark.parametrize("typed", ["soon", "0001-01-01", "2026-13-01"])
def test_what_is_no_moment_is_refused(typed: str) -> None:
    """With an example."""
    with pytest.raises(click.BadParameter, match="2026-03-02T14:00"):
        _parse(typed)
