"""Bars, funnels, dots and moments: numbers that become pictures and words."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

import rules
from daemon.http.console import time_format, verdict_view
from daemon.http.console.language import load_language
from daemon.http.console.sessions import NewChatBudget
from daemon.http.console.today import CHART_HEIGHT, build_funnel_chart
from rules.verdict import Verdict
from storage.console_queries import MessageFunnel
from tests.helpers.clock import MIDDAY

GATE = rules.load_ruleset([rules.DEFAULTS / "gate.yaml"])
ENGLISH, SPANISH = load_language("en"), load_language("es")
BUENOS_AIRES = ZoneInfo("America/Argentina/Buenos_Aires")
COUNTS = some.integers(0, 10_000)
POINTS = some.floats(-60, 60, allow_nan=False)


def document(word: str = "allow", **more: object) -> dict[str, object]:
    """Return a decision as it is stored."""
    plain: dict[str, object] = {
        "verdict": word,
        "reason_code": "",
        "sentence": "",
        "route": None,
        "defers": [],
        "needs_review": False,
        "score": 60,
        "base": 80,
        "band": "review",
        "vetoes": [],
        "contributions": [],
        "missing": [],
        "opinions": [],
        "ruleset": GATE.hash,
    }
    return plain | more


def contribution(points: float) -> dict[str, object]:
    """Return points of one rule as they are stored."""
    return {"id": "stale", "points": points, "reason": "old", "at": "/etc/rules/gate.yaml:12"}


@given(some.lists(POINTS, max_size=12))
def test_bars_stay_on_the_scale_and_join(points: list[float]) -> None:
    """Each bar begins or ends where the one before ended, and none leaves the picture."""
    shown = verdict_view.build_verdict_view(
        document(contributions=[*map(contribution, points)]), GATE
    )
    for bar in shown.bars:
        assert bar.start >= 0
        assert bar.width >= 0
        assert bar.start + bar.width <= 100.01
    for bar, following in zip(shown.bars, shown.bars[1:], strict=False):
        ends = {round(bar.start, 1), round(bar.start + bar.width, 1)}
        begins = {round(following.start, 1), round(following.start + following.width, 1)}
        assert any(abs(end - begin) < 0.2 for end in ends for begin in begins)


def test_a_verdict_begins_with_what_made_the_score() -> None:
    """The stored score is told point by point while it is still the same, else as one sum."""
    reach = {"score": 80, "contributions": [contribution(30), contribution(50), contribution(0)]}
    assert [
        bar.points for bar in verdict_view.build_verdict_view(document(), GATE, reach).bars
    ] == [
        30,
        50,
    ]
    changed = reach | {"score": 70}
    assert [
        bar.points for bar in verdict_view.build_verdict_view(document(), GATE, changed).bars
    ] == [80]


def test_thresholds_are_those_of_the_rules_that_judged() -> None:
    """Under rules that changed since, no threshold is marked: it would be another one."""
    shown = verdict_view.build_verdict_view(document(), GATE)
    assert [(each.name, each.points) for each in shown.thresholds] == [
        ("allow", 70),
        ("review", 50),
        ("block", 0),
    ]
    assert verdict_view.build_verdict_view(document(ruleset="other"), GATE).thresholds == ()


def test_a_rule_is_found_by_its_file_and_line() -> None:
    """A person looks for `gate.yaml:12` in an editor, not for a path of the machine."""
    veto = {"id": "closed", "effect": "defer", "reason": "night", "at": "/etc/rules/gate.yaml:61"}
    (stop,) = verdict_view.build_verdict_view(document("defer", vetoes=[veto]), GATE).objections
    assert (stop.rule, stop.place) == ("closed", "gate.yaml:61")


@pytest.mark.parametrize("word", Verdict)
def test_every_verdict_says_what_would_change_it(word: Verdict) -> None:
    """In words of both languages; an allowed message needs nothing."""
    defers = [{"kind": "until_window", "window": "business", "seconds": None, "days": None}]
    shown = verdict_view.build_verdict_view(document(word, defers=defers, route="manual"), GATE)
    assert bool(shown.changes) is (word is not Verdict.ALLOW)
    for change in shown.changes:
        assert ENGLISH(f"change.{change.key}", **change.values)
        assert SPANISH(f"change.{change.key}", **change.values)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"fault": {}}, "fault"),
        ({"reason_code": "required_fact_missing", "missing": ["prospect.permission"]}, "find_out"),
        ({"reason_code": "plugin_opinion"}, "nothing"),
        ({"reason_code": "hard_limit_suppressed"}, "nothing"),
        ({"reason_code": "score_too_low"}, "points"),
    ],
)
def test_a_block_says_what_could_lift_it(more: dict[str, object], key: str) -> None:
    """A fault, a missing fact, a veto and a low score are lifted by different things."""
    shown = verdict_view.build_verdict_view(document("block", **more), GATE)
    assert [change.key for change in shown.changes] == [key]


@given(some.builds(MessageFunnel, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_a_funnel_fits_its_box(found: MessageFunnel) -> None:
    """Whatever the counts are, the shape stays inside and no share is divided by nothing."""
    shown = build_funnel_chart(found)
    numbers = [
        float(each)
        for each in shown.outline.replace("M", " ").split()
        if each[-1].isdigit() and each[0].isdigit()
    ]
    assert all(0 <= number <= max(shown.width, CHART_HEIGHT) for number in numbers)
    assert shown.steps[0].count == found.asked


@pytest.mark.parametrize(
    ("left", "total", "dots"),
    [(3, 5, [True, True, True, False, False]), (0, 0, None), (7, 40, None)],
)
def test_a_small_budget_is_dots(left: int, total: int, dots: list[bool] | None) -> None:
    """Up to ten are counted at a glance; more, and none at all, are a figure."""
    assert NewChatBudget("ventas", left, total).dots == dots


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-44, "just now"),
        (-60, "1 min ago"),
        (-3599, "59 min ago"),
        (-7200, "2 h ago"),
        (-86_400, "1 day ago"),
        (300, "in 5 min"),
        (172_800, "in 2 days"),
    ],
)
def test_moments_are_told_by_their_distance(seconds: int, said: str) -> None:
    """One unit, rounded down, in both directions."""
    assert time_format.format_relative(MIDDAY + timedelta(seconds=seconds), MIDDAY, ENGLISH) == said


def test_the_exact_moment_is_beside_it() -> None:
    """In the house's own time, with its place; a day is named where it is another one."""
    element = str(time_format.render_time_element(MIDDAY, MIDDAY, BUENOS_AIRES, SPANISH))
    assert 'title="2026-03-03 12:00:00 Buenos Aires"' in element
    for days, words, shown in (
        (0, SPANISH, "12:00"),
        (1, SPANISH, "03/03 12:00"),
        (1, ENGLISH, "03 Mar 12:00"),
        (400, SPANISH, "03/03/2026 12:00"),
    ):
        now = MIDDAY + timedelta(days=days)
        assert time_format.format_time_of_day(MIDDAY, now, BUENOS_AIRES, words) == shown
