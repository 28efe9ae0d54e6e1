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

from rules.amendments import NotAmendable, Slope, changeable, shown
from rules.diff import Difference
from rules.examples import run_examples
from rules.files import RuleFile
from rules.judge import Judge
from rules.loader import load_sets
from rules.splice import Path, fields_of, value_of, with_entry, with_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.amendments import Amendment, Changeable
    from rules.examples import ExampleResult
    from rules.problems import Place
    from rules.ruleset import Format

_NAMED_BY: Final = {"thresholds": "verdict", "bands": "band", "scores": "id", "groups": ""}
_ENDS: Final[tuple[Path, ...]] = tuple(
    ("points", end, index) for end in ("from", "to") for index in (0, 1)
)
_PLAIN: Final = re.compile(r"[a-z]+_[a-z0-9_]+|allow|review|block|defer|route|manual")


@dataclass(frozen=True, slots=True)
class Following:
    """An example whose expectation follows a change, and in what."""

    name: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        """`name: what: before → after`."""
        return f"{self.name}: {'; '.join(map(str, self.differences))}"

    @classmethod
    def of(cls, outcome: ExampleResult) -> Following:
        """Read it off what came out."""
        return cls(outcome.example.name, tuple(Difference(*each) for each in outcome.words()))


@dataclass(frozen=True, slots=True)
class Amended:
    """The files as they would be: all of them, and those that must be written.

    `examples` are those of the set whose expectation follows the change.
    """

    files: tuple[RuleFile, ...]
    changed: tuple[RuleFile, ...]
    before: int | Slope
    examples: tuple[Following, ...]


def amended(files: Sequence[RuleFile], amendment: Amendment, folder: str) -> Amended:
    """Return the files with the number changed; what is new is written in `folder`.

    Raises :class:`NotAmendable`, and ``RulesInvalid`` where the files, as they are or as they
    would be, are no rules.
    """
    found = changeable(load_sets(files)[amendment.kind], amendment.section, amendment.name)
    if found.value == amendment.value:
        raise NotAmendable(f"{amendment.name} is {found.value} already.")
    if isinstance(found.value, Slope) is not isinstance(amendment.value, Slope):
        forms = "both ends of a ramp" if found.fact else "one number"
        raise NotAmendable(f"{amendment.name} is changed by {forms}.")
    draft = _Draft(files, amendment.kind, folder)
    draft.grant(amendment, found)
    ruleset = load_sets(draft.files)[amendment.kind]
    if changeable(ruleset, amendment.section, amendment.name).value != amendment.value:
        raise NotAmendable(
            f"The number can't be changed by form: change it in the file, {found.place}."
        )
    wrong = [each for each in run_examples(Judge(ruleset, "reference")) if each.wrong]
    for outcome in wrong:
        draft.follow(outcome)
    return Amended(
        files=tuple(draft.files),
        changed=tuple(file for file in draft.files if file not in files),
        before=found.value,
        examples=tuple(map(Following.of, wrong)),
    )


class _Draft:
    """An operator's files on the way to what they shall be."""

    def __init__(self, files: Sequence[RuleFile], kind: Format, folder: str) -> None:
        self.files = list(files)
        self._kind = kind
        self._folder = PurePath(folder)

    def grant(self, amendment: Amendment, found: Changeable) -> None:
        """Put what is wished where it stands, number by number."""
        named = (_NAMED_BY[amendment.section], amendment.name)
        if isinstance(amendment.value, Slope):
            whole = f"{{ramp: {found.fact}, {str(amendment.value)[1:]}"
            self._put_ramp(named, found, amendment.value, whole)
            return
        field = {"scores": "points", "groups": "cap"}.get(amendment.section, "from")
        entry = f"{field}: {amendment.value}"
        if named[0]:
            entry = f"{named[0]}: {amendment.name}, {entry}"
        values: dict[Path, str] = {(field,): str(amendment.value)}
        self.put(amendment.section, named, values, f"{{{entry}}}", found.place)

    def _put_ramp(
        self, named: tuple[str, str], found: Changeable, wanted: Slope, whole: str
    ) -> None:
        """Write the numbers that differ; an entry that laid no ramp over needs all of it."""
        entry = f"{{id: {named[1]}, points: {whole}}}"
        values: dict[Path, str] = {("points",): whole}
        at = self._found("scores", named)
        if self._has(at, "scores", named, "points"):
            ends = zip(_ENDS, wanted.numbers, found.numbers, strict=True)
            values = {path: shown(new) for path, new, old in ends if new != old.now}
        self.put("scores", named, values, entry, found.place)

    def put(
        self,
        section: str,
        named: tuple[str, str],
        values: Mapping[Path, str],
        entry: str,
        place: Place,
    ) -> None:
        """Set values in the entry where it stands in a file of the operator's, else lay it over."""
        found = self._found(section, named)
        if found is not None:
            file = self.files[found]
            for path, value in values.items():
                file = replace(file, text=with_value(file.text, section, named, path, value))
            self.files[found] = file
            return
        index = self._over(PurePath(place.file).name)
        file = self.files[index]
        self.files[index] = replace(file, text=with_entry(file.text, section, named, entry))

    def follow(self, outcome: ExampleResult) -> None:
        """Let an example expect what now comes out."""
        example, named = outcome.example, ("name", outcome.example.name)
        got = {key: value for key, (_, value) in outcome.wrong.items()}
        expect = _flow({**example.expect, **got})
        entry = f"{{name: {_word(example.name)}, expect: {expect}}}"
        values: dict[Path, str] = {("expect", k): _word(v) for k, v in got.items()}
        found = self._found("tests", named)
        if found is not None and not self._has(found, "tests", named, "expect"):
            values = {("expect",): expect}  # the operator's entry changed only what is given
        self.put("tests", named, values, entry, example.place)

    def _found(self, section: str, named: tuple[str, str]) -> int | None:
        """Return which of the operator's files has an entry of this name."""
        mine = (at for at, file in enumerate(self.files) if self._is_ours(file))
        return next((at for at in mine if self._fields(at, section, named) is not None), None)

    def _fields(self, at: int, section: str, named: tuple[str, str]) -> frozenset[str] | None:
        return fields_of(self.files[at].text, section, named)

    def _has(self, at: int | None, section: str, named: tuple[str, str], field: str) -> bool:
        return at is not None and field in (self._fields(at, section, named) or ())

    def _is_ours(self, file: RuleFile) -> bool:
        return file.own and value_of(file.text, "format") == self._kind

    def _over(self, name: str) -> int:
        """Return which file lies over the shipped one of this name, begun where there is none."""
        for index, file in enumerate(self.files):
            if file.own and file.name == name:
                return index
        self.files.append(RuleFile(str(self._folder / name), f"format: {self._kind}\n", own=True))
        return len(self.files) - 1


def _flow(values: Mapping[str, object]) -> str:
    return f"{{{', '.join(f'{key}: {_word(value)}' for key, value in values.items())}}}"


def _word(value: object) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(_word(each) for each in value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
