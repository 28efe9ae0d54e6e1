"""What a person reads of a decision."""

from __future__ import annotations

from msgspec.structs import replace

from rules import (
    DEFAULTS,
    Defer,
    DeferKind,
    Opinion,
    RuleEvaluator,
    Verdict,
    VetoEffect,
    load_ruleset,
)
from rules.explain import explain_decision, explain_score, render_score_bar
from tests.helpers.rule_texts import build_facts

GATE = load_ruleset([DEFAULTS / "gate.yaml"])


def _lines(*opinions: Opinion, **changes: object) -> list[str]:
    judge = RuleEvaluator(GATE)
    shown = explain_decision(judge.decide(build_facts(judge, **changes), opinions), GATE)
    return [line.replace(f"{DEFAULTS}/", "") for line in shown]


def test_an_allowed_message_shows_its_score_and_its_rules() -> None:
    """Verdict, bar, base, each rule with points and place, and who decided."""
    lines = _lines(prospect__validation_age_days=60)
    assert lines[:3] == [
        "allow: No rule stops it, with 70 points (allowed)",
        "score 70 [##############......] allow",
        "  +80  the fact prospect.score_contactabilidad: where it starts",
    ]
    assert lines[3].startswith("  -10  stale: How old the validation is (gate.yaml:")
    assert lines[-1].endswith(f"decided by {RuleEvaluator(GATE).engine}")


def test_a_blocked_message_shows_which_veto_ends_it() -> None:
    """And that nothing but its end helps."""
    lines = _lines(prospect__suppressed=True)
    stop = "  suppressed blocks: They are on the opt-out list"
    assert any(line.startswith(stop) for line in lines)
    assert "what would change it: nothing, while this applies: suppressed" in lines


def test_a_hard_limit_is_not_told_as_a_low_score() -> None:
    """The gate's own limits block without a veto: points would change nothing."""
    judged = RuleEvaluator(GATE).decide(build_facts(RuleEvaluator(GATE)))
    limited = replace(judged, verdict=Verdict.BLOCK, reason_code="hard_limit_suppressed", vetoes=())
    lines = explain_decision(limited, GATE)
    assert "what would change it: nothing, while this applies: hard_limit_suppressed" in lines


def test_a_low_score_says_how_much_is_missing() -> None:
    """To be allowed; no approval reaches that low."""
    assert (
        "what would change it: a higher score (30 more points are allowed without);"
        " no approval reaches this low" in _lines(prospect__score_contactabilidad=40)
    )


def test_a_message_in_review_says_who_can_help() -> None:
    """A person, or more points; a held one with enough points needs the person."""
    assert (
        "what would change it: a person's approval (10 more points are allowed without)"
        in _lines(prospect__score_contactabilidad=60)
    )
    assert "what would change it: a person's approval" in _lines(
        prospect__permission="relationship"
    )


def test_a_deferred_message_says_what_it_waits_for() -> None:
    """All of it, and whether a person will be asked then."""
    lines = _lines(
        prospect__permission="relationship", clock__in_window=[], session__sending="none"
    )
    assert (
        "what would change it: waiting: until_window(business), until_session_can_send,"
        " then a person's approval" in lines
    )


def test_a_re_routed_message_says_where_it_goes_on() -> None:
    """There it is judged again."""
    lines = _lines(prospect__permission="public_source")
    assert lines[0].startswith("route to manual: Public listing, no consent")
    assert "what would change it: it goes on by manual, where it is judged again" in lines


def test_plugins_are_named_with_their_opinions() -> None:
    """With their wait, or as what ended it."""
    hour = Defer(DeferKind.DURATION, seconds=3_600)
    lines = _lines(
        Opinion("calm", VetoEffect.DEFER, "too much today", hour),
        Opinion("strict", VetoEffect.BLOCK, "no"),
    )
    assert "  plugin calm waits 3600s: too much today" in lines
    assert "  plugin strict blocks: no" in lines
    assert "what would change it: nothing, while this applies: plugin strict" in lines


def test_missing_facts_are_named() -> None:
    """A required one is what has to be found out."""
    lines = _lines(prospect__score_contactabilidad=None)
    assert "not known: prospect.score_contactabilidad" in lines
    assert "what would change it: finding out what is not known" in lines


def test_a_score_is_explained_too() -> None:
    """With band, bar, rules, and what is not known."""
    ruleset = load_ruleset([DEFAULTS / "score.yaml"])
    judge = RuleEvaluator(ruleset)
    result = judge.score(build_facts(judge, prospect__days_since_inbound=None))
    lines = explain_score(result, ruleset)
    assert lines[0] == "79 reachable  [################....]"
    assert lines[1].startswith("  +30  plausible_mobile: A plausible mobile number")
    assert lines[-1] == "not known: prospect.days_since_inbound"
    known = explain_score(judge.score(build_facts(judge)), ruleset)
    assert not known[-1].startswith("not known")


def test_the_bar_is_full_at_the_top_and_empty_at_the_bottom() -> None:
    """Whatever the range of the set."""
    assert render_score_bar(100, 0, 100) == f"[{'#' * 20}]"
    assert render_score_bar(-50, -50, 50) == f"[{'.' * 20}]"
