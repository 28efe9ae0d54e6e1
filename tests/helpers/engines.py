"""The one reason to set a test aside: a Python for which durable-rules cannot be built."""

from __future__ import annotations

import pytest

from rules.engine import available

needs_both_engines = pytest.mark.skipif(
    not available, reason="durable-rules is there up to Python 3.12; the second evaluator judges"
)
"""For a fact about the two engines together. Where there is one, pytest names what it left out."""
