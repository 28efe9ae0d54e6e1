"""Rule sets that were live before: which ones were accepted last, and what undoes a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rules
from daemon.errors import Conflict, NotFound
from daemon.rulebook.book import Rulebook
from storage import rulesets
from storage.rulesets import RulesetActivationKind, RulesetRecord
from storage.tx import Reader


def last_accepted(reader: Reader, rulebook: Rulebook) -> tuple[rules.RuleFile, ...]:
    """Return the files of the sets that were live last, the rulebook's own where none was."""
    files: list[rules.RuleFile] = []
    for judge in (rulebook.gate, rulebook.score):
        last = rulesets.live(reader, str(judge.ruleset.format))
        stored = rulesets.find(reader, last.hash) if last is not None else []
        files += _files(stored[0]) if stored else judge.ruleset.sources
    return tuple(files)


def with_stored(reader: Reader, rulebook: Rulebook, hash_: str) -> tuple[rules.RuleFile, ...]:
    """Return the files of the stored set whose hash begins like this, and of the other live one.

    Raises :class:`NotFound` where there is none, :class:`Conflict` where there are several.
    """
    stored = rulesets.find(reader, hash_)
    if not stored:
        hint = "leadmaster rules history lists the sets that were live."
        raise NotFound(f"No rules of the hash {hash_} were ever live.", hint=hint)
    if len(stored) > 1:
        raise Conflict(f"Several rule sets begin with {hash_}: write more of the hash.")
    others = [
        file
        for judge in (rulebook.gate, rulebook.score)
        if str(judge.ruleset.format) != stored[0].format
        for file in judge.ruleset.sources
    ]
    return (*_files(stored[0]), *others)


def was_undone(reader: Reader, hashes: Sequence[str]) -> bool:
    """Tell whether the last change of a format was to roll one of these sets back."""
    changes = (rulesets.live(reader, str(kind)) for kind in rules.Format)
    return any(
        change is not None
        and change.how is RulesetActivationKind.ROLLED_BACK
        and change.previous in hashes
        for change in changes
    )


def gate_of(reader: Reader, hash_: str) -> rules.RuleSet | None:
    """Return a gate that was live before, None where it is unknown or can't be read any more."""
    stored = rulesets.find(reader, hash_)
    try:
        return rules.load_sets(_files(stored[0])).get(rules.Format.GATE) if stored else None
    except rules.RulesInvalid:
        return None


def live_gate(reader: Reader) -> rules.RuleSet | None:
    """Return the gate that is live, None before the first."""
    last = rulesets.live(reader, str(rules.Format.GATE))
    return None if last is None else gate_of(reader, last.hash)


def live_score(reader: Reader) -> str | None:
    """Return the hash of the score set that is live, None before the first."""
    last = rulesets.live(reader, str(rules.Format.SCORE))
    return None if last is None else last.hash


def opinions(document: Mapping[str, Any]) -> tuple[rules.Opinion, ...]:
    """Return the opinions of plugins that a stored decision took into account."""
    return tuple(
        rules.Opinion(
            each["source"], rules.Effect(each["effect"]), each["reason"], _defer(each["defer"])
        )
        for each in document.get("opinions", ())
    )


def _defer(plain: Mapping[str, Any] | None) -> rules.Defer | None:
    if plain is None:
        return None
    return rules.Defer(rules.DeferKind(plain["kind"]), plain["window"], plain["seconds"])


def _files(record: RulesetRecord) -> Sequence[rules.RuleFile]:
    return [rules.RuleFile(file.path, file.text, file.own) for file in record.files]
