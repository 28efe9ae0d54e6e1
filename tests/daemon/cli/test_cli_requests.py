"""`leadmaster requests check`: what words are read as, and why, without a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.client.process import run_cli

pytestmark = pytest.mark.slow


def test_a_message_is_read_with_the_reason() -> None:
    """The class, and the words that show it."""
    ran = run_cli("requests", "check", "Hola, sáquenme de su base de datos")
    assert ran.status == 0
    assert "opt_out: «sáquenme de su base de datos»" in ran.out
    assert ran.out.split("\n")[0].split() == ["message", "read", "as", "why"]
    [message] = run_cli("requests", "check", "hola", "--json").document["messages"]
    assert message == {"text": "hola", "expected": None, "read": "courtesy"}


def test_a_file_is_read_with_the_confusion_of_classes(tmp_path: Path) -> None:
    """How many were read as expected, and as what the others."""
    path = tmp_path / "messages.csv"
    path.write_text("text,expected,lang\nbaja,opt_out,es\nhola,question,es\n", encoding="utf-8")
    ran = run_cli("requests", "check", str(path))
    assert "1 of 2 were read as expected." in ran.out
    document = run_cli("requests", "check", str(path), "--json").document
    assert document == {
        "messages": [
            {"text": "baja", "expected": "opt_out", "read": "opt_out"},
            {"text": "hola", "expected": "question", "read": "courtesy"},
        ]
    }


def test_what_a_file_expects_nothing_of_is_not_counted(tmp_path: Path) -> None:
    """Only labelled messages can be read as expected, and none is shown as expecting nothing."""
    path = tmp_path / "messages.csv"
    path.write_text("text,expected,lang\nbaja,opt_out,es\nhola,,es\n", encoding="utf-8")
    ran = run_cli("requests", "check", str(path))
    assert ran.out.split("\n")[0].split() == ["message", "expected", "read", "as", "why"]
    assert "1 of 1 were read as expected." in ran.out
    path.write_text("text\nbaja\nhola\n", encoding="utf-8")
    ran = run_cli("requests", "check", str(path))
    assert "expected" not in ran.out


def test_a_file_that_is_none_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Missing, or without the column."""
    ran = run_cli("requests", "check", str(tmp_path / "none.csv"))
    assert (ran.status, "can't be read" in ran.err) == (2, True)
    path = tmp_path / "other.csv"
    path.write_text("name\nAna\n", encoding="utf-8")
    ran = run_cli("requests", "check", str(path))
    assert (ran.status, "record 2 has no text" in ran.err) == (2, True)
