"""The schemas of the rule formats are written compactly, and say what they said."""

from __future__ import annotations

import json

import pytest

from rules.ruleset import RuleFormat
from tools.rule_schemas import LINE_WIDTH, build_schema, render_schema


@pytest.mark.parametrize("kind", RuleFormat)
def test_the_text_is_the_schema_and_compact(kind: RuleFormat) -> None:
    """Nothing is lost by the layout; what fits on a line stands on one, without spaces."""
    text = render_schema(kind)
    assert json.loads(text) == build_schema(kind)
    lines = text.splitlines()
    assert all(line == line.strip() for line in lines)
    assert max(map(len, lines)) <= LINE_WIDTH * 2
    assert len(lines) < len(json.dumps(build_schema(kind), indent=1).splitlines()) / 4
