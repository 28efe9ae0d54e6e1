"""What a form changes in a rule set, put in an operator's files, and the examples that follow it.

What stands in a shipped file is changed by an entry in an operator's file of the same name, which
lies over it. Comments, order and form of what a person wrote stay as they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rules.amendments import EditNotAllowed, RampEnds, find_editable_value, format_number
from rules.diff import FieldDifference
from rules.examples import run_examples
from rules.files import RuleFile
from rules.judge import RuleEvaluator
from rules.loader import load_rulesets
from rules.splice import EntryPath, add_entry, get_top_value, list_fields, set_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.amendments import EditableValue, RulesetEdit
    from rules.examples import ExampleResult
    from rules.problems import SourceLocation
    from rules.ruleset import RuleFormat

_IDENTITY_FIELDS: Final = {"thresholds": "verdict", "bands": "band", "scores": "id", "groups": ""}
_RAMP_PATHS: Final[tuple[EntryPath, ...]] = tuple(
    ("points", end, index) for end in ("from", "to") for index in (0, 1)
)
_PLAIN_WORD: Final = re.compile(r"[a-z]+_[a-z0-9_]+|allow|review|block|defer|route|manual")


@dataclass(frozen=True, slots=True)
class UpdatedExample:
    """An example whose expectation follows a change, and in what."""

    name: str
    differences: tuple[FieldDifference, ...]

    def __str__(self) -> str:
        """`name: what: before → after`."""
        return f"{self.name}: {'; '.join(map(str, self.differences))}"

    @classmethod
    def from_result(cls, outcome: ExampleResult) -> UpdatedExample:
        """Read it off what came out."""
        return cls(
            outcome.example.name, tuple(FieldDifference(*each) for each in outcome.mismatches())
        )


@dataclass(frozen=True, slots=True)
class EditedFiles:
    """The files as they would be: all of them, and those that must be written.

    `examples` are those of the set whose expectation follows the change.
    """

    files: tuple[RuleFile, ...]
    changed: tuple[RuleFile, ...]
    before: int | RampEnds
    examples: tuple[UpdatedExample, ...]


def apply_edit(files: Sequence[RuleFile], edit: RulesetEdit, folder: str) -> EditedFiles:
    """Return the files with the number changed; what is new is written in `folder`.

    Raises :class:`NotAmendable`, and ``RulesInvalid`` where the files, as they are or as they
    would be, are no rules.
    """
    found = find_editable_value(load_rulesets(files)[edit.kind], edit.section, edit.name)
    if found.value == edit.value:
        raise EditNotAllowed(f"{edit.name} is {found.value} already.")
    if isinstance(found.value, RampEnds) is not isinstance(edit.value, RampEnds):
        forms = "both ends of a ramp" if found.fact else "one number"
        raise EditNotAllowed(f"{edit.name} is changed by {forms}.")
    draft = _FileEditor(files, edit.kind, folder)
    draft.apply_edit(edit, found)
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
    """An operator's files on the way to what they shall be."""

    def __init__(self, files: Sequence[RuleFile], kind: RuleFormat, folder: str) -> None:
        self.files = list(files)
        self._kind = kind
        self._folder = PurePath(folder)

    def apply_edit(self, amendment: RulesetEdit, found: EditableValue) -> None:
        """Put what is wished where it stands, number by number."""
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
        """Write the numbers that differ; an entry that laid no ramp over needs all of it."""
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
        """Set values in the entry where it stands in a file of the operator's, else lay it over."""
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
        """Let an example expect what now comes out."""
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
        """Return which of the operator's files has an entry of this name."""
        mine = (at for at, file in enumerate(self.files) if self._is_ours(file))
        return next((at for at in mine if self._fields(at, section, named) is not None), None)

    def _fields(self, at: int, section: str, named: tuple[str, str]) -> frozenset[str] | None:
        return list_fields(self.files[at].text, section, named)

    def _has(self, at: int | None, section: str, named: tuple[str, str], field: str) -> bool:
        return at is not None and field in (self._fields(at, section, named) or ())

    def _is_ours(self, file: RuleFile) -> bool:
        return file.own and get_top_value(file.text, "format") == self._kind

    def _overlay_file(self, name: str) -> int:
        """Return which file lies over the shipped one of this name, begun where there is none."""
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
    """Return a value as YAML writes it on one line."""
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(_format_flow_value(each) for each in value))}]"
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
