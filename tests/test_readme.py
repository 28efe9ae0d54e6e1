"""The first screen of the README: what LeadMaster is for, before anything about how it is made."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
FIRST_SCREEN = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]


def test_it_says_what_its_owner_gets_in_three_sentences() -> None:
    """The first paragraph; then a picture, the budgets, how to link a phone and how to see it."""
    title, first, *_ = FIRST_SCREEN.split("\n\n")
    assert title == "# LeadMaster"
    assert len(re.findall(r"\.(?:\s|$)", first)) == 3
    for word in ("QR code", "acknowledged", "said no", "last year's list", "in the evening"):
        assert word in " ".join(first.split())
    [picture] = re.findall(r"!\[.+\]\((\S+)\)", FIRST_SCREEN)
    assert (ROOT / picture).is_file()
    assert "| in its first week | 3 |" in FIRST_SCREEN
    assert "sessions pair ventas" in FIRST_SCREEN


def test_nothing_of_how_it_is_made_comes_before() -> None:
    """Neither engines nor versions of Python; and it fits a screen."""
    assert not re.search(r"engine|python|asyncio|sqlite|daemon", FIRST_SCREEN, re.IGNORECASE)
    assert len(FIRST_SCREEN.splitlines()) <= 45


def test_its_recipes_are_there() -> None:
    """Each `make` target that it names is one."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"^make ([\w-]+)", FIRST_SCREEN, re.MULTILINE)
    assert named == ["demo", "demo-linked", "test"]
    for name in named:
        assert re.search(rf"^{name}: ", makefile, re.MULTILINE)
