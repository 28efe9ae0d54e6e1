"""The active rulesets of gate and score, compiled; replaced in one step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct

import rules
from daemon.errors import RulesRejected
from daemon.events import RulesLoaded
from daemon.rulesets import rule_files
from daemon.settings import RulesSettings
from storage import rulesets
from storage.rulesets import RulesetActivationKind, RulesetFile
from storage.tx import Tx


class CompiledRulesets(Struct, frozen=True):
    """The compiled rulesets of gate and score, which an evaluation uses together to its end."""

    gate: rules.RuleEvaluator
    score: rules.RuleEvaluator

    @classmethod
    def compile_files(
        cls, files: Sequence[rules.RuleFile], settings: RulesSettings
    ) -> CompiledRulesets:
        """Compile the rulesets of these files. Raises :class:`RulesRejected` with locations."""
        try:
            sets = rule_files.build_ruleset_pair(rules.load_rulesets(files))
            build_evaluator = partial(rules.RuleEvaluator, engines=settings.engines)
            return cls(build_evaluator(sets.gate), build_evaluator(sets.score))
        except (rules.RulesInvalid, rules.GateFault) as error:
            raise RulesRejected(str(error)) from error

    @classmethod
    def compile_shadow(cls, files: Sequence[rules.RuleFile]) -> CompiledRulesets:
        """Compile a shadow's rulesets. Raises ``RulesInvalid``."""
        # The second engine alone: a shadow only counts, and should cost each decision little.
        sets = rule_files.build_ruleset_pair(rules.load_rulesets(files))
        return cls(
            rules.RuleEvaluator(sets.gate, "reference"),
            rules.RuleEvaluator(sets.score, "reference"),
        )

    def is_equivalent_to(self, other: CompiledRulesets) -> bool:
        """Return whether both pairs mean the same, by content hash, whatever their files are."""
        return self.hashes == other.hashes

    @property
    def sources(self) -> frozenset[rules.RuleFile]:
        """The files of both rulesets."""
        return frozenset((*self.gate.ruleset.sources, *self.score.ruleset.sources))

    @property
    def hashes(self) -> tuple[str, str]:
        """The content hashes of gate and score."""
        return self.gate.ruleset.hash, self.score.ruleset.hash

    @property
    def review_band(self) -> range:
        """The scores of the gate's review band, in which a person decides on a prospect first."""
        bands = self.gate.ruleset.bands
        tops = (self.gate.ruleset.maximum + 1, *(band.start for band in bands))
        found = (
            range(band.start, top)
            for band, top in zip(bands, tops, strict=False)
            if band.name == rules.Verdict.REVIEW
        )
        return next(found, range(0))

    def store(
        self,
        tx: Tx,
        *,
        at: datetime,
        who: str,
        how: RulesetActivationKind = RulesetActivationKind.LOADED,
        reason: str = "",
    ) -> None:
        """Store both rulesets and their activation, and emit `RulesLoaded`, in this transaction."""
        for evaluator in (self.gate, self.score):
            ruleset = evaluator.ruleset
            rulesets.insert_ruleset(
                tx,
                hash_=ruleset.hash,
                format_=str(ruleset.format),
                files=[RulesetFile(each.path, each.text, each.own) for each in ruleset.sources],
                at=at,
                who=who,
            )
            rulesets.insert_activation(
                tx,
                at=at,
                format_=str(ruleset.format),
                hash_=ruleset.hash,
                how=how,
                who=who,
                reason=reason,
            )
            tx.emit(
                RulesLoaded(
                    subject=ruleset.hash,
                    at=at,
                    format=str(ruleset.format),
                    engine=evaluator.engine,
                    files=tuple(ruleset.files),
                    how=how.value,
                    who=who,
                )
            )


class ActiveRulesets:
    """The compiled rulesets in force, and the shadow's, whose verdicts are only counted."""

    def __init__(self, gate: rules.RuleEvaluator, score: rules.RuleEvaluator) -> None:
        # Replaced by one assignment, both at once: an evaluation that has read it before ends with
        # the old pair.
        self.compiled = CompiledRulesets(gate, score)
        self.shadow: CompiledRulesets | None = None

    @classmethod
    def load(cls, settings: RulesSettings) -> ActiveRulesets:
        """Load the rulesets that the settings name, else the shipped ones, without the folder's.

        Raises :class:`RulesRejected` with file, line and column of every problem.
        """
        try:
            files = rule_files.read_shipped_files(settings)
        except rules.RulesInvalid as error:
            raise RulesRejected(str(error)) from error
        compiled = CompiledRulesets.compile_files(files, settings)
        return cls(compiled.gate, compiled.score)

    @property
    def gate(self) -> rules.RuleEvaluator:
        """The evaluator of messages in force."""
        return self.compiled.gate

    @property
    def score(self) -> rules.RuleEvaluator:
        """The evaluator of prospects in force."""
        return self.compiled.score

    def store(self, tx: Tx, *, at: datetime, who: str) -> None:
        """Store the live rulesets with their files, and record that they are live."""
        self.compiled.store(tx, at=at, who=who)
