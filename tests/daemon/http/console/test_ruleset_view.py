"""The rules as documents: everything in force, where it stands, and how often it spoke."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from markupsafe import escape

import rules
from daemon.http.console import ruleset_view
from rules.problems import NO_LOCATION, SourceLocation
from rules.ruleset import ScoreRule, Veto
from storage import console_queries
from tests.helpers.client.console import ANA_ROW, ConsoleServer, get_page, hold_messages
from tests.helpers.client.http import DAYTIME

OWN = """\
format: leadmaster/gate@1
score: {base: 100, min: 0, max: 100}
thresholds:
  - {verdict: allow, from: 1}
  - {verdict: block, from: 0}
windows:
  odd: {days: [mon, wed, thu], from: "09:05", to: "18:30", holidays: true}
scores:
  - id: linked
    points: -5
    when: {message.links|gte: 1}
    reason: "It holds a link"
"""


async def test_every_rule_in_force_is_there(console: ConsoleServer) -> None:
    """With its reason, its place in the file, the hash of its set and its examples."""
    shown = (await get_page(console, "/rules")).document
    book = console.services.rulesets
    for judge in (book.gate, book.score):
        assert judge.ruleset.hash[:12] in shown
        found: tuple[Veto | ScoreRule, ...] = (*judge.ruleset.vetoes, *judge.ruleset.scores)
        for rule in found:
            assert rule.id in shown
            assert f"{Path(rule.place.file).name}:{rule.place.line}" in shown
        for example in judge.ruleset.examples:
            assert escape(example.name) in shown
    assert "until_window(business)" in shown
    assert "Mon–Fri" in shown


async def test_a_rule_counts_each_message_once(console: ConsoleServer) -> None:
    """However often it was judged; and what is older than the stretch does not count."""
    await hold_messages(console, ANA_ROW)
    counted = await console.services.database.read(
        lambda reader: console_queries.count_gate_rule_firings(
            reader, lately=DAYTIME - timedelta(days=7), longer=DAYTIME - timedelta(days=30)
        )
    )
    assert counted["first_time_relationship"] == console_queries.RuleFirings(1, 1)
    later = DAYTIME + timedelta(days=8)
    counted = await console.services.database.read(
        lambda reader: console_queries.count_gate_rule_firings(reader, lately=later, longer=DAYTIME)
    )
    assert counted["first_time_relationship"] == console_queries.RuleFirings(0, 1)
    assert (await console.services.database.read(console_queries.count_score_rule_firings))[
        "on_whatsapp"
    ] == 1


def test_a_rule_is_shown_as_it_stands_in_its_file(tmp_path: Path) -> None:
    """Its own lines and no others, moved to the left; a rule without a file has none."""
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    ruleset = rules.load_ruleset([path])
    (rule,) = ruleset_view.build_rule_views(ruleset)
    assert rule.source.splitlines()[0] == "- id: linked"
    assert rule.source.splitlines()[-1].strip() == 'reason: "It holds a link"'
    assert (rule.points, rule.effect) == ("-5", "")
    assert ruleset_view.extract_rule_source("", NO_LOCATION) == ""
    assert (
        ruleset_view.extract_rule_source("a:\n  b: 1\n\nc: 2\n", SourceLocation("f", 1, 1))
        == "a:\n  b: 1"
    )


def test_days_are_told_in_runs(tmp_path: Path) -> None:
    """Monday; Wednesday to Thursday."""
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    (window,) = ruleset_view.build_window_views(rules.load_ruleset([path]))
    assert window.runs == [(0, 0), (2, 3)]
    assert (window.opens, window.closes, window.holidays) == ("09:05", "18:30", True)
