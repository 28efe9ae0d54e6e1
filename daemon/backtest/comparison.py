"""Compares a candidate ruleset with past decisions: which verdicts change, and by which rules."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

import rules
from daemon.api.numbers import mask_phone
from daemon.backtest.messages import (
    BacktestProgress,
    BacktestReport,
    BacktestRequest,
    RuleFlipCounts,
    VerdictFlip,
)
from daemon.backtest.refresh_facts import RefreshedFacts, ReplayRowDecoder, untyped_decoder
from daemon.gate import explain, hard_limits
from daemon.rulesets.rule_files import RulesetPair
from rules.replay import Replay
from storage import backtest_queries
from storage.backtest_queries import DecisionBatch
from storage.tx import Reader

ALLOW = rules.Verdict.ALLOW.value
_SCORE_BAR_POINTS = 5  # width of a bar in the histogram of scores, in points
_SECOND_ENGINE_SAMPLES = 200  # decisions that are also evaluated by durable-rules, spread evenly
_CHUNK = 500  # decisions in one query; SQLite limits the parameters of a statement

VerdictAndScore = tuple[str, int | None]
"""A verdict and its score; None where the base fact was unknown."""
Opinions = tuple[rules.Opinion, ...]


# gc=False: there are very many of them, and none is part of a reference cycle.
class _StoredDecision(msgspec.Struct, gc=False):
    """The parts of a stored decision that are compared; `fault` where the gate had none."""

    score: int | None = None
    opinions: tuple[dict[str, Any], ...] = ()
    fault: dict[str, Any] | None = None


_document_decoder = msgspec.json.Decoder(_StoredDecision)


class _Counts(Struct):
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    flips: Counter[str] = field(default_factory=Counter)
    scores_before: Counter[int] = field(default_factory=Counter)
    scores_after: Counter[int] = field(default_factory=Counter)


class _Findings(Struct):
    pairs: Counter[tuple[VerdictAndScore, VerdictAndScore]] = field(default_factory=Counter)
    """How many decisions had each pair of verdict and score, before and after."""
    allows: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    allow_flips: list[VerdictFlip] = field(default_factory=list)
    left_out: int = 0
    checked: int = 0
    disagreed: int = 0


class Backtest:
    """One comparison of a candidate with the stored decisions of a database."""

    def __init__(self, reader: Reader, sets: RulesetPair, request: BacktestRequest) -> None:
        self._reader = reader
        self._sets = sets
        self._request = request
        self._gate = Replay(sets.gate)
        self._row_decoder = ReplayRowDecoder(self._gate)
        self._both = rules.RuleEvaluator(sets.gate, request.engines)
        self._evaluator = rules.RuleEvaluator(sets.gate, "reference")
        self._two_engines = self._both.engine != self._evaluator.engine
        self._refreshed_facts = RefreshedFacts(reader, sets)
        self._findings = _Findings()

    def run(self) -> Iterator[BacktestProgress | BacktestReport]:
        """Yield progress, about a hundred times, and the report at the end."""
        started = time.perf_counter()
        total = backtest_queries.count_decisions(self._reader, self._request.since)
        every, done, reported = max(1, total // _SECOND_ENGINE_SAMPLES), 0, 0
        since, messages = self._request.since, self._refreshed_facts.needs_messages
        for page in backtest_queries.iterate_decision_batches(
            self._reader, since, messages=messages
        ):
            # Every n-th of all decisions, so that the samples are even across pages.
            samples = range(-done % every, len(page.ids), every) if self._two_engines else ()
            self._compare(page, samples)
            done += len(page.ids)
            if done - reported >= total / 100:
                yield BacktestProgress(done, total)
                reported = done
        yield self._report(time.perf_counter() - started)

    def _compare(self, page: DecisionBatch, samples: Sequence[int]) -> None:
        """Evaluate a page of decisions again, and count the differences."""
        documents = list(map(_document_decoder.decode, page.documents))
        # A fault is no verdict of rules, so there is nothing to compare.
        kept = [place for place, each in enumerate(documents) if each.fault is None]
        # Without its text a message would be judged on less than it was.
        if self._refreshed_facts.reads_text:
            readable = [place for place in kept if page.texts[place]]
            self._findings.left_out += len(kept) - len(readable)
            kept = readable
        changes = self._refreshed_facts.refresh(page, kept)
        opinions = [_decode_opinions(documents[place]) for place in kept]
        rows = [
            self._row_decoder.decode_row(page.facts[p], change)
            for p, change in zip(kept, changes, strict=True)
        ]
        before: list[VerdictAndScore] = [
            (page.verdicts[place], documents[place].score) for place in kept
        ]
        after: list[VerdictAndScore] = list(self._gate.decide(rows, opinions))
        for number, place in enumerate(kept):
            flips = before[number][0] != after[number][0]
            if flips or place in samples:
                facts = {**untyped_decoder.decode(page.facts[place]), **changes[number]}
                if place in samples:
                    self._compare_engines(facts, opinions[number], after[number][0])
                if flips:
                    now = self._record_flip(page, place, before[number], facts, opinions[number])
                    after[number] = (now, after[number][1])
        self._findings.pairs.update(zip(before, after, strict=True))

    def _compare_engines(
        self, facts: Mapping[str, object], opinions: Sequence[rules.Opinion], after: str
    ) -> None:
        """Evaluate one decision with durable-rules, too; a fault counts as a disagreement."""
        self._findings.checked += 1
        try:
            agrees = self._both.decide(facts, opinions).verdict == after
        except rules.GateFault:
            agrees = False
        self._findings.disagreed += not agrees

    def _record_flip(
        self,
        page: DecisionBatch,
        place: int,
        recorded: VerdictAndScore,
        facts: Mapping[str, object],
        opinions: Opinions,
    ) -> str:
        # The replay knows rules alone; a hard limit of the gate may keep the old verdict in force.
        # The replay knows rules alone; a hard limit of the gate may leave the old verdict in force.
        decision = hard_limits.apply_hard_limits(self._evaluator.decide(facts, opinions), facts)
        before, after = recorded[0], decision.verdict.value
        if before != after and ALLOW in (before, after):
            self._record_allow_flip(page, place, recorded, decision)
        return after

    def _record_allow_flip(
        self, page: DecisionBatch, place: int, recorded: VerdictAndScore, decision: rules.Decision
    ) -> None:
        """Record which rules are responsible for a change to or from allow."""
        findings, allows = self._findings, decision.verdict == ALLOW
        responsible = _find_responsible_rules(
            untyped_decoder.decode(page.documents[place]), decision, self._sets.gate.base
        )
        (findings.allows if allows else findings.stops).update(responsible)
        findings.allow_flips.append(
            VerdictFlip(
                decision=page.ids[place],
                before=recorded[0],
                after=decision.verdict.value,
                score_before=recorded[1],
                score_after=decision.score,
                responsible_rules=responsible,
                sentence=decision.sentence,
            )
        )

    def _report(self, seconds: float) -> BacktestReport:
        findings = self._findings
        allow_flips = self._list_flips_with_prospects()
        more = [flip for flip in allow_flips if flip.after == ALLOW]
        less = [flip for flip in allow_flips if flip.before == ALLOW]
        named = sorted({*findings.allows, *findings.stops})
        by_rule = [
            RuleFlipCounts(rule, findings.allows[rule], findings.stops[rule]) for rule in named
        ]
        counted = _count_pairs(findings.pairs)
        bars = max((*counted.scores_before, *counted.scores_after, 100 // _SCORE_BAR_POINTS)) + 1
        half = self._request.examples // 2  # of the newest of each direction
        return BacktestReport(
            gate=self._sets.gate.hash,
            score=self._sets.score.hash,
            since=self._request.since,
            decisions=findings.pairs.total(),
            left_out=findings.left_out,
            before=dict(counted.before),
            after=dict(counted.after),
            flips=dict(counted.flips.most_common()),
            allows_more=len(more),
            allows_less=len(less),
            by_rule=tuple(sorted(by_rule, key=lambda each: -each.allows - each.stops)),
            more=_count_outcomes(more),
            less=_count_outcomes(less),
            examples=(*more[-half:], *less[-half:]),
            scores_before=tuple(counted.scores_before[bar] for bar in range(bars)),
            scores_after=tuple(counted.scores_after[bar] for bar in range(bars)),
            checked=findings.checked,
            disagreed=findings.disagreed,
            seconds=round(seconds, 3),
        )

    def _list_flips_with_prospects(self) -> list[VerdictFlip]:
        """Return the changes to or from allow with their prospects, oldest first."""
        allow_flips = self._findings.allow_flips
        aftermaths: dict[str, backtest_queries.DecisionAftermath] = {}
        for start in range(0, len(allow_flips), _CHUNK):
            chunk = [flip.decision for flip in allow_flips[start : start + _CHUNK]]
            aftermaths |= {
                each.decision: each
                for each in backtest_queries.list_decision_aftermaths(self._reader, chunk)
            }
        return [_add_prospect(flip, aftermaths[flip.decision]) for flip in allow_flips]


def _decode_opinions(document: _StoredDecision) -> Opinions:
    return explain.parse_opinions({"opinions": document.opinions}) if document.opinions else ()


def _count_pairs(pairs: Mapping[tuple[VerdictAndScore, VerdictAndScore], int]) -> _Counts:
    counts = _Counts()
    for ((before, old_score), (after, new_score)), count in pairs.items():
        counts.before[before] += count
        counts.after[after] += count
        if before != after:
            counts.flips[f"{before} → {after}"] += count
        if old_score is not None:
            counts.scores_before[old_score // _SCORE_BAR_POINTS] += count
        if new_score is not None:
            counts.scores_after[new_score // _SCORE_BAR_POINTS] += count
    return counts


def _add_prospect(flip: VerdictFlip, subject: backtest_queries.DecisionAftermath) -> VerdictFlip:
    words = ("answered", "complained", "bounced")
    return msgspec.structs.replace(
        flip,
        message=subject.message,
        prospect=subject.prospect,
        name=subject.name,
        phone=mask_phone(subject.phone),
        state=subject.state,
        outcomes=tuple(word for word in words if getattr(subject, word)),
    )


def _count_outcomes(flips: Sequence[VerdictFlip]) -> dict[str, int]:
    return dict(Counter(word for flip in flips for word in flip.outcomes))


def _find_responsible_rules(
    old: Mapping[str, Any], new: rules.Decision, base: int | str
) -> tuple[str, ...]:
    """Return the rules that fired on one side only, or with another effect or other points.

    The base of the score is one of them where it differs. Where nothing differs, the thresholds do.
    """
    before = {(veto["id"], veto["effect"]) for veto in old.get("vetoes", ())}
    before |= {(part["id"], part["points"]) for part in old.get("contributions", ())}
    after: set[tuple[str, object]] = {(veto.id, veto.effect.value) for veto in new.vetoes}
    after |= {(part.id, part.points) for part in new.contributions}
    differing = {rule for rule, _ in before ^ after}
    if old.get("base") != new.base:
        differing.add(base if isinstance(base, str) else "score")
    return tuple(sorted(differing)) or ("thresholds",)
