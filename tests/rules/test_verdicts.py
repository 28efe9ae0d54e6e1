"""From fired rules to a verdict: precedence, approval, opinions, required facts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules import Decision, Defer, DeferKind, Opinion, Verdict, VetoEffect
from rules.facts import REQUIRED_FACTS
from tests.helpers.rule_texts import build_facts, build_gate_evaluator, build_score_evaluator

# Each veto fires on a number of unanswered messages of its own, or on 9.
RULES = """
vetoes:
  - {id: ends, reason: it ends here, when: {history.unanswered|in: [1, 9]}}
  - {id: goes, reason: it goes by hand, when: {history.unanswered|in: [2, 8, 9]}, route: manual}
  - {id: waits, reason: it waits, when: {history.unanswered|in: [3, 7, 8, 9]}, defer: 2h}
  - {id: opens, reason: closed, when: {history.unanswered: 7}, defer: until_window(business)}
  - {id: looks, reason: look at it, when: {history.unanswered|in: [4, 7, 8, 9]}, hold: true}
"""
TWO_HOURS = Defer(DeferKind.DURATION, seconds=7_200)
BUSINESS = Defer(DeferKind.UNTIL_WINDOW, window="business")


def _decision(
    unanswered: int, *opinions: Opinion, score_: float | None = 80, **changes: object
) -> Decision:
    judge = build_gate_evaluator(RULES)
    changes = {
        "history__unanswered": unanswered,
        "prospect__score_contactabilidad": score_,
        **changes,
    }
    return judge.decide(build_facts(judge, **changes), opinions)


@pytest.mark.parametrize(
    ("unanswered", "verdict", "code"),
    [
        (0, Verdict.ALLOW, "allowed"),
        (1, Verdict.BLOCK, "ends"),
        (2, Verdict.ROUTE, "goes"),
        (3, Verdict.DEFER, "waits"),
        (4, Verdict.REVIEW, "looks"),
        (7, Verdict.DEFER, "waits"),
        (8, Verdict.ROUTE, "goes"),
        (9, Verdict.BLOCK, "ends"),
    ],
)
def test_block_then_route_then_defer_then_hold(
    unanswered: int, verdict: Verdict, code: str
) -> None:
    """The strictest effect decides, and gives the decision its code."""
    decision = _decision(unanswered)
    assert (decision.verdict, decision.reason_code) == (verdict, code)


def test_every_veto_that_fired_is_told() -> None:
    """The decision lists all of them, not just the one that decided."""
    assert [veto.id for veto in _decision(9).vetoes] == ["ends", "goes", "waits", "looks"]


def test_a_deferred_message_waits_for_all_its_reasons() -> None:
    """Each wait is listed once."""
    assert _decision(7).defers == (TWO_HOURS, BUSINESS)


def test_a_blocked_message_waits_for_nothing_and_goes_nowhere() -> None:
    """Route and waits belong to the verdicts that use them."""
    decision = _decision(9)
    assert (decision.route, decision.defers) == (None, ())
    assert _decision(2).route == "manual"


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        (100, Verdict.ALLOW),
        (70, Verdict.ALLOW),
        (69.99, Verdict.REVIEW),
        (50, Verdict.REVIEW),
        (49.99, Verdict.BLOCK),
        (0, Verdict.BLOCK),
    ],
)
def test_without_a_veto_the_band_decides(points: float, verdict: Verdict) -> None:
    """A band begins exactly at its threshold; the score is rounded down first."""
    decision = _decision(0, score_=points)
    assert (decision.verdict, decision.band) == (verdict, verdict.value)


def test_an_approval_turns_review_into_allow_and_adds_no_points() -> None:
    """A person's approval of this message lifts the review band."""
    decision = _decision(0, score_=55, message__approved=True)
    assert (decision.verdict, decision.score) == (Verdict.ALLOW, 55)
    assert decision.reason_code == "approved"


def test_an_approval_lifts_a_hold() -> None:
    """A held message that was looked at goes on."""
    assert _decision(4, message__approved=True).verdict is Verdict.ALLOW


def test_an_approval_lifts_a_plugins_hold() -> None:
    """A plugin asked for a look, and somebody looked."""
    opinion = Opinion("stranger", VetoEffect.HOLD, "odd")
    assert _decision(0, opinion).verdict is Verdict.REVIEW
    assert _decision(0, opinion, message__approved=True).verdict is Verdict.ALLOW


@pytest.mark.parametrize("unanswered", [1, 2, 3])
def test_an_approval_touches_no_veto(unanswered: int) -> None:
    """Blocked, re-routed and deferred stay what they are."""
    approved = _decision(unanswered, message__approved=True)
    assert approved.verdict is _decision(unanswered).verdict


def test_an_approval_does_not_reach_the_block_band() -> None:
    """Below review nobody can approve, held or not."""
    assert _decision(0, score_=49, message__approved=True).verdict is Verdict.BLOCK
    assert _decision(4, score_=49, message__approved=True).verdict is Verdict.BLOCK


def test_a_hold_sends_to_review_whatever_the_score() -> None:
    """A hold looks before the score does."""
    assert _decision(4, score_=100).verdict is Verdict.REVIEW
    assert _decision(4, score_=10).verdict is Verdict.REVIEW


@pytest.mark.parametrize(
    ("unanswered", "points", "expected"), [(7, 80, True), (3, 60, True), (3, 80, False)]
)
def test_a_deferred_message_that_will_need_review_says_so(
    unanswered: int, points: int, *, expected: bool
) -> None:
    """So that it shows in the queue already: a hold, or a score in the review band."""
    assert _decision(unanswered, score_=points).needs_review is expected


def test_what_was_approved_needs_no_second_review() -> None:
    """An approved message that must wait is not shown again."""
    assert not _decision(7, message__approved=True).needs_review


def test_neither_allowed_nor_blocked_messages_need_review() -> None:
    """Their fate is sealed."""
    assert not _decision(0).needs_review
    assert not _decision(9).needs_review


@pytest.mark.parametrize(
    ("opinion", "verdict"),
    [
        (Opinion("p", VetoEffect.BLOCK, "no"), Verdict.BLOCK),
        (Opinion("p", VetoEffect.DEFER, "later", TWO_HOURS), Verdict.DEFER),
        (Opinion("p", VetoEffect.HOLD, "look"), Verdict.REVIEW),
    ],
)
def test_a_plugins_opinion_is_one_more_veto(opinion: Opinion, verdict: Verdict) -> None:
    """It blocks, defers or holds what the rules allow."""
    decision = _decision(0, opinion)
    assert (decision.verdict, decision.reason_code) == (verdict, "plugin_opinion")
    assert decision.opinions == (opinion,)


def test_an_opinion_cannot_soften_a_veto() -> None:
    """What the rules block stays blocked."""
    assert _decision(1, Opinion("p", VetoEffect.HOLD, "look")).reason_code == "ends"


def test_a_plugins_wait_is_added_to_the_rules_waits() -> None:
    """All of them must end."""
    other = Defer(DeferKind.DURATION, seconds=5)
    assert _decision(3, Opinion("p", VetoEffect.DEFER, "later", other)).defers == (TWO_HOURS, other)


def test_an_opinion_never_routes() -> None:
    """Where a message goes is not a plugin's to say."""
    with pytest.raises(ValueError, match="never routes"):
        Opinion("p", VetoEffect.ROUTE, "there")


def test_only_a_deferring_opinion_says_until_when() -> None:
    """A wait without an end, or an end without a wait, is a mistake of the plugin."""
    with pytest.raises(ValueError, match="until when"):
        Opinion("p", VetoEffect.DEFER, "later")
    with pytest.raises(ValueError, match="until when"):
        Opinion("p", VetoEffect.BLOCK, "no", TWO_HOURS)


@pytest.mark.parametrize("name", [fact.name for fact in REQUIRED_FACTS])
def test_a_required_fact_that_is_missing_blocks(name: str) -> None:
    """Even an approved message, whatever the rules say of missing facts."""
    judge = build_gate_evaluator("")
    given = {**build_facts(judge, message__approved=True), name: None}
    decision = judge.decide(given)
    assert (decision.verdict, decision.reason_code) == (Verdict.BLOCK, "required_fact_missing")
    assert name in decision.missing
    assert name in decision.sentence


GATE_WITH_SUPPRESSION = """
vetoes:
  - {id: opted_out, reason: they opted out, when: {prospect.suppressed: true}}
  - {id: unchecked, reason: not checked, when: {prospect.on_whatsapp: unknown}, defer: 2h}
"""
STRANGER = {"prospect.score_contactabilidad": None, "prospect.on_whatsapp": None}


def test_a_veto_that_fired_is_named_before_a_missing_fact() -> None:
    """Who opted out is blocked for that, although nothing else is known of them."""
    judge = build_gate_evaluator(GATE_WITH_SUPPRESSION)
    facts = {**build_facts(judge, prospect__suppressed=True), **STRANGER}
    decision = judge.decide(facts)
    assert (decision.verdict, decision.reason_code) == (Verdict.BLOCK, "opted_out")
    assert decision.sentence == "they opted out"


def test_an_opinion_that_blocks_is_named_before_a_missing_fact() -> None:
    """A plugin knows why it says no."""
    judge = build_gate_evaluator(GATE_WITH_SUPPRESSION)
    no = Opinion("p", VetoEffect.BLOCK, "on our own list")
    decision = judge.decide({**build_facts(judge), **STRANGER}, [no])
    assert (decision.reason_code, decision.sentence) == ("plugin_opinion", "on our own list")


def test_a_veto_that_fired_over_the_missing_fact_is_not_the_cause() -> None:
    """Whether they opted out is not known: the sentence does not claim that they did."""
    judge = build_gate_evaluator(GATE_WITH_SUPPRESSION)
    decision = judge.decide(build_facts(judge, prospect__suppressed=None))
    assert [veto.id for veto in decision.vetoes] == ["opted_out"]
    assert (decision.verdict, decision.reason_code) == (Verdict.BLOCK, "required_fact_missing")


def test_a_wait_does_not_stand_in_for_a_missing_fact() -> None:
    """What blocks is not told as what defers."""
    judge = build_gate_evaluator(GATE_WITH_SUPPRESSION)
    no_score = {"prospect__score_contactabilidad": None, "prospect__on_whatsapp": "unknown"}
    decision = judge.decide(build_facts(judge, **no_score))
    assert (decision.verdict, decision.reason_code) == (Verdict.BLOCK, "required_fact_missing")


def test_without_its_base_there_is_no_score() -> None:
    """The score is not guessed."""
    decision = _decision(0, score_=None)
    assert (decision.score, decision.raw, decision.band) == (None, None, None)


def test_missing_facts_that_rules_read_are_listed() -> None:
    """And only those."""
    decision = _decision(None, history__sent_24h=None)  # type: ignore[arg-type]
    assert decision.missing == ("history.unanswered",)


def test_facts_the_vocabulary_does_not_know_are_not_read() -> None:
    """A stored snapshot of another version can still be judged."""
    judge = build_gate_evaluator("")
    assert judge.decide({**build_facts(judge), "prospect.shoe_size": 43}).verdict is Verdict.ALLOW


def test_a_decision_is_plain_json() -> None:
    """With everything that is stored: hash, engine, route, places, waits, opinions."""
    decision = _decision(7, Opinion("p", VetoEffect.DEFER, "later", TWO_HOURS))
    plain: dict[str, Any] = json.loads(json.dumps(decision.to_dict()))
    assert plain["verdict"] == "defer"
    assert plain["defers"][1] == {
        "kind": "until_window",
        "window": "business",
        "seconds": None,
        "fact": None,
        "days": None,
    }
    assert plain["vetoes"][0]["at"].endswith(":13")
    assert plain["opinions"][0]["defer"]["seconds"] == 7_200
    assert len(plain["ruleset"]) == 64
    assert plain["engine"] == build_gate_evaluator("").engine


def test_the_same_facts_give_the_same_decision() -> None:
    """Whatever was decided in between."""
    judge = build_gate_evaluator(RULES)
    first = judge.decide(build_facts(judge, history__unanswered=7))
    judge.decide(build_facts(judge, history__unanswered=9))
    assert judge.decide(build_facts(judge, history__unanswered=7)) == first


def test_a_gate_does_not_score_and_a_score_set_does_not_decide() -> None:
    """Asking the wrong set is a mistake of the caller, told at once."""
    with pytest.raises(ValueError, match="score@1"):
        build_gate_evaluator("").score({})
    with pytest.raises(ValueError, match="gate@1"):
        build_score_evaluator("").decide({})
