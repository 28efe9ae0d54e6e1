"""Builds one decision from fired rules, plugins' opinions and the score, by order of precedence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rules.conditions import iter_leaves
from rules.facts import FACTS
from rules.ruleset import APPROVED_FACT
from rules.scoring import compute_score
from rules.verdict import Decision, FiredVeto, Verdict, VetoEffect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from rules.known_values import KnownValue
    from rules.ruleset import Ruleset
    from rules.verdict import Defer, Opinion, ScoreBreakdown


FACT_MISSING = "required_fact_missing"
"""The reason code where a required fact is unknown, and no certain veto blocks."""
SCORE_TOO_LOW = "score_too_low"
"""The reason code where only the score blocks."""


class ReasonedVerdict(NamedTuple):
    """A verdict with its reason: a code for programs, a sentence for people."""

    verdict: Verdict
    reason_code: str
    sentence: str


def build_decision(
    ruleset: Ruleset,
    values: Mapping[str, KnownValue],
    fired: AbstractSet[str],
    opinions: Sequence[Opinion],
    engine: str,
) -> Decision:
    """Return the decision on one message, from its known facts and the ids of fired rules."""
    vetoes = tuple([veto for veto in ruleset.fired_vetoes if veto.id in fired])
    said: tuple[FiredVeto | Opinion, ...] = (*vetoes, *opinions)
    score, missing = compute_score(ruleset, values, fired), ruleset.missing_facts(values)
    approved = values.get(APPROVED_FACT) == 1
    unknown = _list_unknown_required(ruleset, missing)
    # Fails closed: where a required fact is unknown nothing else is weighed.
    if unknown or score is None:
        ruling = _choose_block_reason(ruleset, unknown, said)
    else:
        ruling = find_gravest_verdict(said, approved=approved) or _verdict_of_band(
            score, approved=approved
        )
    held = VetoEffect.HOLD in [each.effect for each in said]
    in_review = held or (score is not None and score.band == Verdict.REVIEW)
    return Decision(
        verdict=ruling.verdict,
        reason_code=ruling.reason_code,
        sentence=ruling.sentence,
        route=_first_route(vetoes) if ruling.verdict is Verdict.ROUTE else None,
        defers=_unique_defers(said) if ruling.verdict is Verdict.DEFER else (),
        needs_review=in_review and not approved and ruling.verdict in _WAITING_VERDICTS,
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


_WAITING_VERDICTS = (Verdict.REVIEW, Verdict.DEFER, Verdict.ROUTE)
"""Verdicts after which a message is judged again, or reviewed by a person."""


def _first_route(vetoes: Sequence[FiredVeto]) -> str | None:
    return next(veto.route for veto in vetoes if veto.effect is VetoEffect.ROUTE)


def _unique_defers(voices: Sequence[FiredVeto | Opinion]) -> tuple[Defer, ...]:
    return tuple(dict.fromkeys(each.defer for each in voices if each.defer is not None))


def _list_unknown_required(ruleset: Ruleset, missing: Sequence[str]) -> list[str]:
    """Return the missing facts that block a message: required ones, and the base of the score."""
    return [name for name in missing if FACTS[name].required or name == ruleset.base]


def _choose_block_reason(
    ruleset: Ruleset, unknown: Sequence[str], voices: Sequence[FiredVeto | Opinion]
) -> ReasonedVerdict:
    """Return why unknown facts block a message; a certain veto's reason comes first."""
    # A veto over an unknown fact fires as well, but its reason would state what is not known.
    guessed = {
        veto.id
        for veto in ruleset.vetoes
        if any(leaf.fact in unknown for leaf in iter_leaves(veto.when))
    }
    for voice in voices:
        certain = not isinstance(voice, FiredVeto) or voice.id not in guessed
        if voice.effect is VetoEffect.BLOCK and certain:
            return _verdict_of_voice(Verdict.BLOCK, voice)
    sentence = f"It can't be checked while this is not known: {', '.join(unknown)}"
    return ReasonedVerdict(Verdict.BLOCK, FACT_MISSING, sentence)


def find_gravest_verdict(
    voices: Sequence[FiredVeto | Opinion], *, approved: bool
) -> ReasonedVerdict | None:
    """Return the verdict of the gravest veto or opinion, or None; an approval lifts holds."""
    # Reversed, so that of several with one effect the first in file order gives the reason.
    first = {each.effect: each for each in reversed(voices)}
    if approved:
        first.pop(VetoEffect.HOLD, None)
    for effect, verdict in _PRECEDENCE:
        found = first.get(effect)
        if found is not None:
            return _verdict_of_voice(verdict, found)
    return None


def _verdict_of_voice(verdict: Verdict, voice: FiredVeto | Opinion) -> ReasonedVerdict:
    code = voice.id if isinstance(voice, FiredVeto) else "plugin_opinion"
    return ReasonedVerdict(verdict, code, voice.reason)


_PRECEDENCE = (
    (VetoEffect.BLOCK, Verdict.BLOCK),
    (VetoEffect.ROUTE, Verdict.ROUTE),
    (VetoEffect.DEFER, Verdict.DEFER),
    (VetoEffect.HOLD, Verdict.REVIEW),
)


def _verdict_of_band(score: ScoreBreakdown, *, approved: bool) -> ReasonedVerdict:
    """Return the verdict of the score's band; an approval lifts `review`, never `block`."""
    if approved and score.band in (Verdict.ALLOW, Verdict.REVIEW):
        return ReasonedVerdict(Verdict.ALLOW, "approved", "A person approved this very message")
    match score.band:
        case Verdict.ALLOW:
            sentence = f"No rule stops it, with {score.value} points"
            return ReasonedVerdict(Verdict.ALLOW, "allowed", sentence)
        case Verdict.REVIEW:
            sentence = f"A score of {score.value} needs a person's approval"
            return ReasonedVerdict(Verdict.REVIEW, "score_needs_review", sentence)
        case _:
            sentence = f"A score of {score.value} is too low for any message"
            return ReasonedVerdict(Verdict.BLOCK, SCORE_TOO_LOW, sentence)
