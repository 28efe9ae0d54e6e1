"""Rule files that are wrong: every problem, with its line and column, in a sentence."""

from __future__ import annotations

import pytest

from rules import (
    DEFAULTS,
    RuleFile,
    RuleFormat,
    RulesInvalid,
    load_ruleset,
    load_rulesets,
    read_rule_files,
)
from rules.check import find_unknown_routes
from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, list_problems, load_rules

HEAD_LINES = GATE_HEAD.count("\n")


def _veto(text: str) -> list[str]:
    """Problems of a gate with one veto; its line counts as 1."""
    found = list_problems(f"{GATE_HEAD}vetoes: [{{id: it, reason: r, {text}}}]\n")
    return [problem.replace(f"{HEAD_LINES + 1}:", "1:", 1) for problem in found]


def _score(text: str) -> list[str]:
    found = list_problems(f"{SCORE_HEAD}scores: [{{id: it, reason: r, {text}}}]\n")
    return [problem.replace("4:", "1:", 1) for problem in found]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """Nobody mends one mistake to be shown the next."""
    text = (
        "format: leadmaster/gate@1\n"
        "score: {base: prospect.score_contactabilidd, min: 0, max: 100}\n"
        "thresholds: [{verdict: alow, from: 10}]\n"
        "vetos: []\n"
        "vetoes:\n"
        "  - id: a\n"
        "    reason: r\n"
        "    when: {prospect.suppresed: true}\n"
        "    when: {prospect.suppressed: true}\n"
    )
    base = "prospect.score_contactabilidad"
    assert list_problems(text) == [
        f"2:15: `base` is points, or a required number such as {base} (did you mean {base}?)",
        "3:14: The last of `thresholds` must start at min, 0",
        "3:24: `verdict` is one of allow, review, block, not `alow` (did you mean allow?)",
        "4:1: `vetos` is not part of a `leadmaster/gate@1` file (did you mean vetoes?)",
        "8:12: There is no fact `prospect.suppresed` (did you mean prospect.suppressed?)",
        "9:5: `when` is here a second time (first on line 8)",
    ]


def test_an_invalid_set_says_file_line_and_column() -> None:
    """The exception reads like a compiler's message."""
    with pytest.raises(RulesInvalid, match=r"1\.yaml:1:9: `format` is one of"):
        load_rules("format: leadmaster/gate@2\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("when: {prospect.zzz: 1}", "1:37: There is no fact `prospect.zzz`"),
        ("when: {}", "1:36: A condition is a mapping such as {prospect.suppressed: true}"),
        ("when: 5", "1:36: A condition is a mapping such as {prospect.suppressed: true}"),
        ("hold: true", "1:10: A rule needs a condition under `when`"),
        ("when: {all: []}", "1:37: `all` takes a list of conditions"),
        ("when: {any: {a: 1}}", "1:37: `any` takes a list of conditions"),
        ("when: {not: [1]}", "1:42: A condition is a mapping such as {prospect.suppressed: true}"),
        ("when: {any: [{message.links: x}]}", "1:59: message.links is a number of links from 0"),
        (
            "when: {message.links|matches: x}",
            "1:37: `matches` is no operator for message.links, a number: it takes eq, ne, in",
        ),
        ("when: {message.links|gtt: 1}", "`gtt` is no operator for message.links, a number (did"),
        ("when: {message.links|: 1}", "`` is no operator for message.links"),
        ("when: {message.links: true}", "1:52: message.links is a number of links from 0 to 1000"),
        ("when: {message.links: 1001}", "1:52: message.links is a number of links from 0 to 1000"),
        ("when: {message.links: [1]}", "1:52: message.links is a number"),
        ("when: {message.duplicate: 1}", "1:56: message.duplicate is true or false"),
        ("when: {message.duplicate: yes}", "1:56: message.duplicate is true or false"),
        ("when: {prospect.country: 5}", "prospect.country is a text of at most 200 characters"),
        (
            "when: {prospect.on_whatsapp: true}",
            "1:59: `true` is no value of prospect.on_whatsapp: it knows yes, no, unknown",
        ),
        (
            "when: {message.kind: comercial}",
            "`comercial` is no value of message.kind (did you mean commercial?)",
        ),
        (
            "when: {clock.in_window: bussiness}",
            "`bussiness` is no value of clock.in_window (did you mean business?)",
        ),
        ("when: {message.kind|in: reply}", "`in` takes a list of values, or {list: NAME}"),
        ("when: {message.kind|in: []}", "`in` takes a list of values, or {list: NAME}"),
        ("when: {message.kind|in: {list: x}}", "There is no list `x` under `lists:`"),
        ("when: {message.kind|in: {list: [x]}}", "There is no list `…` under `lists:`"),
        ("when: {message.kind|in: [reply, x]}", "1:62: `x` is no value of message.kind"),
        ("when: {message.links|between: [3, 1]}", "`between` takes [lowest, highest]"),
        ("when: {message.links|between: 3}", "`between` takes [lowest, highest]"),
        ("when: {message.links|missing: 3}", "1:60: `missing` takes true or false"),
        ("when: {message.text|matches: '('}", "`(` is not a regular expression: missing )"),
        ("when: {message.text|matches: '(a+)+'}", "`(a+)+` could search for ever: write {0,20}"),
        ("when: {message.text|contains: 5}", "`contains` takes text, or a list of texts"),
        ("when: {message.text|matches: [a, '']}", "`matches` takes text, or a list of texts"),
        ("when: {message.duplicate: true}, defer: soon", "`defer` is until_window(NAME)"),
        ("when: {message.duplicate: true}, defer: until_window(bisness)", "no window `bisness`"),
        ("when: {message.duplicate: true}, defer: until_business_days(0)", "(1 to 99)"),
        ("when: {message.duplicate: true}, defer: until_business_days(5.5)", "(1 to 99)"),
        ("when: {message.duplicate: true}, defer: 5", "`defer` must be a text"),
        ("when: {message.duplicate: true}, hold: yes", "`hold` is true or false"),
        ("when: {message.duplicate: true}, route: ''", "`route` must be a text"),
        (
            "when: {message.duplicate: true}, hold: true, defer: 1h",
            "A veto has one effect: `defer` or `hold`",
        ),
        ("when: {message.duplicate: true}, points: 3", "1:63: `points` has no meaning here"),
        (
            "when: {message.duplicate: true}, if_missing: ignore",
            "`if_missing` is one of fire, skip, not `ignore`",
        ),
        (
            "when: {message.kind: reply}, if_missing: skip",
            "`if_missing` has no say over message.kind: a required fact that is missing blocks",
        ),
        (
            "when: {session.sending: none}",
            "session.sending is about the session: it can only make a message wait (`defer`)",
        ),
        ("when: {session.sending: none}, hold: true", "it can only make a message wait"),
    ],
)
def test_a_veto_with_a_mistake_is_refused(text: str, expected: str) -> None:
    """Each with one sentence that says what to write instead."""
    found = _veto(text)
    assert len(found) == 1
    assert expected in found[0]


MIXED = "{ramp: prospect.bounces, from: [0, -1], to: [1, 2]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("points: 5", "A rule needs a condition under `when`"),
        ("points: 5.5, when: {prospect.bounces: 1}", "`points` must be a whole number from -1000"),
        ("points: true, when: {prospect.bounces: 1}", "`points` must be a whole number"),
        ("when: {prospect.bounces: 1}", "`points` must be a whole number"),
        ("points: 5, when: {message.links: 1}", "A score reads prospect facts alone"),
        ("points: {from: [0, 1], to: [1, 2]}", "`ramp` must be a text"),
        ("points: {ramp: prospect.ages, from: [0, 1], to: [1, 2]}", "There is no fact"),
        ("points: {ramp: prospect.intent, from: [0, 1], to: [1, 2]}", "prospect.intent is none"),
        ("points: {ramp: prospect.bounces, from: [2, 1], to: [1, 2]}", "from a lower value"),
        ("points: {ramp: prospect.bounces, to: [1, 2]}", "`from` is [value, points]"),
        ("points: {ramp: prospect.bounces, from: [0], to: [1, 2]}", "`from` is [value, points]"),
        ("points: {ramp: prospect.bounces, from: [0, 1.5], to: [1, 2]}", "`from` is [value, po"),
        ("points: {ramp: prospect.bounces, from: [0, x], to: [1, 2]}", "`from` is [value, point"),
        ("points: {ramp: prospect.bounces, from: [0, 1], to: [1, 2000]}", "whole points up to"),
        ("points: {ramp: prospect.bounces, from: [0, 1], to: [1, 2]}, if_missing: fire", "always"),
        (
            f"when: {{prospect.bounces: 1}}, points: {MIXED}",
            "A ramp beside a `when` gives points or takes them, not both",
        ),
    ],
)
def test_a_score_rule_with_a_mistake_is_refused(text: str, expected: str) -> None:
    """Points are whole, ramps rise along a number, and a score set reads prospects alone."""
    found = _score(text)
    assert len(found) == 1
    assert expected in found[0]


def test_a_gates_scores_do_not_read_the_session() -> None:
    """Facts about the session only ever make a message wait."""
    rule = "{id: a, reason: r, points: -5, when: {session.new_chats_24h|gt: 3}}"
    (problem,) = list_problems(f"{GATE_HEAD}scores: [{rule}]")
    assert "session.new_chats_24h is about the session" in problem


def _any_of(count: int) -> str:
    options = ", ".join(f"{{message.links: {n}}}" for n in range(count))
    return f"{{any: [{options}]}}"


def test_a_condition_has_at_most_64_alternatives() -> None:
    """More of them could hang the engine."""
    load_rules(f"{GATE_HEAD}vetoes: [{{id: it, reason: r, when: {_any_of(64)}}}]")
    (problem,) = _veto(f"when: {_any_of(65)}")
    assert "more than 64 alternatives" in problem


def test_alternatives_multiply() -> None:
    """Nine choices beside eight are 72."""
    (problem,) = _veto(f"when: {{all: [{_any_of(9)}, {{not: {{all: [{_negated(8)}]}}}}]}}")
    assert "more than 64 alternatives" in problem


def _negated(count: int) -> str:
    return ", ".join(f"{{history.sent_7d: {n}}}" for n in range(count))


def test_one_alternative_has_at_most_20_comparisons() -> None:
    """So that each fits into a shard of the engine."""
    parts = ", ".join(f"{{message.links|ne: {n}}}" for n in range(21))
    (problem,) = _veto(f"when: {{all: [{parts}]}}")
    assert "more than 20 comparisons" in problem


def test_no_file_is_no_rule_set() -> None:
    """Nothing is not a gate that lets everything pass."""
    with pytest.raises(RulesInvalid, match="No rule file was named"):
        load_ruleset([])


def test_files_of_one_format_become_one_set() -> None:
    """A second file adds rules, windows, lists and examples."""
    more = (
        "format: leadmaster/gate@1\n"
        "vetoes: [{id: b, reason: r, when: {message.duplicate: true}}]\n"
        'windows: {evening: {days: [sat, sun], from: "18:00", to: "24:00"}}\n'
        "lists: {bad: [casino]}\n"
    )
    first = GATE_HEAD + "vetoes: [{id: a, reason: r, when: {message.text|contains: {list: bad}}}]"
    ruleset = load_rules(first, more)
    assert [veto.id for veto in ruleset.vetoes] == ["a", "b"]
    assert set(ruleset.windows) == {"business", "evening"}
    assert [file[-6:] for file in ruleset.files] == ["1.yaml", "2.yaml"]


def test_files_do_not_say_the_same_thing_twice() -> None:
    """Score and thresholds stand once, and so does each window's name."""
    windows = 'windows: {business: {days: mon, from: "09:00", to: "10:00"}}\n'
    second = f"format: leadmaster/gate@1\nscore: {{base: 5, min: 0, max: 9}}\n{windows}"
    found = list_problems(GATE_HEAD, second)
    assert [problem.split(" is already at")[0] for problem in found] == [
        "2.yaml:2:1: `score`",
        "2.yaml:3:11: `business`",
    ]


def test_files_of_two_formats_are_no_set() -> None:
    """A gate and a score set are loaded apart."""
    assert list_problems(GATE_HEAD, SCORE_HEAD) == [
        "2.yaml:1:9: The other files are `leadmaster/gate@1`"
    ]


def test_a_file_without_a_format_is_refused() -> None:
    """The first line says what the file is."""
    assert list_problems("score: 5\n") == [
        "1:1: `format` is one of leadmaster/gate@1, leadmaster/score@1, not `None`"
    ]


ROUTED = """\
format: leadmaster/gate@1
vetoes: [{id: x, reason: r, when: {message.links: 9}, route: clod}]
"""


def test_a_route_leads_to_a_channel_that_is_installed() -> None:
    """Where it is known what is; nobody is sent where nothing takes a message."""
    files = [*read_rule_files([DEFAULTS / "gate.yaml"]), RuleFile("gate.yaml", ROUTED, own=True)]
    with pytest.raises(RulesInvalid) as told:
        load_rulesets(files, ("manual", "cloud"))
    assert str(told.value) == (
        "gate.yaml:2:62: No channel `clod` is installed, but cloud, manual (did you mean cloud?)"
    )
    ruleset = load_rulesets(files)[RuleFormat.GATE]
    (unknown,) = find_unknown_routes(ruleset)
    assert str(unknown).startswith("gate.yaml:2:10: Whether `clod` is installed is not known")
