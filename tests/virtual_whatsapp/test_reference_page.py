"""The page about the virtual WhatsApp: its example runs, and it names each of its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "reference" / "virtual-whatsapp.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


async def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    """As it is printed there."""
    [example] = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    await test(tmp_path)
    assert "assert " in example  # it shows what it says


def test_every_file_is_on_the_page() -> None:
    """And nothing that is not there."""
    text = PAGE.read_text(encoding="utf-8").partition("## Its parts")[2].partition("\n## ")[0]
    parts = {
        path.name
        for path in FOLDER.glob("*.py")
        if not path.name.startswith("test_") and path.name not in {"__init__.py", "conftest.py"}
    }
    assert set(re.findall(r"`(\w+\.py)`", text)) == parts


def test_it_knows_nothing_of_the_product() -> None:
    """But for the files that put LeadMaster in front of it: anybody could use it."""
    knowing = {
        path.name
        for path in FOLDER.rglob("*.py")
        if re.search(
            r"^\s*(from|import) (daemon|rules|storage|statemachines|tests\.helpers)\b",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    assert knowing == {
        "linked_channel.py",
        "linked_daemon.py",
        "linked_demo.py",
        "linked_recorder.py",
        "linked_sessions.py",
        "linked_trace.py",
    }
