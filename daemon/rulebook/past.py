"""Rule sets that were live before: which ones were accepted last, and what undoes a change."""

from __future__ import annotations

from collections.abc import Sequence

import rules
from daemon.errors import Conflict, NotFound
from daemon.rulebook.book import Rulebook
from storage import rulesets
from storage.rulesets import How, RuleSetRecord
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
        change is not None and change.how is How.ROLLED_BACK and change.previous in hashes
        for change in changes
    )


def _files(record: RuleSetRecord) -> Sequence[rules.RuleFile]:
    return [rules.RuleFile(file.path, file.text, file.own) for file in record.files]
