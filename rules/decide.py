"""Rules that fired, opinions and score → one decision, by the gate's order of precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rules.facts import FACTS
from rules.ruleset import APPROVED
from rules.tally import tally
from rules.verdict import Decision, Effect, Fired, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rules.ruleset import RuleSet
    from rules.snapshot import Known
    from rules.verdict import Defer, Opinion, Score


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
    score, missing = tally(ruleset, values, fired), ruleset.missing(values)
    approved = values.get(APPROVED) == 1
    ruling = _ruling(missing, said, score, approved=approved)
    held = Effect.HOLD in [each.effect for each in said]
    in_review = held or (score is not None and score.band == Verdict.REVIEW)
    return Decision(
        verdict=ruling.verdict,
        reason_code=ruling.reason_code,
        sentence=ruling.sentence,
        route=_route(vetoes) if ruling.verdict is Verdict.ROUTE else None,
        defers=_defers(said) if ruling.verdict is Verdict.DEFER else (),
        needs_review=in_review and not approved and ruling.verdict in _WAITING,
        score=None if score is None else score.value,
        raw=None if score is None else score.raw,
        base=None if score is None else score.base,
        band=None if score is None else score.band,
        vetoes=vetoes,
        contributions=() if score is None else score.contributions,
        missing=missing,
        opinions=tuple(opinions),
        ruleset=ruleset.hash,
        engine=engine,
    )


_WAITING = (Verdict.REVIEW, Verdict.DEFER, Verdict.ROUTE)
"""Verdicts after which a message is judged again, or by a person."""


def _route(vetoes: Sequence[Fired]) -> str | None:
    return next(veto.route for veto in vetoes if veto.effect is Effect.ROUTE)


def _defers(said: Sequence[Fired | Opinion]) -> tuple[Defer, ...]:
    return tuple(dict.fromkeys(each.defer for each in said if each.defer is not None))


def _ruling(
    missing: Sequence[str],
    said: Sequence[Fired | Opinion],
    score: Score | None,
    *,
    approved: bool,
) -> Ruling:
    unknown = [name for name in missing if FACTS[name].required]
    if unknown or score is None:
        sentence = f"Nobody can judge this without knowing {', '.join(unknown)}"
        return Ruling(Verdict.BLOCK, "required_fact_missing", sentence)
    return spoken(said, approved=approved) or _band_ruling(score, approved=approved)


def spoken(said: Sequence[Fired | Opinion], *, approved: bool) -> Ruling | None:
    """The ruling of the gravest veto or opinion, the first of its kind; an approval lifts holds."""
    first = {each.effect: each for each in reversed(said)}
    if approved:
        first.pop(Effect.HOLD, None)
    for effect, verdict in _PRECEDENCE:
        found = first.get(effect)
        if found is not None:
            code = found.id if isinstance(found, Fired) else "plugin_opinion"
            return Ruling(verdict, code, found.reason)
    return None


_PRECEDENCE = (
    (Effect.BLOCK, Verdict.BLOCK),
    (Effect.ROUTE, Verdict.ROUTE),
    (Effect.DEFER, Verdict.DEFER),
    (Effect.HOLD, Verdict.REVIEW),
)


def _band_ruling(score: Score, *, approved: bool) -> Ruling:
    """The band's verdict; an approval lifts `review` alone, and never the block band."""
    if approved and score.band in (Verdict.ALLOW, Verdict.REVIEW):
        return Ruling(Verdict.ALLOW, "approved", "A person approved this very message")
    match score.band:
        case Verdict.ALLOW:
            sentence = f"Nothing speaks against it, with {score.value} points"
            return Ruling(Verdict.ALLOW, "allowed", sentence)
        case Verdict.REVIEW:
            sentence = f"A score of {score.value} needs a person's approval"
            return Ruling(Verdict.REVIEW, "score_needs_review", sentence)
        case _:
            sentence = f"A score of {score.value} is too low for any message"
            return Ruling(Verdict.BLOCK, "score_too_low", sentence)
