"""Finds rulesets that were live before: the last accepted ones, and those rolled back."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

import rules
from daemon.errors import Conflict, NotFound
from daemon.rulesets.active import ActiveRulesets
from rules.diff import RulesetChange, compare_rulesets
from storage import rulesets
from storage.rulesets import RulesetActivationKind, RulesetActivationRecord, RulesetRecord
from storage.tx import Reader


class RulesetHistoryEntry(Struct, frozen=True):
    """One activation, and what it changed in its format.

    `changes` is None for the first, and where this version can't read one of the two rulesets.
    `is_newest`: nothing of that format went live after it.
    """

    activation: RulesetActivationRecord
    changes: tuple[RulesetChange, ...] | None
    is_newest: bool


def list_history(reader: Reader, limit: int) -> list[RulesetHistoryEntry]:
    """Return the changes of the live rulesets with what each changed, newest first."""
    found = rulesets.list_activations(reader, limit)
    hashes = {hash_ for each in found for hash_ in (each.hash, each.previous) if hash_}
    read = {hash_: load_stored_ruleset(reader, hash_) for hash_ in hashes}
    entries, seen = [], set()
    for each in found:
        before, after = read.get(each.previous or ""), read[each.hash]
        changes = compare_rulesets(before, after) if before and after else None
        entries.append(RulesetHistoryEntry(each, changes, each.format not in seen))
        seen.add(each.format)
    return entries


def read_last_accepted(reader: Reader, active: ActiveRulesets) -> tuple[rules.RuleFile, ...]:
    """Return the files of the rulesets that were live last, or of the active ones."""
    files: list[rules.RuleFile] = []
    for evaluator in (active.gate, active.score):
        last = rulesets.get_latest_activation(reader, str(evaluator.ruleset.format))
        stored = rulesets.find_rulesets(reader, last.hash) if last is not None else []
        files += _build_files(stored[0]) if stored else evaluator.ruleset.sources
    return tuple(files)


def find_stored_files(
    reader: Reader, active: ActiveRulesets, hash_: str
) -> tuple[rules.RuleFile, ...]:
    """Return the files of the stored ruleset with this hash prefix, and of the other live one.

    Raises :class:`NotFound` where there is none, :class:`Conflict` where there are several.
    """
    stored = rulesets.find_rulesets(reader, hash_)
    if not stored:
        hint = "leadmaster rules history lists the sets that were live."
        raise NotFound(f"No rules of the hash {hash_} were ever in force.", hint=hint)
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
    """Return whether the last change of a format was to roll back one of these rulesets."""
    changes = (rulesets.get_latest_activation(reader, str(kind)) for kind in rules.RuleFormat)
    return any(
        change is not None
        and change.how is RulesetActivationKind.ROLLED_BACK
        and change.previous in hashes
        for change in changes
    )


def load_stored_gate(reader: Reader, hash_: str) -> rules.Ruleset | None:
    """Return a gate ruleset that was live before; None if it is unknown or can't be read now."""
    stored = load_stored_ruleset(reader, hash_)
    return stored if stored and stored.format is rules.RuleFormat.GATE else None


def load_live_gate(reader: Reader) -> rules.Ruleset | None:
    """Return the live gate ruleset from the database, or None before the first."""
    last = rulesets.get_latest_activation(reader, str(rules.RuleFormat.GATE))
    return None if last is None else load_stored_gate(reader, last.hash)


def get_live_score_hash(reader: Reader) -> str | None:
    """Return the hash of the live score ruleset, or None before the first."""
    return rulesets.get_live_hash(reader, str(rules.RuleFormat.SCORE))


def load_stored_ruleset(reader: Reader, hash_: str) -> rules.Ruleset | None:
    """Return a ruleset that was live before; None if it is unknown or can't be read now."""
    stored = rulesets.find_rulesets(reader, hash_)
    # Files of an older version may use facts or words that this one does not have.
    try:
        return (
            rules.load_rulesets(_build_files(stored[0])).get(rules.RuleFormat(stored[0].format))
            if stored
            else None
        )
    except rules.RulesInvalid:
        return None


def _build_files(record: RulesetRecord) -> Sequence[rules.RuleFile]:
    return [rules.RuleFile(file.path, file.text, file.own) for file in record.files]
