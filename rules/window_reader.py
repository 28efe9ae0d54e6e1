"""Reads the time windows of a rule file: their days, and from when to when."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rules.document import YamlMapping, YamlScalar, YamlSequence
from rules.facts import WEEKDAYS
from rules.field_reader import FieldReader
from rules.problems import did_you_mean
from rules.ruleset import TimeWindow

if TYPE_CHECKING:
    from rules.document import YamlNode
    from rules.problems import ProblemCollector

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)")
_FOREIGN_DAYS: Final = {
    **dict.fromkeys(("lun", "lunes", "seg", "segunda"), "mon"),
    **dict.fromkeys(("mar", "martes", "ter", "terça"), "tue"),
    **dict.fromkeys(("mie", "mié", "miércoles", "qua", "quarta"), "wed"),
    **dict.fromkeys(("jue", "jueves", "qui", "quinta"), "thu"),
    **dict.fromkeys(("vie", "viernes", "sex", "sexta"), "fri"),
    **dict.fromkeys(("sab", "sáb", "sabado", "sábado"), "sat"),
    **dict.fromkeys(("dom", "domingo"), "sun"),
}
"""Days in Spanish and Portuguese, and ours."""


def read_window(name: str, node: YamlNode, problems: ProblemCollector) -> TimeWindow:
    """Return the window called `name`; on public holidays it is closed unless `holidays: true`."""
    if not isinstance(node, YamlMapping):
        problems.add(node.place, 'A window is {days: mon-fri, from: "09:30", to: "18:30"}')
        return TimeWindow(name, frozenset(), 0, 0, holidays=False, place=node.place)
    fields = FieldReader(node, ("days", "from", "to", "holidays"), problems)
    opens, closes = _read_minutes(fields, "from"), _read_minutes(fields, "to")
    if opens is not None and closes is not None and opens >= closes:
        _add_wrong_end(fields, closes)
    return TimeWindow(
        name, _read_days(fields), opens or 0, closes or 0, fields.flag("holidays"), node.place
    )


def _add_wrong_end(fields: FieldReader, closes: int) -> None:
    if closes == 0:
        fields.wrong("to", 'A window closes after it opens: the end of a day is "24:00"')
        return
    end = f'"{closes // 60:02}:{closes % 60:02}"'
    fields.wrong(
        "to",
        "A window closes after it opens, on the same day: over midnight write two windows, one to"
        f' "24:00" and one from "00:00" to {end}',
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
    parts = _split_days(fields.node("days"))
    found: set[int] = set()
    for part in parts:
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first]
        unknown = next((day for day in ends if day not in WEEKDAYS), None)
        if unknown is not None:
            fields.wrong("days", f"`{unknown}` is not a day{_suggest_day(unknown)}")
            continue
        start, stop = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
        # Modulo 7, so that fri-mon goes over the end of the week.
        found.update((start + step) % 7 for step in range((stop - start) % 7 + 1))
    if not parts:
        fields.wrong(
            "days", "`days` names no day: it is mon-fri, or a list such as [mon, wed, fri]"
        )
    return frozenset(found)


def _split_days(node: YamlNode | None) -> list[str]:
    if isinstance(node, YamlScalar) and isinstance(node.value, str):
        return [part.strip() for part in node.value.split(",")]
    items = node.items if isinstance(node, YamlSequence) else ()
    return [str(item.value) for item in items if isinstance(item, YamlScalar)]


def _suggest_day(word: str) -> str:
    ours = _FOREIGN_DAYS.get(word.lower())
    hint = f" (did you mean {ours}?)" if ours else did_you_mean(word.lower(), WEEKDAYS)
    return f"{hint}: the days are {', '.join(WEEKDAYS)}"
