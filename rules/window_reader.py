"""One entry of `windows:` → days and minutes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.document import Listing, Scalar, Section
from rules.fields import Fields
from rules.problems import did_you_mean
from rules.ruleset import Window

if TYPE_CHECKING:
    from rules.document import Node
    from rules.problems import Problems

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)")


def read_window(name: str, node: Node, problems: Problems) -> Window:
    """The window called `name`; on public holidays it is closed unless `holidays: true`."""
    if not isinstance(node, Section):
        problems.add(node.place, 'A window is {days: mon-fri, from: "09:30", to: "18:30"}')
        return Window(name, frozenset(), 0, 0, holidays=False, place=node.place)
    fields = Fields(node, ("days", "from", "to", "holidays"), problems)
    opens, closes = _minutes(fields, "from"), _minutes(fields, "to")
    if None not in (opens, closes) and (opens or 0) >= (closes or 0):
        fields.wrong("to", "A window closes after it opens, on the same day")
    return Window(name, _days(fields), opens or 0, closes or 0, fields.flag("holidays"), node.place)


def _minutes(fields: Fields, key: str) -> int | None:
    node = fields.node(key)
    text = node.value if isinstance(node, Scalar) else None
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        fields.wrong(key, f'`{key}` is a time of the day in quotes, such as "09:30"')
        return None
    hours, minutes = (part for part in match.groups() if part is not None)
    return int(hours) * 60 + int(minutes)


def _days(fields: Fields) -> frozenset[int]:
    node = fields.node("days")
    found: set[int] = set()
    for part in _parts(node):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first]
        unknown = next((day for day in ends if day not in DAYS), None)
        if unknown is not None:
            fields.wrong("days", f"`{unknown}` is no day{did_you_mean(unknown, DAYS)}")
            continue
        start, stop = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found.update((start + step) % 7 for step in range((stop - start) % 7 + 1))
    if node is None or not _parts(node):
        fields.wrong("days", "`days` is mon-fri, or a list such as [mon, wed, fri]")
    return frozenset(found)


def _parts(node: Node | None) -> list[str]:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return [part.strip() for part in node.value.split(",")]
    items = node.items if isinstance(node, Listing) else ()
    return [str(item.value) for item in items if isinstance(item, Scalar)]
