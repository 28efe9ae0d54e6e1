"""A decision in plain lines: verdict, score, each rule with its place, what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.verdict import Effect, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.ruleset import RuleSet
    from rules.verdict import Contribution, Decision, ScoreResult

_BAR_CELLS = 20
_EFFECTS = {
    Effect.BLOCK: "blocks",
    Effect.ROUTE: "re-routes",
    Effect.DEFER: "waits",
    Effect.HOLD: "holds",
}


def explain(decision: Decision, ruleset: RuleSet) -> list[str]:
    """Why a message got its verdict, line by line, without markup."""
    return list(_lines(decision, ruleset))


def explain_score(result: ScoreResult, ruleset: RuleSet) -> list[str]:
    """Why a prospect has its score, line by line."""
    bar = score_bar(result.score, ruleset.minimum, ruleset.maximum)
    lines = [f"{result.score} {result.band}  {bar}"]
    lines += [_points_line(each) for each in result.contributions]
    if result.missing:
        lines.append(f"not known: {', '.join(result.missing)}")
    return lines


def score_bar(score: int, low: int, high: int) -> str:
    """The score as a bar of text, `[############........]`."""
    filled = round((score - low) / (high - low) * _BAR_CELLS)
    return f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}]"


def _lines(decision: Decision, ruleset: RuleSet) -> Iterator[str]:
    to = f" to {decision.route}" if decision.route else ""
    yield f"{decision.verdict.value}{to}: {decision.sentence} ({decision.reason_code})"
    if decision.score is not None:
        bar = score_bar(decision.score, ruleset.minimum, ruleset.maximum)
        yield f"score {decision.score} {bar} {decision.band}"
        source = (
            f"the fact {ruleset.base}" if isinstance(ruleset.base, str) else "the rule set's base"
        )
        yield f"  {decision.base:+g}  {source}: where it starts"
    for contribution in decision.contributions:
        yield _points_line(contribution)
    for veto in decision.vetoes:
        effect = f"{_EFFECTS[veto.effect]} {veto.route or veto.defer or ''}".rstrip()
        yield f"  {veto.id} {effect}: {veto.reason} ({veto.place})"
    for opinion in decision.opinions:
        effect = f"{_EFFECTS[opinion.effect]} {opinion.defer or ''}".rstrip()
        yield f"  plugin {opinion.source} {effect}: {opinion.reason}"
    if decision.missing:
        yield f"not known: {', '.join(decision.missing)}"
    change = _what_would_change_it(decision, ruleset)
    if change:
        yield f"what would change it: {change}"
    yield f"rules {decision.ruleset[:12]}, decided by {decision.engine}"


def _points_line(contribution: Contribution) -> str:
    points, reason, place = contribution.points, contribution.reason, contribution.place
    return f"  {points:+g}  {contribution.id}: {reason} ({place})"


def _what_would_change_it(decision: Decision, ruleset: RuleSet) -> str:
    match decision.verdict:
        case Verdict.ALLOW:
            return ""
        case Verdict.ROUTE:
            return f"it goes on by {decision.route}, where it is judged again"
        case Verdict.DEFER:
            later = ", then a person's approval" if decision.needs_review else ""
            return f"waiting: {', '.join(map(str, decision.defers))}{later}"
        case Verdict.REVIEW:
            return f"a person's approval{_points_to_allow(decision, ruleset)}"
        case _:
            return _what_would_unblock_it(decision, ruleset)


def _what_would_unblock_it(decision: Decision, ruleset: RuleSet) -> str:
    if decision.reason_code == "required_fact_missing":
        return "finding out what is not known"
    blocking = [veto.id for veto in decision.vetoes if veto.effect is Effect.BLOCK]
    blocking += [f"plugin {o.source}" for o in decision.opinions if o.effect is Effect.BLOCK]
    if blocking:
        return f"nothing but the end of what {', '.join(blocking)} found"
    return f"a higher score{_points_to_allow(decision, ruleset)}; no approval reaches this low"


def _points_to_allow(decision: Decision, ruleset: RuleSet) -> str:
    allow = next((band.start for band in ruleset.bands if band.name == Verdict.ALLOW), None)
    if allow is None or decision.score is None or decision.score >= allow:
        return ""
    return f" ({allow - decision.score} more points are allowed without)"
