"""Rulesets that were live before: which were accepted last, and which were rolled back."""

from __future__ import annotations

from collections.abc import Sequence

import rules
from daemon.errors import Conflict, NotFound
from daemon.rulesets.active import ActiveRulesets
from storage import rulesets
from storage.rulesets import RulesetActivationKind, RulesetRecord
from storage.tx import Reader


def read_last_accepted(reader: Reader, active: ActiveRulesets) -> tuple[rules.RuleFile, ...]:
    """Return the files of the sets that were live last, the active ones where none was."""
    files: list[rules.RuleFile] = []
    for evaluator in (active.gate, active.score):
        last = rulesets.get_latest_activation(reader, str(evaluator.ruleset.format))
        stored = rulesets.find_rulesets(reader, last.hash) if last is not None else []
        files += _build_files(stored[0]) if stored else evaluator.ruleset.sources
    return tuple(files)


def find_stored_files(
    reader: Reader, active: ActiveRulesets, hash_: str
) -> tuple[rules.RuleFile, ...]:
    """Return the files of the stored set whose hash begins like this, and of the other live one.

    Raises :class:`NotFound` where there is none, :class:`Conflict` where there are several.
    """
    stored = rulesets.find_rulesets(reader, hash_)
    if not stored:
        hint = "leadmaster rules history lists the sets that were live."
        raise NotFound(f"No rules of the hash {hash_} were ever live.", hint=hint)
    if len(stored) > 1:
        raise Conflict(f"Several rule sets begin with {hash_}: write more of the hash.")
    others = [
        file
        for evaluator in (active.gate, active.score)
        if str(evaluator.ruleset.format) != stored[0].format
        for file in evaluator.ruleset.sources
    ]
    return (*_build_files(stored[0]), *others)


def was_rolled_back(reader: Reader, hashes: Sequence[str]) -> bool:
    """Return whether the last change of a format was to roll one of these sets back."""
    changes = (rulesets.get_latest_activation(reader, str(kind)) for kind in rules.RuleFormat)
    return any(
        change is not None
        and change.how is RulesetActivationKind.ROLLED_BACK
        and change.previous in hashes
        for change in changes
    )


def load_stored_gate(reader: Reader, hash_: str) -> rules.Ruleset | None:
    """Return a gate that was live before, None where it is unknown or can't be read any more."""
    stored = rulesets.find_rulesets(reader, hash_)
    try:
        return (
            rules.load_rulesets(_build_files(stored[0])).get(rules.RuleFormat.GATE)
            if stored
            else None
        )
    except rules.RulesInvalid:
        return None


def load_live_gate(reader: Reader) -> rules.Ruleset | None:
    """Return the gate that is live, None before the first."""
    last = rulesets.get_latest_activation(reader, str(rules.RuleFormat.GATE))
    return None if last is None else load_stored_gate(reader, last.hash)


def get_live_score_hash(reader: Reader) -> str | None:
    """Return the hash of the score set that is live, None before the first."""
    return rulesets.get_live_hash(reader, str(rules.RuleFormat.SCORE))


def _build_files(record: RulesetRecord) -> Sequence[rules.RuleFile]:
    return [rules.RuleFile(file.path, file.text, file.own) for file in record.files]
