"""Where rule files come from: the shipped ones, the operator's folder over them, and a shadow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import rules
from daemon.settings import RulesSettings

_SHIPPED_NAMES = {rules.RuleFormat.GATE: "gate.yaml", rules.RuleFormat.SCORE: "score.yaml"}


@dataclass(frozen=True, slots=True)
class RulesetPair:
    """One set of each format: together they are a rulebook."""

    gate: rules.Ruleset
    score: rules.Ruleset


def build_ruleset_pair(sets: Mapping[rules.RuleFormat, rules.Ruleset]) -> RulesetPair:
    """Return the pair; raises `RulesInvalid` where a format has no file at all."""
    for kind, name in _SHIPPED_NAMES.items():
        if kind not in sets:
            sentence = f"No file of `{kind}` is there: {name} is missing"
            raise rules.RulesInvalid([rules.RuleProblem(name, 1, 1, sentence)])
    return RulesetPair(sets[rules.RuleFormat.GATE], sets[rules.RuleFormat.SCORE])


def read_shipped_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the files that lie under the operator's; raises `RulesInvalid`."""
    gate = [Path(name) for name in settings.gate] or [rules.DEFAULTS / "gate.yaml"]
    score = [Path(name) for name in settings.score] or [rules.DEFAULTS / "score.yaml"]
    return rules.read_rule_files([*gate, *score])


def read_own_files(paths: Sequence[Path]) -> tuple[rules.RuleFile, ...]:
    """Read an operator's files, and those of folders; raises `RulesInvalid`."""
    files = [file for path in paths for file in rules.list_rule_files(path)]
    return rules.read_rule_files(files, own=True)


def read_configured_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read what the settings mean: the shipped files, and the operator's folder if it is there."""
    return (*read_shipped_files(settings), *read_own_files(_existing_folder(settings.dir)))


def read_shadow_files(settings: RulesSettings) -> tuple[rules.RuleFile, ...]:
    """Read the shadow's files; empty where there is no shadow."""
    found = read_own_files(_existing_folder(settings.shadow))
    return (*read_shipped_files(settings), *found) if found else ()


def _existing_folder(name: str) -> list[Path]:
    """The folder a setting names, if it is there; why one can't be read, its reader tells."""
    path = Path(name)
    try:
        return [path] if name and path.is_dir() else []
    except OSError:
        return [path]
