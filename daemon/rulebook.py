"""The rule sets in force: loaded from files, judged by both engines, kept in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import rules
from daemon.errors import RulesRejected
from daemon.events import RulesLoaded
from daemon.settings import RulesSettings
from storage import rulesets
from storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The gate's set and the score's set, each behind its judge."""

    gate: rules.Judge
    score: rules.Judge

    @classmethod
    def load(cls, settings: RulesSettings) -> Rulebook:
        """Load the sets that the settings name, else the shipped ones.

        Raises :class:`RulesRejected` with file, line and column of every problem.
        """
        return cls(
            gate=_judge(settings.gate, rules.DEFAULTS / "gate.yaml", settings.engines),
            score=_judge(settings.score, rules.DEFAULTS / "score.yaml", settings.engines),
        )

    def store(self, tx: Tx, *, at: datetime, who: str) -> None:
        """Keep both sets by hash, with their files, and say that they are live."""
        for judge in (self.gate, self.score):
            ruleset = judge.ruleset
            rulesets.add(
                tx,
                hash_=ruleset.hash,
                format_=str(ruleset.format),
                files={name: Path(name).read_text(encoding="utf-8") for name in ruleset.files},
                at=at,
                who=who,
            )
            tx.emit(
                RulesLoaded(
                    subject=ruleset.hash,
                    at=at,
                    format=str(ruleset.format),
                    engine=judge.engine,
                    files=tuple(ruleset.files),
                )
            )


def _judge(
    files: Sequence[str], shipped: Path, engines: Literal["both", "reference"]
) -> rules.Judge:
    paths = [Path(name) for name in files] or [shipped]
    try:
        return rules.Judge(rules.load(paths), engines)
    except (rules.RulesInvalid, rules.GateFault) as error:
        raise RulesRejected(str(error)) from error
