"""Each command in a shell block of the docs exists as it is written there, and is run by a test.

The tutorials and the README's start are pasted whole into a shell by
tests/journeys/test_documented_commands.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest

from daemon.cli.main import leadmaster

ROOT: Final = Path(__file__).parents[1]
BLOCK: Final = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PAGES: Final = sorted(
    str(path.relative_to(ROOT))
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "systemd/README.md")
    if BLOCK.search(path.read_text(encoding="utf-8"))
)
PROGRAMS: Final = {
    "apt-get": "tests/systemd/booted/installation.py",
    "curl": "tests/journeys/test_documented_commands.py",
    "install": "tests/systemd/booted/installation.py",
    "journalctl": "tests/systemd/booted/booted_root.py",
    "nginx": "tests/helpers/nginx.py",
    "systemctl": "tests/systemd/booted/booted_service.py",
    "systemd-analyze": "tests/systemd/test_units.py",
}
"""Other programs whose work the docs name, and where the tests do the same."""
OPERATORS: Final = frozenset(("|", "||", "&&", "&", ";", ">", ">>", "<"))


def read_commands(page: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of ours in the shell blocks of a page."""
    for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if re.match(r" *(\S*/)?leadmaster ", line):
                lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
                lexer.whitespace_split = True
                yield list(_take_until_operator(lexer))[1:]


def _take_until_operator(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word in OPERATORS:
            return
        yield word


def find_command(words: list[str]) -> tuple[list[str], click.Command, list[str]]:
    """Return the path of a command, the command itself, and the words that are left for it."""
    context, path = click.Context(leadmaster), list[str]()
    command: click.Command = leadmaster
    while isinstance(command, click.Group):
        while words and words[0].startswith("-"):
            words = words[2:]  # a global option and its value
        assert words, f"{path} is a group"
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {' '.join([*path, name])}"
        path, command = [*path, name], found
    return path, command, words


def _parse(name: str, command: click.Command, words: list[str]) -> None:
    """Parse a command without running it; files that its reader has are not here."""
    try:
        command.make_context(name, list(words), parent=click.Context(leadmaster))
    except click.BadParameter as error:
        if "does not exist" not in error.message:
            raise


@cache
def read_tests() -> str:
    """Return the text of all tests."""
    return "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_ours_take_what_is_written_there(page: str) -> None:
    """Each is parsed as the command line would, with its options and arguments, and is tested."""
    for words in read_commands(page):
        if words == ["--help"]:
            continue
        path, command, rest = find_command(words)
        _parse(" ".join(path), command, rest)
        quoted = r",\s*".join(f'"{re.escape(word)}"' for word in path)
        pasted = rf"leadmaster {' '.join(path)}\b"
        assert re.search(rf"{quoted}|{pasted}", read_tests()), f"no test runs {' '.join(path)}"


def test_other_programs_are_run_by_the_tests_that_are_named() -> None:
    """The first word of a line; a page that brings a new one names where it is run."""
    lines = [
        line.strip()
        for page in PAGES
        for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]
    named = {
        program for program in PROGRAMS if any(line.startswith(f"{program} ") for line in lines)
    }
    assert named == set(PROGRAMS)
    assert all((ROOT / path).is_file() for path in PROGRAMS.values())
