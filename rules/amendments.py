"""What of a rule set a form may change: what it is now, and within which bounds it may lie.

Thresholds and bands, the points of a rule (one number, or both ends of a ramp), and the cap of a
group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.facts import FACTS
from rules.rule_reader import MAX_POINTS
from rules.ruleset import Ramp, RuleFormat
from rules.snapshot import MICRO

if TYPE_CHECKING:
    from rules.problems import SourceLocation
    from rules.ruleset import Ruleset, ScoreRule

_FORMATS: Final = {"gate": RuleFormat.GATE, "score": RuleFormat.SCORE}
_SECTIONS: Final = ("thresholds", "bands", "scores", "groups")
VALUE_FIELD: Final = "value"
_DIGITS: Final = 6  # after the point; rules reckon in millionths
RAMP_FIELDS: Final = ("from_value", "from_points", "to_value", "to_points")


class EditNotAllowed(Exception):
    """A number that can't be changed like this; `str(error)` says why, and what to do."""


@dataclass(frozen=True, slots=True)
class RampEnds:
    """Both ends of a ramp: a value of its fact, and the points there."""

    start: float
    start_points: int
    end: float
    end_points: int

    def __str__(self) -> str:
        """Both ends as a rule file has them."""
        start = f"[{format_number(self.start)}, {self.start_points}]"
        return f"{{from: {start}, to: [{format_number(self.end)}, {self.end_points}]}}"

    @property
    def numbers(self) -> tuple[float, int, float, int]:
        """The four numbers in the order of `ENDS`."""
        return self.start, self.start_points, self.end, self.end_points


@dataclass(frozen=True, slots=True)
class RulesetEdit:
    """What is to be changed, and to what: `gate.thresholds.allow`, `score.scores.on_whatsapp`."""

    kind: RuleFormat
    section: str
    name: str
    value: int | RampEnds

    @classmethod
    def parse(cls, target: str, value: int | RampEnds) -> RulesetEdit:
        """Read a target; raises :class:`NotAmendable`."""
        kind, _, rest = target.partition(".")
        section, _, name = rest.partition(".")
        if kind not in _FORMATS or section not in _SECTIONS or not name:
            forms = "gate.thresholds.VERDICT, score.bands.BAND, gate.scores.RULE, gate.groups.GROUP"
            raise EditNotAllowed(f"There is no {target} to change: it is one of {forms}.")
        return cls(_FORMATS[kind], section, name, value)


@dataclass(frozen=True, slots=True)
class EditableNumber:
    """One number of it: what it is now, and where it may lie, both ends included."""

    name: str
    now: float
    low: float
    high: float
    whole: bool = True


@dataclass(frozen=True, slots=True)
class EditableValue:
    """What a form may change, where it stands, and its numbers: one, or four of a ramp.

    `fact` is what a ramp runs over; `one_sided` that both of its ends give points, or take them.
    """

    value: int | RampEnds
    place: SourceLocation
    numbers: tuple[EditableNumber, ...]
    fact: str = ""
    one_sided: bool = False

    def find_errors(self, given: Mapping[str, float | None]) -> dict[str, str]:
        """Return, for each number that can't be taken, a sentence; None is no number at all."""
        wrong = {each.name: said for each in self.numbers if (said := _number_error(each, given))}
        if not wrong:
            wrong = dict(
                self._find_joint_errors([float(given[each.name] or 0) for each in self.numbers])
            )
        return wrong

    def value_from_numbers(self, given: Mapping[str, float | None]) -> int | RampEnds:
        """Return the value of numbers that `refusals` has nothing against."""
        numbers = [given[each.name] or 0 for each in self.numbers]
        if not self.fact:
            return int(numbers[0])
        start, start_points, end, end_points = (round(each, _DIGITS) for each in numbers)
        return RampEnds(start, int(start_points), end, int(end_points))

    def _find_joint_errors(self, numbers: list[float]) -> Iterator[tuple[str, str]]:
        if all(new == each.now for new, each in zip(numbers, self.numbers, strict=True)):
            yield self.numbers[0].name, "It is that already: write another number."
        elif self.fact and numbers[0] >= numbers[2]:
            yield "to_value", "A ramp ends at a higher value than it starts."
        elif self.one_sided and numbers[1] * numbers[3] < 0:
            yield "to_points", "A rule with a condition gives points at both ends, or takes them."


def find_editable_value(ruleset: Ruleset, section: str, name: str) -> EditableValue:
    """Return what stands under this name; raises :class:`NotAmendable`."""
    if section == "scores":
        return _editable_points(ruleset, name)
    if section == "groups":
        return _editable_cap(ruleset, name)
    return _editable_threshold(ruleset, name)


def _editable_points(ruleset: Ruleset, name: str) -> EditableValue:
    rule = next((each for each in ruleset.scores if each.id == name), None)
    if rule is None:
        raise EditNotAllowed(f"There is no rule {name} that gives points.")
    if isinstance(rule.points, Ramp):
        return _editable_ramp(rule, rule.points)
    number = EditableNumber(VALUE_FIELD, rule.points, -MAX_POINTS, MAX_POINTS)
    return EditableValue(rule.points, rule.place, (number,))


def _editable_ramp(rule: ScoreRule, ramp: Ramp) -> EditableValue:
    fact = FACTS[ramp.fact]
    slope = RampEnds(ramp.start / MICRO, ramp.start_points, ramp.end / MICRO, ramp.end_points)
    numbers = tuple(
        EditableNumber(end, now, -MAX_POINTS, MAX_POINTS)
        if end.endswith("points")
        else EditableNumber(end, now, float(fact.low), float(fact.high), whole=False)
        for end, now in zip(RAMP_FIELDS, slope.numbers, strict=True)
    )
    return EditableValue(slope, rule.place, numbers, ramp.fact, one_sided=rule.when is not None)


def _editable_cap(ruleset: Ruleset, name: str) -> EditableValue:
    group = next((each for each in ruleset.groups if each.name == name), None)
    if group is None:
        raise EditNotAllowed(f"There is no group {name}.")
    return EditableValue(
        group.cap, group.place, (EditableNumber(VALUE_FIELD, group.cap, 0, MAX_POINTS),)
    )


def _editable_threshold(ruleset: Ruleset, name: str) -> EditableValue:
    at = next((at for at, band in enumerate(ruleset.bands) if band.name == name), None)
    if at is None:
        raise EditNotAllowed(f"There is no threshold {name}.")
    band = ruleset.bands[at]
    if band == ruleset.bands[-1]:
        raise EditNotAllowed(f"{name} starts at the lowest score there is: it can't be moved.")
    above = ruleset.bands[at - 1].start - 1 if at else ruleset.maximum
    number = EditableNumber(VALUE_FIELD, band.start, ruleset.bands[at + 1].start + 1, above)
    return EditableValue(band.start, band.place, (number,))


def _number_error(number: EditableNumber, given: Mapping[str, float | None]) -> str:
    """Return why this number can't be taken by itself; empty where it can."""
    new = given.get(number.name)
    if new is None:
        return "Write a number."
    if number.whole and new != int(new):
        return "Write a whole number."
    if not number.low <= new <= number.high:
        return f"It lies from {format_number(number.low)} to {format_number(number.high)}."
    return ""


def format_number(number: float) -> str:
    """Return a number as people write it: whole ones without a point, none with an exponent."""
    return f"{number:.{_DIGITS}f}".rstrip("0").rstrip(".")
