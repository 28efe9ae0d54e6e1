"""Formats times in the terminal's time zone, and parses typed ones."""

from __future__ import annotations

from datetime import datetime

import click


def format_time(text: str) -> str:
    """Return an aware ISO moment to the second, such as `2026-03-02 11:00:00 UTC-03`.

    The zone is the terminal's own (TZ); anything that is no aware moment is returned as it is.
    """
    at = _parse_time(text)
    return text if at is None else f"{at:%Y-%m-%d %H:%M:%S} {_format_zone(at)}"


def parse_time_option(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> str | None:
    """Return a typed moment with its offset from UTC; one without a zone is in the terminal's.

    A local time that the clocks skip is the next moment that exists; of one that comes twice the
    first is meant.
    """
    if text is None:
        return None
    from rules.local_time import resolve_local_time  # loads the rules: only if needed

    try:
        return resolve_local_time(datetime.fromisoformat(text)).astimezone().isoformat()
    except (ValueError, OverflowError):
        example = "write it such as 2026-03-02T14:00, by your clock"
        raise click.BadParameter(f"{text} is not a date and time; {example}") from None


def is_iso_time(text: str) -> bool:
    """Return whether a text is an aware ISO moment and nothing else."""
    return _parse_time(text) is not None


def _parse_time(text: str) -> datetime | None:
    # fromisoformat() accepts more: a bare date, and digits such as 20260302.
    if text[4:5] != "-" or text[10:11] != "T":
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone() if at.tzinfo else None


def _format_zone(at: datetime) -> str:
    """Return the zone's name, or its offset from UTC where it has no name."""
    name = at.tzname() or ""
    return name if name.isalpha() else f"UTC{name}"
