"""The page of machines is written from the running machines, and it is not stale."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.helpers.machine_walks import MACHINE_KINDS, MachineKind
from tools import machine_diagrams

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "machines.md"


def test_page_is_what_the_machines_say() -> None:
    """The committed page equals the drawn one; mend it with `make docs`."""
    assert PAGE.read_text(encoding="utf-8") == machine_diagrams.render_page()


def test_module_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Run as a program, the module writes the page to standard output."""
    runpy.run_path(machine_diagrams.__file__, run_name="__main__")
    assert capsys.readouterr().out == machine_diagrams.render_page()


@pytest.mark.parametrize("kind", MACHINE_KINDS, ids=lambda kind: kind.machine.__name__)
def test_every_state_and_event_is_drawn(kind: MachineKind) -> None:
    """No state and no event of a running machine is missing on the page."""
    section = next(s for s in machine_diagrams.SECTIONS if s.machine is kind.machine)
    text = "\n".join([*machine_diagrams.render_mermaid(section), *section.table(section)])
    for word in [*kind.states, *kind.events]:
        assert str(word) in text
