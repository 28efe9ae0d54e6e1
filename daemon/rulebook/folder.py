"""Where rule files come from: the shipped ones, the operator's folder over them, and a shadow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rules
from daemon.settings import RulesSettings

_SHIPPED = {rules.Format.GATE: "gate.yaml", rules.Format.SCORE: "score.yaml"}


@dataclass(frozen=True, slots=True)
class Sets:
    """One set of each format: together they are a rulebook."""

    gate: rules.RuleSet
    score: rules.RuleSet


def both(sets: Mapping[rules.Format, rules.RuleSet]) -> Sets:
    """Return the pair; raises `RulesInvalid` where a format has no file at all."""
    for kind, name in _SHIPPED.items():
        if kind not in sets:
            sentence = f"No file of `{kind}` is there: {name} is missing"
            raise rules.RulesInvalid([rules.RuleProblem(name, 1, 1, sentence)])
    return Sets(sets[rules.Format.GATE], sets[rules.Format.SCORE])


def shipped(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the files that lie under the operator's; raises `RulesInvalid`."""
    gate = [Path(name) for name in settings.gate] or [rules.DEFAULTS / "gate.yaml"]
    score = [Path(name) for name in settings.score] or [rules.DEFAULTS / "score.yaml"]
    return rules.read_files([*gate, *score])


def own(paths: Sequence[Path]) -> tuple[rules.RuleFile, ...]:
    """Read an operator's files, and those of folders; raises `RulesInvalid`."""
    files = [file for path in paths for file in rules.rule_files(path)]
    return rules.read_files(files, own=True)


def live(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read what the settings mean: the shipped files, and the operator's folder if it is there."""
    return (*shipped(settings), *own(_folder(settings.dir)))


def shadow(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the shadow's files; empty where there is no shadow."""
    found = own(_folder(settings.shadow))
    return (*shipped(settings), *found) if found else ()


def _folder(name: str) -> list[Path]:
    """The folder a setting names, if it is there; why one can't be read, its reader tells."""
    path = Path(name)
    try:
        return [path] if name and path.is_dir() else []
    except OSError:
        return [path]
