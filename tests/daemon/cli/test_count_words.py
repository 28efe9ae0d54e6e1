"""Counts of what is stored by name are shown in words."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from daemon.cli.words import format_counts
from statemachines.message import MessageState
from statemachines.session import ConnectionState
from storage.import_undo import UndoOutcome
from storage.imports import ImportRowOutcome

WORDS = Path(__file__).parents[3] / "daemon" / "http" / "console" / "words"


def test_an_import_is_counted_in_the_console_s_words() -> None:
    """Without those of which there are none."""
    counts = {"accepted": 417, "accepted_fixed_line": 28, "duplicate": 0}
    assert format_counts(counts, "outcome") == "417 new; 28 new, landline"
    assert format_counts({}, "outcome") == "nothing"


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("outcome", ImportRowOutcome),
        ("imports.undo.stays", set(UndoOutcome) - {UndoOutcome.REMOVED}),
        ("message", MessageState),
        ("connection", ConnectionState),
        ("history.request", ContactRequest),
        ("history.kind", ("sent", "received", "declined", "opt_out")),
    ],
)
def test_every_counted_name_has_words(section: str, names: Iterable[str]) -> None:
    """In both catalogues; else it would be shown as it is stored."""
    for language in ("en", "es"):
        words = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
        for part in section.split("."):
            words = words[part]
        assert set(names) <= set(words)
