"""Stored facts become the rows that a replay reads: by the short way, or by the judge's own."""

from __future__ import annotations

import json

import pytest

from daemon.hindsight.rows import Rows
from rules import DEFAULTS, load
from rules.examples import baseline
from rules.replay import Replay

REPLAY = Replay(load([DEFAULTS / "gate.yaml"]))
FACTS = baseline(REPLAY.ruleset)


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
    row = Rows(REPLAY).of(json.dumps(facts).encode(), {})
    assert row == REPLAY.row(facts)
    assert [type(value) for value in row] == [type(value) for value in REPLAY.row(facts)]


def test_a_changed_fact_is_read_as_changed() -> None:
    """The text, which no snapshot holds, and a score that is reckoned anew."""
    row = Rows(REPLAY).of(json.dumps(FACTS).encode(), {"message.links": 7})
    assert row == REPLAY.row({**FACTS, "message.links": 7})
