"""Edits single numbers of a ruleset by form: the allowed bounds, and the changed files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from rules.diff import FieldDifference
from rules.evaluator import RuleEvaluator
from rules.examples import run_examples
from rules.facts import FACTS
from rules.files import RuleFile
from rules.known_values import MICRO
from rules.loader import load_rulesets
from rules.rule_reader import MAX_POINTS
from rules.ruleset import Ramp, RuleFormat
from rules.yaml_edit import EntryPath, add_entry, get_top_value, list_fields, set_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.examples import ExampleResult
    from rules.problems import SourceLocation
    from rules.ruleset import Ruleset, ScoreRule


_FORMATS: Final = {"gate": RuleFormat.GATE, "score": RuleFormat.SCORE}
_SECTIONS: Final = ("thresholds", "bands", "scores", "groups")
VALUE_FIELD: Final = "value"
_DIGITS: Final = 6  # after the point; rules compute in millionths
RAMP_FIELDS: Final = ("from_value", "from_points", "to_value", "to_points")


class EditNotAllowed(Exception):
    """The edit is not possible; `str(error)` says why, and what to do."""


class RampEnds(Struct, frozen=True):
    """Both ends of a ramp: a value of its fact, and the points there."""

    start: float
    start_points: int
    end: float
    end_points: int

    def __str__(self) -> str:
        """Return both ends as a rule file has them."""
        start = f"[{format_number(self.start)}, {self.start_points}]"
        return f"{{from: {start}, to: [{format_number(self.end)}, {self.end_points}]}}"

    @property
    def numbers(self) -> tuple[float, int, float, int]:
        """The four numbers in the order of `RAMP_FIELDS`."""
        return self.start, self.start_points, self.end, self.end_points


class RulesetEdit(Struct, frozen=True):
    """One edit: a target in text form, such as `gate.thresholds.allow`, and its new value."""

    kind: RuleFormat
    section: str
    name: str
    value: int | RampEnds

    @classmethod
    def parse(cls, target: str, value: int | RampEnds) -> RulesetEdit:
        """Return the edit of a target in text form. Raises :class:`EditNotAllowed`."""
        kind, _, rest = target.partition(".")
        section, _, name = rest.partition(".")
        if kind not in _FORMATS or section not in _SECTIONS or not name:
            forms = "gate.thresholds.VERDICT, score.bands.BAND, gate.scores.RULE, gate.groups.GROUP"
            raise EditNotAllowed(f"There is no {target} to change: it is one of {forms}.")
        return cls(_FORMATS[kind], section, name, value)


class EditableNumber(Struct, frozen=True):
    """One number of an editable value: its present value and its bounds, both included."""

    name: str
    now: float
    low: float
    high: float
    whole: bool = True


class EditableValue(Struct, frozen=True):
    """A value that a form may change, its location, and its numbers: one, or four of a ramp.

    `fact` is the fact of a ramp. `one_sided`: the points of its ends must not differ in sign.
    """

    value: int | RampEnds
    place: SourceLocation
    numbers: tuple[EditableNumber, ...]
    fact: str = ""
    one_sided: bool = False

    def find_errors(self, given: Mapping[str, float | None]) -> dict[str, str]:
        """Return a sentence for each number that is not allowed, by name; None: not a number."""
        wrong = {each.name: said for each in self.numbers if (said := _number_error(each, given))}
        if not wrong:
            wrong = dict(
                self._find_joint_errors([float(given[each.name] or 0) for each in self.numbers])
            )
        return wrong

    def value_from_numbers(self, given: Mapping[str, float | None]) -> int | RampEnds:
        """Return the value made of these numbers, which `find_errors` has accepted."""
        numbers = [given[each.name] or 0 for each in self.numbers]
        if not self.fact:
            return int(numbers[0])
        start, start_points, end, end_points = (round(each, _DIGITS) for each in numbers)
        return RampEnds(start, int(start_points), end, int(end_points))

    def _find_joint_errors(self, numbers: list[float]) -> Iterator[tuple[str, str]]:
        if all(new == each.now for new, each in zip(numbers, self.numbers, strict=True)):
            yield self.numbers[0].name, "It has that value already: write another number."
        elif self.fact and numbers[0] >= numbers[2]:
            yield "to_value", "A ramp ends at a higher value than it starts."
        elif self.one_sided and numbers[1] * numbers[3] < 0:
            yield "to_points", "A rule with a condition gives points at both ends, or takes them."


def find_editable_value(ruleset: Ruleset, section: str, name: str) -> EditableValue:
    """Return the editable value of this name. Raises :class:`EditNotAllowed` if there is none."""
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
    # The last band has to start at the minimum, or some scores would have no verdict.
    if band == ruleset.bands[-1]:
        raise EditNotAllowed(f"{name} starts at the lowest possible score, so it can't be moved.")
    above = ruleset.bands[at - 1].start - 1 if at else ruleset.maximum
    number = EditableNumber(VALUE_FIELD, band.start, ruleset.bands[at + 1].start + 1, above)
    return EditableValue(band.start, band.place, (number,))


def _number_error(number: EditableNumber, given: Mapping[str, float | None]) -> str:
    """Return why this number is not allowed by itself; empty where it is."""
    new = given.get(number.name)
    if new is None:
        return "Write a number."
    if number.whole and new != int(new):
        return "Write a whole number."
    if not number.low <= new <= number.high:
        return f"It goes from {format_number(number.low)} to {format_number(number.high)}."
    return ""


def format_number(number: float) -> str:
    """Return a number as people write it: whole ones without a point, none with an exponent."""
    return f"{number:.{_DIGITS}f}".rstrip("0").rstrip(".")


_IDENTITY_FIELDS: Final = {"thresholds": "verdict", "bands": "band", "scores": "id", "groups": ""}
_RAMP_PATHS: Final[tuple[EntryPath, ...]] = tuple(
    ("points", end, index) for end in ("from", "to") for index in (0, 1)
)
_PLAIN_WORD: Final = re.compile(r"[a-z]+_[a-z0-9_]+|allow|review|block|defer|route|manual")


class UpdatedExample(Struct, frozen=True):
    """An example whose expectation was changed to what an edited ruleset gives."""

    name: str
    differences: tuple[FieldDifference, ...]

    def __str__(self) -> str:
        """`name: what: before → after`."""
        return f"{self.name}: {'; '.join(map(str, self.differences))}"

    @classmethod
    def from_result(cls, outcome: ExampleResult) -> UpdatedExample:
        """Return the update that makes a failing example pass."""
        return cls(
            outcome.example.name, tuple(FieldDifference(*each) for each in outcome.mismatches())
        )


class EditedFiles(Struct, frozen=True):
    """The result of an edit: all files, and those of them that have to be written.

    `before` is the value before the edit; `examples` are those whose expectation was changed.
    """

    files: tuple[RuleFile, ...]
    changed: tuple[RuleFile, ...]
    before: int | RampEnds
    examples: tuple[UpdatedExample, ...]


def apply_edit(files: Sequence[RuleFile], edit: RulesetEdit, folder: str) -> EditedFiles:
    """Return the files with the edit applied; nothing is written. New files are placed in `folder`.

    Raises :class:`EditNotAllowed`, and ``RulesInvalid`` where the files are invalid, before or
    after the edit.
    """
    found = find_editable_value(load_rulesets(files)[edit.kind], edit.section, edit.name)
    if found.value == edit.value:
        raise EditNotAllowed(f"{edit.name} is {found.value} already.")
    if isinstance(found.value, RampEnds) is not isinstance(edit.value, RampEnds):
        forms = "both ends of a ramp" if found.fact else "one number"
        raise EditNotAllowed(f"{edit.name} is changed by {forms}.")
    draft = _FileEditor(files, edit.kind, folder)
    draft.apply_edit(edit, found)
    # Read back, since text was edited: what counts is how the loader understands it.
    ruleset = load_rulesets(draft.files)[edit.kind]
    if find_editable_value(ruleset, edit.section, edit.name).value != edit.value:
        raise EditNotAllowed(
            f"The number can't be changed by form: change it in the file, {found.place}."
        )
    wrong = [each for each in run_examples(RuleEvaluator(ruleset, "reference")) if each.wrong]
    for outcome in wrong:
        draft.update_example(outcome)
    return EditedFiles(
        files=tuple(draft.files),
        changed=tuple(file for file in draft.files if file not in files),
        before=found.value,
        examples=tuple(map(UpdatedExample.from_result, wrong)),
    )


class _FileEditor:
    """Edits an operator's files in memory."""

    def __init__(self, files: Sequence[RuleFile], kind: RuleFormat, folder: str) -> None:
        self.files = list(files)
        self._kind = kind
        self._folder = PurePath(folder)

    def apply_edit(self, amendment: RulesetEdit, found: EditableValue) -> None:
        """Write the edit's value, for a ramp only the numbers that differ."""
        named = (_IDENTITY_FIELDS[amendment.section], amendment.name)
        if isinstance(amendment.value, RampEnds):
            whole = f"{{ramp: {found.fact}, {str(amendment.value)[1:]}"
            self._set_ramp(named, found, amendment.value, whole)
            return
        field = {"scores": "points", "groups": "cap"}.get(amendment.section, "from")
        entry = f"{field}: {amendment.value}"
        if named[0]:
            entry = f"{named[0]}: {amendment.name}, {entry}"
        values: dict[EntryPath, str] = {(field,): str(amendment.value)}
        self.set_entry(amendment.section, named, values, f"{{{entry}}}", found.place)

    def _set_ramp(
        self, named: tuple[str, str], found: EditableValue, wanted: RampEnds, whole: str
    ) -> None:
        """Write the numbers of a ramp that differ; all, if the operator's entry has no points."""
        entry = f"{{id: {named[1]}, points: {whole}}}"
        values: dict[EntryPath, str] = {("points",): whole}
        at = self._find_file("scores", named)
        if self._has(at, "scores", named, "points"):
            ends = zip(_RAMP_PATHS, wanted.numbers, found.numbers, strict=True)
            values = {path: format_number(new) for path, new, old in ends if new != old.now}
        self.set_entry("scores", named, values, entry, found.place)

    def set_entry(
        self,
        section: str,
        named: tuple[str, str],
        values: Mapping[EntryPath, str],
        entry: str,
        place: SourceLocation,
    ) -> None:
        """Set values in the operator's own entry, or add one that overrides the shipped entry."""
        found = self._find_file(section, named)
        if found is not None:
            file = self.files[found]
            for path, value in values.items():
                file = replace(file, text=set_value(file.text, section, named, path, value))
            self.files[found] = file
            return
        index = self._overlay_file(PurePath(place.file).name)
        file = self.files[index]
        self.files[index] = replace(file, text=add_entry(file.text, section, named, entry))

    def update_example(self, outcome: ExampleResult) -> None:
        """Change an example's expectation to the present result."""
        example, named = outcome.example, ("name", outcome.example.name)
        got = {key: value for key, (_, value) in outcome.wrong.items()}
        expect = _format_flow_mapping({**example.expect, **got})
        entry = f"{{name: {_format_flow_value(example.name)}, expect: {expect}}}"
        values: dict[EntryPath, str] = {
            ("expect", k): _format_flow_value(v) for k, v in got.items()
        }
        found = self._find_file("tests", named)
        if found is not None and not self._has(found, "tests", named, "expect"):
            values = {("expect",): expect}  # the operator's entry changed only what is given
        self.set_entry("tests", named, values, entry, example.place)

    def _find_file(self, section: str, named: tuple[str, str]) -> int | None:
        """Return the index of the operator's file that has an entry of this name, or None."""
        mine = (at for at, file in enumerate(self.files) if self._is_ours(file))
        return next((at for at in mine if self._fields(at, section, named) is not None), None)

    def _fields(self, at: int, section: str, named: tuple[str, str]) -> frozenset[str] | None:
        return list_fields(self.files[at].text, section, named)

    def _has(self, at: int | None, section: str, named: tuple[str, str], field: str) -> bool:
        return at is not None and field in (self._fields(at, section, named) or ())

    def _is_ours(self, file: RuleFile) -> bool:
        return file.own and get_top_value(file.text, "format") == self._kind

    def _overlay_file(self, name: str) -> int:
        """Return the index of the operator's file of this name; add one where there is none."""
        for index, file in enumerate(self.files):
            if file.own and file.name == name:
                return index
        self.files.append(RuleFile(str(self._folder / name), f"format: {self._kind}\n", own=True))
        return len(self.files) - 1


def _format_flow_mapping(values: Mapping[str, object]) -> str:
    return (
        f"{{{', '.join(f'{key}: {_format_flow_value(value)}' for key, value in values.items())}}}"
    )


def _format_flow_value(value: object) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(_format_flow_value(each) for each in value))}]"
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value):
        return str(value)
    # JSON is YAML; quoted, a word such as `no` or `1e3` stays a text.
    return json.dumps(value, ensure_ascii=False)
