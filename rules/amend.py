"""One number of a rule set changed in an operator's files, and the examples that follow it.

A number of a shipped file is changed by an entry in an operator's file of the same name, which
lies over it. Comments, order and form of what a person wrote stay as they are.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from rules.examples import run_examples
from rules.files import RuleFile
from rules.judge import Judge
from rules.loader import load_sets
from rules.ruleset import Format, Ramp
from rules.splice import fields_of, value_of, with_entry, with_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.examples import Outcome
    from rules.problems import Place
    from rules.ruleset import RuleSet

_SETS: Final = {"gate": Format.GATE, "score": Format.SCORE}
_FIELDS: Final = {
    "thresholds": ("verdict", "from"),
    "bands": ("band", "from"),
    "scores": ("id", "points"),
}
_PLAIN: Final = re.compile(r"[a-z]+_[a-z0-9_]+|allow|review|block|defer|route|manual")


class NotAmendable(Exception):
    """A number that can't be changed like this; `str(error)` says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A number, and what it is to be: `gate.thresholds.allow`, `score.scores.on_whatsapp`."""

    kind: Format
    section: str
    name: str
    value: int

    @classmethod
    def of(cls, target: str, value: int) -> Wish:
        """Read a target; raises :class:`NotAmendable`."""
        kind, _, rest = target.partition(".")
        section, _, name = rest.partition(".")
        if kind not in _SETS or section not in _FIELDS or not name:
            forms = "gate.thresholds.VERDICT, score.bands.BAND, gate.scores.RULE, score.scores.RULE"
            raise NotAmendable(f"There is no {target} to change: it is one of {forms}.")
        return cls(_SETS[kind], section, name, value)


@dataclass(frozen=True, slots=True)
class Amended:
    """The files as they would be: all of them, and those that must be written.

    `examples` are those of the set whose expectation follows the change, each in a sentence.
    """

    files: tuple[RuleFile, ...]
    changed: tuple[RuleFile, ...]
    before: int
    examples: tuple[str, ...]


def number(ruleset: RuleSet, wish: Wish) -> tuple[int, Place]:
    """Return what the number is in a set, and where it stands; raises :class:`NotAmendable`."""
    if wish.section == "scores":
        rule = next((each for each in ruleset.scores if each.id == wish.name), None)
        if rule is None:
            raise NotAmendable(f"There is no rule {wish.name} that gives points.")
        if isinstance(rule.points, Ramp):
            sentence = f"The points of {wish.name} are a ramp: change them in the file"
            raise NotAmendable(f"{sentence}, {rule.place}.")
        return rule.points, rule.place
    band = next((each for each in ruleset.bands if each.name == wish.name), None)
    if band is None:
        raise NotAmendable(f"There is no threshold {wish.name}.")
    if band == ruleset.bands[-1]:
        raise NotAmendable(f"{wish.name} starts at the lowest score there is: it can't be moved.")
    return band.start, band.place


def amended(files: Sequence[RuleFile], wish: Wish, folder: str) -> Amended:
    """Return the files with the number changed; what is new is written in `folder`.

    Raises :class:`NotAmendable`, and ``RulesInvalid`` where the files, as they are or as they
    would be, are no rules.
    """
    before, place = number(load_sets(files)[wish.kind], wish)
    if before == wish.value:
        raise NotAmendable(f"{wish.name} is {before} already.")
    identity, field = _FIELDS[wish.section]
    entry = f"{{{identity}: {wish.name}, {field}: {wish.value}}}"
    draft = _Draft(files, wish.kind, folder)
    draft.put(wish.section, (identity, wish.name), {(field,): str(wish.value)}, entry, place)
    ruleset = load_sets(draft.files)[wish.kind]
    if number(ruleset, wish)[0] != wish.value:
        raise NotAmendable(f"The number can't be changed by form: change it in the file, {place}.")
    wrong = [each for each in run_examples(Judge(ruleset, "reference")) if each.wrong]
    for outcome in wrong:
        draft.follow(outcome)
    return Amended(
        files=tuple(draft.files),
        changed=tuple(file for file in draft.files if file not in files),
        before=before,
        examples=tuple(f"{each.example.name}: {'; '.join(each.sentences())}" for each in wrong),
    )


class _Draft:
    """An operator's files on the way to what they shall be."""

    def __init__(self, files: Sequence[RuleFile], kind: Format, folder: str) -> None:
        self.files = list(files)
        self._kind = kind
        self._folder = PurePath(folder)

    def put(
        self,
        section: str,
        named: tuple[str, str],
        values: Mapping[tuple[str, ...], str],
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
        self.files[index] = replace(file, text=with_entry(file.text, section, entry))

    def follow(self, outcome: Outcome) -> None:
        """Let an example expect what now comes out."""
        example, named = outcome.example, ("name", outcome.example.name)
        got = {key: value for key, (_, value) in outcome.wrong.items()}
        expect = _flow({**example.expect, **got})
        entry = f"{{name: {_word(example.name)}, expect: {expect}}}"
        values: dict[tuple[str, ...], str] = {("expect", k): _word(v) for k, v in got.items()}
        found = self._found("tests", named)
        if found is not None and "expect" not in self._fields(found, "tests", named):
            values = {("expect",): expect}  # the operator's entry changed only what is given
        self.put("tests", named, values, entry, example.place)

    def _found(self, section: str, named: tuple[str, str]) -> int | None:
        """Return which of the operator's files has an entry of this name."""
        mine = (index for index, file in enumerate(self.files) if self._is_ours(file))
        return next((index for index in mine if self._fields(index, section, named)), None)

    def _fields(self, index: int, section: str, named: tuple[str, str]) -> frozenset[str]:
        return fields_of(self.files[index].text, section, named) or frozenset()

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
