"""Explains a decision as lines of text: verdict, score, the rules that fired, what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.decide import FACT_MISSING, SCORE_TOO_LOW
from rules.verdict import Verdict, VetoEffect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.ruleset import Ruleset
    from rules.verdict import Contribution, Decision, ScoreResult

_BAR_WIDTH = 20
_EFFECT_VERBS = {
    VetoEffect.BLOCK: "blocks",
    VetoEffect.ROUTE: "re-routes",
    VetoEffect.DEFER: "waits",
    VetoEffect.HOLD: "holds",
}


def explain_decision(decision: Decision, ruleset: Ruleset) -> list[str]:
    """Return the lines that explain a message's verdict, without markup."""
    return list(_decision_lines(decision, ruleset))


def explain_score(result: ScoreResult, ruleset: Ruleset) -> list[str]:
    """Return the lines that explain a prospect's score."""
    bar = render_score_bar(result.score, ruleset.minimum, ruleset.maximum)
    lines = [f"{result.score} {result.band}  {bar}"]
    lines += [_points_line(each) for each in result.contributions]
    if result.missing:
        lines.append(f"not known: {', '.join(result.missing)}")
    return lines


def render_score_bar(score: int, low: int, high: int) -> str:
    """Return the score as a bar of text, `[############........]`."""
    filled = round((score - low) / (high - low) * _BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}]"


def _decision_lines(decision: Decision, ruleset: Ruleset) -> Iterator[str]:
    to = f" to {decision.route}" if decision.route else ""
    yield f"{decision.verdict.value}{to}: {decision.sentence} ({decision.reason_code})"
    if decision.score is not None:
        bar = render_score_bar(decision.score, ruleset.minimum, ruleset.maximum)
        yield f"score {decision.score} {bar} {decision.band}"
        source = (
            f"the fact {ruleset.base}" if isinstance(ruleset.base, str) else "the rule set's base"
        )
        yield f"  {decision.base:+g}  {source}: where it starts"
    for contribution in decision.contributions:
        yield _points_line(contribution)
    for veto in decision.vetoes:
        effect = f"{_EFFECT_VERBS[veto.effect]} {veto.route or veto.defer or ''}".rstrip()
        yield f"  {veto.id} {effect}: {veto.reason} ({veto.place})"
    for opinion in decision.opinions:
        effect = f"{_EFFECT_VERBS[opinion.effect]} {opinion.defer or ''}".rstrip()
        yield f"  plugin {opinion.source} {effect}: {opinion.reason}"
    if decision.missing:
        yield f"not known: {', '.join(decision.missing)}"
    change = _remedy(decision, ruleset)
    if change:
        yield f"what would change it: {change}"
    yield f"rules {decision.ruleset[:12]}, decided by {decision.engine}"


def _points_line(contribution: Contribution) -> str:
    points, reason, place = contribution.points, contribution.reason, contribution.place
    return f"  {points:+g}  {contribution.id}: {reason} ({place})"


def _remedy(decision: Decision, ruleset: Ruleset) -> str:
    match decision.verdict:
        case Verdict.ALLOW:
            return ""
        case Verdict.ROUTE:
            return f"it goes on by {decision.route}, where it is judged again"
        case Verdict.DEFER:
            later = ", then a person's approval" if decision.needs_review else ""
            return f"waiting: {', '.join(map(str, decision.defers))}{later}"
        case Verdict.REVIEW:
            return f"a person's approval{_format_points_to_allow(decision, ruleset)}"
        case _:
            return _unblocking_remedy(decision, ruleset)


def _unblocking_remedy(decision: Decision, ruleset: Ruleset) -> str:
    if decision.reason_code == FACT_MISSING:
        return "finding out what is not known"
    if decision.reason_code == SCORE_TOO_LOW:
        more = _format_points_to_allow(decision, ruleset)
        return f"a higher score{more}; no approval reaches this low"
    blocking = [veto.id for veto in decision.vetoes if veto.effect is VetoEffect.BLOCK]
    blocking += [f"plugin {o.source}" for o in decision.opinions if o.effect is VetoEffect.BLOCK]
    # A hard limit of the gate blocks without a veto of the file.
    return f"nothing, while this applies: {', '.join(blocking) or decision.reason_code}"


def _format_points_to_allow(decision: Decision, ruleset: Ruleset) -> str:
    allow = next((band.start for band in ruleset.bands if band.name == Verdict.ALLOW), None)
    if allow is None or decision.score is None or decision.score >= allow:
        return ""
    return f" ({allow - decision.score} more points are allowed without)"
