"""One entry of `windows:` → days and minutes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.fields import FieldReader
from rules.problems import did_you_mean
from rules.ruleset import TimeWindow

if TYPE_CHECKING:
    from rules.document import YamlNode
    from rules.problems import ProblemCollector

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)")


def read_window(name: str, node: YamlNode, problems: ProblemCollector) -> TimeWindow:
    """The window called `name`; on public holidays it is closed unless `holidays: true`."""
    if not isinstance(node, YamlMapping):
        problems.add(node.place, 'A window is {days: mon-fri, from: "09:30", to: "18:30"}')
        return TimeWindow(name, frozenset(), 0, 0, holidays=False, place=node.place)
    fields = FieldReader(node, ("days", "from", "to", "holidays"), problems)
    opens, closes = _read_minutes(fields, "from"), _read_minutes(fields, "to")
    if None not in (opens, closes) and (opens or 0) >= (closes or 0):
        fields.wrong("to", "A window closes after it opens, on the same day")
    return TimeWindow(
        name, _read_days(fields), opens or 0, closes or 0, fields.flag("holidays"), node.place
    )


def _read_minutes(fields: FieldReader, key: str) -> int | None:
    node = fields.node(key)
    text = node.value if isinstance(node, YamlScalar) else None
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        fields.wrong(key, f'`{key}` is a time of the day in quotes, such as "09:30"')
        return None
    hours, minutes = (part for part in match.groups() if part is not None)
    return int(hours) * 60 + int(minutes)


def _read_days(fields: FieldReader) -> frozenset[int]:
    node = fields.node("days")
    found: set[int] = set()
    for part in _split_days(node):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first]
        unknown = next((day for day in ends if day not in WEEKDAYS), None)
        if unknown is not None:
            fields.wrong("days", f"`{unknown}` is no day{did_you_mean(unknown, WEEKDAYS)}")
            continue
        start, stop = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
        found.update((start + step) % 7 for step in range((stop - start) % 7 + 1))
    if node is None or not _split_days(node):
        fields.wrong("days", "`days` is mon-fri, or a list such as [mon, wed, fri]")
    return frozenset(found)


def _split_days(node: YamlNode | None) -> list[str]:
    if isinstance(node, YamlScalar) and isinstance(node.value, str):
        return [part.strip() for part in node.value.split(",")]
    items = node.items if isinstance(node, YamlSequence) else ()
    return [str(item.value) for item in items if isinstance(item, YamlScalar)]
