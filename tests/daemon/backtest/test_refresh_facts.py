"""Stored facts become the rows that a replay reads: by the short way, or by the evaluator's own."""

from __future__ import annotations

import json

import pytest

from daemon.backtest.refresh_facts import ReplayRowDecoder
from rules import DEFAULTS, load_ruleset
from rules.examples import baseline_facts
from rules.replay import Replay

REPLAY = Replay(load_ruleset([DEFAULTS / "gate.yaml"]))
FACTS = baseline_facts(REPLAY.ruleset)


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"message.links": 2.5, "clock.in_window": ["business", "night"]},
        {"message.links": True, "message.duplicate": 1},
        {"message.links": 10**30, "prospect.suppressed": "yes", "clock.in_window": {}},
        {"clock.in_window": [1], "session.channel": {"a": 1}, "message.links": "2"},
        {"message.links": None, "session.channel": None, "clock.in_window": None},
        {"of no vocabulary": [{}]},
    ],
)
def test_a_row_is_what_the_judge_would_know(stored: dict[str, object]) -> None:
    """A value of another type is unknown, whichever way it came."""
    facts = {**FACTS, **stored}
    row = ReplayRowDecoder(REPLAY).decode_row(json.dumps(facts).encode(), {})
    assert row == REPLAY.row_from_facts(facts)
    assert [type(value) for value in row] == [type(value) for value in REPLAY.row_from_facts(facts)]


def test_a_changed_fact_is_read_as_changed() -> None:
    """The text, which no snapshot holds, and a score that is reckoned anew."""
    row = ReplayRowDecoder(REPLAY).decode_row(json.dumps(FACTS).encode(), {"message.links": 7})
    assert row == REPLAY.row_from_facts({**FACTS, "message.links": 7})
