"""Each operator, in both engines: a judge raises when they disagree."""

from __future__ import annotations

import pytest

from rules import RuleEvaluator
from tests.helpers.rule_texts import build_facts, build_gate_evaluator

_VETO = "vetoes: [{{id: it, reason: it fired, when: {when}}}]"


def _fires(when: str, **changes: object) -> bool:
    judge = build_gate_evaluator(
        f"lists: {{bad: [casino, 'gana\\s{{1,3}}dinero']}}\n{_VETO.format(when=when)}"
    )
    vetoes = judge.decide(build_facts(judge, **changes)).vetoes
    judge.close()
    return bool(vetoes)


@pytest.mark.parametrize(
    ("operator", "below", "same", "above"),
    [
        ("history.unanswered: 2", False, True, False),
        ("history.unanswered|eq: 2", False, True, False),
        ("history.unanswered|ne: 2", True, False, True),
        ("history.unanswered|gt: 2", False, False, True),
        ("history.unanswered|gte: 2", False, True, True),
        ("history.unanswered|lt: 2", True, False, False),
        ("history.unanswered|lte: 2", True, True, False),
        ("history.unanswered|in: [2, 9]", False, True, False),
        ("history.unanswered|not_in: [2, 9]", True, False, True),
        ("history.unanswered|between: [2, 2]", False, True, False),
    ],
)
def test_numbers_compare(operator: str, *, below: bool, same: bool, above: bool) -> None:
    """A number below, at, and above two."""
    found = [_fires(f"{{{operator}}}", history__unanswered=n) for n in (1, 2, 3)]
    assert found == [below, same, above]
    negated = [_fires(f"{{not: {{{operator}}}}}", history__unanswered=n) for n in (1, 2, 3)]
    assert negated == [not below, not same, not above]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("message.kind: reply", True),
        ("message.kind: commercial", False),
        ("message.kind|ne: reply", False),
        ("message.kind|in: [commercial, reply]", True),
        ("message.kind|not_in: [commercial, reply]", False),
        ("message.kind|not_in: [commercial]", True),
    ],
)
def test_words_compare(operator: str, *, expected: bool) -> None:
    """An enum that is `reply`."""
    assert _fires(f"{{{operator}}}", message__kind="reply") is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("prospect.suppressed: true", True),
        ("prospect.suppressed: false", False),
        ("prospect.suppressed|ne: false", True),
    ],
)
def test_flags_compare(operator: str, *, expected: bool) -> None:
    """A flag that is true."""
    assert _fires(f"{{{operator}}}", prospect__suppressed=True) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("message.text|contains: CASINO", True),
        ("message.text|contains: casinos", False),
        ("message.text|contains: [perro, casino]", True),
        ("message.text|contains: 'casino.'", False),
        ("message.text|matches: '\\bcas[aeiou]no\\b'", True),
        ("message.text|matches: '^casino'", False),
        ("message.text|matches: {list: bad}", True),
        ("prospect.cartera_origen: feria_2026", True),
        ("prospect.cartera_origen|in: [feria, otra]", False),
        ("prospect.cartera_origen|ne: otra", True),
    ],
)
def test_texts_compare(operator: str, *, expected: bool) -> None:
    """A text is found whatever its case; `eq` wants it exactly."""
    assert _fires(f"{{{operator}}}", message__text="Ven al Casino, hoy") is expected


@pytest.mark.parametrize(
    ("operator", "now", "expected"),
    [
        ("clock.in_window|in: [business]", ["business", "other"], True),
        ("clock.in_window|in: [business]", ["other"], False),
        ("clock.in_window|not_in: [business]", [], True),
        ("clock.in_window|not_in: [business]", ["business"], False),
        ("clock.in_window: business", ["other", "business"], True),
        ("clock.in_window|ne: business", ["other", "business"], False),
    ],
)
def test_open_windows_compare(operator: str, now: list[str], *, expected: bool) -> None:
    """`in` asks whether one of the windows is open, `eq` whether this one is."""
    assert _fires(f"{{{operator}}}", clock__in_window=now) is expected


def test_missing_asks_whether_a_fact_is_known() -> None:
    """`missing` is two-valued: true when nothing usable was given."""
    asked = "{prospect.validado_tecnicamente|missing: true}"
    assert _fires(asked, prospect__validado_tecnicamente=None)
    assert _fires(asked, prospect__validado_tecnicamente="yes")
    assert not _fires(asked, prospect__validado_tecnicamente=False)
    assert _fires(
        "{prospect.validado_tecnicamente|missing: false}", prospect__validado_tecnicamente=True
    )


UNKNOWN, YES, NO = None, True, False


@pytest.mark.parametrize(
    ("when", "unknown_is"),
    [
        ("{message.duplicate: true}", UNKNOWN),
        ("{not: {message.duplicate: true}}", UNKNOWN),
        ("{message.duplicate: true, message.kind: commercial}", UNKNOWN),
        ("{message.duplicate: true, message.kind: reply}", NO),
        ("{any: [{message.duplicate: true}, {message.kind: commercial}]}", YES),
        ("{any: [{message.duplicate: true}, {message.kind: reply}]}", UNKNOWN),
        ("{not: {any: [{message.duplicate: true}, {message.kind: commercial}]}}", NO),
        ("{all: [{message.duplicate: true}, {not: {message.duplicate: true}}]}", UNKNOWN),
        ("{history.unanswered|gt: 0}", UNKNOWN),
        ("{history.unanswered|between: [0, 9]}", UNKNOWN),
        ("{not: {history.unanswered|lte: 5}}", UNKNOWN),
        ("{message.template|in: [a, b]}", UNKNOWN),
        ("{not: {message.template|contains: a}}", UNKNOWN),
    ],
)
def test_unknown_is_a_third_value(when: str, *, unknown_is: bool | None) -> None:
    """Kleene's logic at each node: what fires tells true, unknown and false apart."""
    rules = (
        f"vetoes: [{{id: skips, reason: r, when: {when}, if_missing: skip}},"
        f" {{id: fires, reason: r, when: {when}}}]"
    )
    judge: RuleEvaluator = build_gate_evaluator(rules)
    given = build_facts(judge, message__duplicate=None, history__unanswered=None)
    fired = {veto.id for veto in judge.decide(given).vetoes}
    expected = {UNKNOWN: {"fires"}, YES: {"skips", "fires"}, NO: set[str]()}
    assert fired == expected[unknown_is]
