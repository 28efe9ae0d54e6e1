"""What a name can't do to a terminal."""

from __future__ import annotations

import pytest

from daemon.cli.console import build_console, escape_controls, print_text

HOSTILE = "\x1b[31mred\x1b]0;owned\x07\x9b2J"


def test_control_characters_become_signs() -> None:
    """Lines and tabs stay; everything else that a terminal obeys is shown."""
    shown = escape_controls(HOSTILE + "\n\tend")
    assert not set(shown) & {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))} - {
        "\n",
        "\t",
    }
    assert "red" in shown
    assert shown.endswith("\n\tend")


def test_a_console_and_plain_lines_print_signs(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever way a word is printed, it steers nothing."""
    build_console().print(HOSTILE)
    print_text(HOSTILE)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x9b" not in printed
    assert printed.count("␛[31mred") == 2
