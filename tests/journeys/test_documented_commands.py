"""The shell blocks of the tutorials and of the README's start, pasted whole into a shell."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.terminal import PseudoTerminal, open_terminal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RC_FILE = """
PS1='$ '
export PATH={path}:$PATH NO_COLOR=1
bind 'set enable-bracketed-paste off'
trap 'printf "%s: %s\\n" BROKE "$BASH_COMMAND"' ERR
cd {folder}
"""
"""What fails is shown with a word that no command prints."""
WRONG_ON_PURPOSE = {"leadmaster rules test rules.d", "leadmaster rules reload"}


def read_blocks(page: str, heading: str) -> list[str]:
    """Return the shell blocks of a page below a heading."""
    _, found, text = (ROOT / page).read_text(encoding="utf-8").partition(f"{heading}\n")
    assert found
    return BLOCK.findall(text)


@pytest.fixture
def shell(short_folder: Path) -> Iterator[PseudoTerminal]:
    """An interactive shell in a fresh folder, as one has it after `. .venv/bin/activate`."""
    rc_file = short_folder / "bashrc"
    work = short_folder / "w"
    work.mkdir()
    path = Path(sys.executable).parent
    rc_file.write_text(RC_FILE.format(path=path, folder=work), encoding="utf-8")
    kept = {name: "" for name in os.environ if name.startswith("LEADMASTER_")}
    with open_terminal(["bash", "--rcfile", str(rc_file), "-i"], kept) as found:
        found.wait_for_text("$ ")
        yield found
        found.press(b"\x03\nkill %1; wait; exit\n")
        found.wait_for_exit()


def paste(shell: PseudoTerminal, blocks: list[str]) -> set[str]:
    """Paste each block, answer what it asks with yes, and return the commands that failed."""
    for number, block in enumerate(blocks):
        shell.press(block.encode())
        if "prospects import" in block:
            shell.wait_for_text("[y/N]")
            shell.press(b"y\n")
        shell.press(f"printf '%s-%s\\n' block {number}\n".encode())
        shell.wait_for_text(f"block-{number}\r\n")
    return set(re.findall(r"^BROKE: (.*)\r$", shell.screen, re.MULTILINE))


@pytest.mark.parametrize(
    ("page", "heading", "shown"),
    [
        (
            "docs/tutorial/first-send.md",
            "# First link, first import, first send",
            ["ready", "blocked", "sent", "that was the lesson"],
        ),
        (
            "docs/tutorial/your-first-rule.md",
            "",
            ["did you mean message.links?", "+ verdict: block"],
        ),
        ("README.md", "## Run it", ["/sign-in#"]),
    ],
)
def test_blocks_can_be_pasted_as_they_are(
    shell: PseudoTerminal, page: str, heading: str, shown: list[str]
) -> None:
    """In a fresh folder, with a real daemon: what should succeed does, and shows what is said."""
    failed = paste(shell, read_blocks(page, heading))
    assert failed <= WRONG_ON_PURPOSE, shell.screen
    assert "Traceback" not in shell.screen
    # Where a terminal breaks its lines depends on its width and on the length of the path.
    words = " ".join(shell.screen.split())
    for text in shown:
        assert text in words, shell.screen
