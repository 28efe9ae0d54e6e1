"""The commands of a page for people: read from its blocks, and what a test puts in their place."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

PAGES: Final = Path(__file__).parents[2] / "docs" / "how-to"
YOURS: Final = "sh yours"
"""The mark of a block whose lines name what is the reader's own: a domain, a number, a file."""
_NO_COMMANDS: Final = frozenset({"toml", "mermaid"})
"""The marks of blocks that nobody types into a shell."""
_BLOCK: Final = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_SPAN: Final = re.compile(r"`([^`]+)`")
_COMMANDS: Final = ("apt-get", "curl", "leadmaster", "systemctl", "journalctl", "adduser")


@dataclass(frozen=True, slots=True)
class PageBlock:
    """One block of a page: the section that it stands in, its mark, and its lines."""

    section: str
    mark: str
    text: str

    def leave_out(self, known: Collection[str]) -> PageBlock:
        """Return the block without the lines that are among these."""
        lines = [line for line in self.text.splitlines() if line not in known]
        return replace(self, text="\n".join(lines))

    def fill_in(self, own: Mapping[str, str]) -> str:
        """Return the commands, with a test's own values in the place of the page's.

        Each line of a marked block has to name one, and no other line may.
        """
        lines = []
        for line in self.text.splitlines():
            filled = line
            for example, value in own.items():
                filled = filled.replace(example, value)
            assert (filled != line) is (self.mark == YOURS), (
                f"marked as the reader's own, or naming what is: {line!r} in a block {self.mark!r}"
            )
            lines.append(filled)
        return "\n".join(lines)


def read_blocks(page: str, *, sections: Sequence[str] = ()) -> list[PageBlock]:
    """Return the blocks of commands of a page, in order; of some sections alone, if named."""
    found = list(_list_blocks((PAGES / page).read_text(encoding="utf-8")))
    strange = {block.mark for block in found} - {"sh", YOURS, *_NO_COMMANDS}
    assert not strange, f"{page} has blocks that nobody runs: {strange}"
    there = {block.section for block in found}
    assert set(sections) <= there, (sections, there)
    return [
        block
        for block in found
        if block.mark not in _NO_COMMANDS and (not sections or block.section in sections)
    ]


def list_mentions(page: str) -> set[str]:
    """Return the commands that the sentences of a page name, without those of its blocks."""
    text = (PAGES / page).read_text(encoding="utf-8")
    said = _BLOCK.sub("", text)
    in_blocks = "\n".join(block.text for block in _list_blocks(text))
    spans = {" ".join(span.split()) for span in _SPAN.findall(said)}
    return {
        span
        for span in spans
        if span.split()[0] in _COMMANDS and " " in span and span not in in_blocks
    }


def _list_blocks(text: str) -> Iterator[PageBlock]:
    for found in _BLOCK.finditer(text):
        sections = _HEADING.findall(text, 0, found.start())
        commands = textwrap.dedent(found[3])
        yield PageBlock(sections[-1] if sections else "", found[2].strip(), commands)
