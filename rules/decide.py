"""Rules that fired, opinions and score → one decision, by the gate's order of precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rules.facts import REQUIRED
from rules.ruleset import APPROVED
from rules.tally import tally
from rules.verdict import Decision, Effect, Fired, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rules.ruleset import RuleSet
    from rules.snapshot import Known
    from rules.verdict import Opinion, Score


class Ruling(NamedTuple):
    """A verdict with the code and the sentence that say why."""

    verdict: Verdict
    reason_code: str
    sentence: str


def decision_of(
    ruleset: RuleSet,
    values: Mapping[str, Known],
    fired: AbstractSet[str],
    opinions: Sequence[Opinion],
    engine: str,
) -> Decision:
    """The decision on one message, from what is known and which rules fired."""
    vetoes = tuple([veto for veto in ruleset.spoken if veto.id in fired])
    said: tuple[Fired | Opinion, ...] = (*vetoes, *opinions)
    score = tally(ruleset, values, fired)
    approved = values.get(APPROVED) == 1
    ruling = _ruling(values, said, score, approved=approved)
    held = any(each.effect is Effect.HOLD for each in said)
    in_review = held or (score is not None and score.band == Verdict.REVIEW)
    waits = ruling.verdict in (Verdict.REVIEW, Verdict.DEFER, Verdict.ROUTE)
    route = next((veto.route for veto in vetoes if veto.effect is Effect.ROUTE), None)
    deferring = ruling.verdict is Verdict.DEFER
    defers = (each.defer for each in said if each.defer is not None)
    return Decision(
        verdict=ruling.verdict,
        reason_code=ruling.reason_code,
        sentence=ruling.sentence,
        route=route if ruling.verdict is Verdict.ROUTE else None,
        defers=tuple(dict.fromkeys(defers)) if deferring else (),
        needs_review=waits and in_review and not approved,
        score=None if score is None else score.value,
        raw=None if score is None else score.raw,
        base=None if score is None else score.base,
        band=None if score is None else score.band,
        vetoes=vetoes,
        contributions=() if score is None else score.contributions,
        missing=ruleset.missing(values),
        opinions=tuple(opinions),
        ruleset=ruleset.hash,
        engine=engine,
    )


def _ruling(
    values: Mapping[str, Known],
    said: Sequence[Fired | Opinion],
    score: Score | None,
    *,
    approved: bool,
) -> Ruling:
    unknown = [fact.name for fact in REQUIRED if fact.name not in values]
    if unknown or score is None:
        sentence = f"Nobody can judge this without knowing {', '.join(unknown)}"
        return Ruling(Verdict.BLOCK, "required_fact_missing", sentence)
    for effect, verdict in _PRECEDENCE:
        if effect is Effect.HOLD and approved:
            continue
        found = next((each for each in said if each.effect is effect), None)
        if found is not None:
            code = found.id if isinstance(found, Fired) else "plugin_opinion"
            return Ruling(verdict, code, found.reason)
    return _band_ruling(score, approved=approved)


_PRECEDENCE = (
    (Effect.BLOCK, Verdict.BLOCK),
    (Effect.ROUTE, Verdict.ROUTE),
    (Effect.DEFER, Verdict.DEFER),
    (Effect.HOLD, Verdict.REVIEW),
)


def _band_ruling(score: Score, *, approved: bool) -> Ruling:
    """The band's verdict; an approval lifts `review` alone, and never the block band."""
    match Verdict(score.band):
        case Verdict.REVIEW if approved:
            return Ruling(Verdict.ALLOW, "approved", "A person approved this very message")
        case Verdict.REVIEW:
            sentence = f"A score of {score.value} needs a person's approval"
            return Ruling(Verdict.REVIEW, "score_needs_review", sentence)
        case Verdict.BLOCK:
            sentence = f"A score of {score.value} is too low for any message"
            return Ruling(Verdict.BLOCK, "score_too_low", sentence)
    if approved:
        return Ruling(Verdict.ALLOW, "approved", "A person approved this very message")
    return Ruling(Verdict.ALLOW, "allowed", f"Nothing speaks against it, with {score.value} points")
