"""What changed between two sets, in words, and what of it a person must accept."""

from __future__ import annotations

import pytest

from rules import DEFAULTS, Ruleset
from rules.diff import compare_rulesets
from rules.files import RuleFile, list_rule_files, read_rule_files
from rules.loader import load_rulesets
from rules.ruleset import RuleFormat

SHIPPED = read_rule_files(list_rule_files(DEFAULTS))
FORMAT = "format: leadmaster/gate@1\n"


def _with(text: str) -> Ruleset:
    own = [RuleFile("rules.d/gate.yaml", FORMAT + text, own=True)] if text else []
    return load_rulesets([*SHIPPED, *own])[RuleFormat.GATE]


def _changes(text: str, before: str = "") -> list[tuple[str, bool]]:
    return [
        (str(each), each.needs_acceptance) for each in compare_rulesets(_with(before), _with(text))
    ]


def test_the_same_rules_differ_in_nothing() -> None:
    """Whatever stands in comments and examples."""
    assert _changes("tests: [{name: not answered, expect: {verdict: review}}]\n") == []


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (
            "scores: [{id: unanswered, points: -20}]\n",
            "scores unanswered: points: -15 → -20 (rules.d/gate.yaml:2)",
        ),
        (
            "groups: {fatigue: {cap: 30}}\n",
            "groups fatigue: cap: 25 → 30 (rules.d/gate.yaml:2)",
        ),
        (
            "vetoes: [{id: links, reason: r, when: {message.links|gte: 1}}]\n",
            "vetoes links: is new (rules.d/gate.yaml:2)",
        ),
    ],
)
def test_points_and_new_vetoes_need_nobody(text: str, change: str) -> None:
    """They are tuned freely, or only make the gate stricter."""
    assert _changes(text) == [(change, False)]


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("score: {base: 60}\n", "score base: prospect.score_contactabilidad → 60"),
        (
            "thresholds: [{verdict: allow, from: 60}]\n",
            "thresholds allow: from: 70 → 60 (rules.d/gate.yaml:2)",
        ),
        (
            'windows: {business: {from: "08:00", days: mon-sat}}\n',
            (
                "windows business: days: [mon, tue, wed, thu, fri] → "
                "[mon, tue, wed, thu, fri, sat]; from: 09:30 → 08:00 (rules.d/gate.yaml:2)"
            ),
        ),
        (
            "vetoes: [{id: duplicate, when: {message.links|gte: 2}}]\n",
            (
                "vetoes duplicate: when: {message.duplicate: true} → {message.links|gte: 2} "
                "(rules.d/gate.yaml:2)"
            ),
        ),
        (
            "vetoes: [{id: duplicate, if_missing: skip}]\n",
            "vetoes duplicate: if_missing: fire → skip (rules.d/gate.yaml:2)",
        ),
        (
            "vetoes: [{id: duplicate, hold: true}]\n",
            "vetoes duplicate: effect: block → hold (rules.d/gate.yaml:2)",
        ),
        ("lists: {bad: [casino]}\n", "lists bad: is new (rules.d/gate.yaml:2)"),
    ],
)
def test_what_decides_whom_we_write_to_waits_for_a_person(text: str, change: str) -> None:
    """Also where it makes the gate stricter: a person looks, once."""
    assert _changes(text) == [(change, True)]


def test_a_veto_that_is_gone_waits() -> None:
    """The gate would let through what it stopped."""
    added = "vetoes: [{id: links, reason: r, when: {message.links|gte: 1}}]\n"
    assert _changes("", before=added) == [("vetoes links: is gone", True)]


def test_the_order_of_vetoes_is_a_change() -> None:
    """The first of two that re-route says where to."""
    one = "{id: a1, reason: r, when: {message.links: 1}}"
    two = "{id: b1, reason: r, when: {message.links: 2}}"
    found = _changes(f"vetoes: [{two}, {one}]\n", before=f"vetoes: [{one}, {two}]\n")
    assert [weighty for _, weighty in found] == [True]
    assert found[0][0].startswith("vetoes order: ")


@pytest.mark.parametrize(
    "when",
    [
        "{any: [{message.links: 1}, {not: {prospect.suppressed: true}}]}",
        "{all: [{any: [{message.links: 1}]}, {prospect.intent|missing: true}]}",
        "{prospect.permission|in: [none, refused], message.similarity|between: [0.5, 1]}",
        "{message.text|matches: [casino]}",
    ],
)
def test_a_condition_is_shown_as_a_file_writes_it(when: str) -> None:
    """All combinators, ranges, sets, flags and patterns."""
    ((sentence, _),) = _changes(f"vetoes: [{{id: duplicate, when: {when}}}]\n")
    assert f"→ {when} (" in sentence


def test_a_ramp_is_shown_as_a_file_writes_it() -> None:
    """With both of its ends."""
    ramp = "{ramp: prospect.validation_age_days, from: [30, 0], to: [60, -20]}"
    ((sentence, weighty),) = _changes(f"scores: [{{id: stale, points: {ramp}}}]\n")
    assert (sentence.endswith(f"→ {ramp} (rules.d/gate.yaml:2)"), weighty) == (True, False)


def test_a_group_may_come_and_go() -> None:
    """Its rules are written as a list."""
    found = _changes("groups: {fatigue: {rules: [mass_text]}}\n")
    assert found[0][0].startswith("groups fatigue: rules: [unanswered, mass_text] → [mass_text]")
    assert _changes("groups: {fatigue: null}\n") == [("groups fatigue: is gone", False)]
