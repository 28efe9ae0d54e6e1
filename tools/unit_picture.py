"""Renders what runs where, from the unit files: a picture of units and sockets, and a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

UNITS = Path(__file__).parent.parent / "systemd"
SUFFIXES = (".service", ".socket", ".timer", ".path")
ADDRESS = re.compile(r"^ListenStream=(\S+)", re.MULTILINE)


def list_units() -> list[Path]:
    """Return the shipped unit files, services last."""
    found = (path for path in sorted(UNITS.iterdir()) if path.suffix in SUFFIXES)
    return sorted(found, key=lambda path: path.suffix == ".service")


def render_picture() -> str:
    """Render the units as a diagram: who opens which address, and what that starts."""
    units = (f'{_get_id(unit.name)}["{unit.name}"]' for unit in list_units())
    lines = (f"    {line}" for line in (*units, *_list_arrows()))
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def _list_arrows() -> Iterator[str]:
    """Yield what starts what, by the unit files, and who connects to a socket."""
    names = {unit.name for unit in list_units()}
    core = (UNITS / "leadmaster.service").read_text(encoding="utf-8")
    for unit in list_units():
        text = unit.read_text(encoding="utf-8")
        if unit.suffix == ".service":
            continue
        started = re.search(r"^Unit=(\S+)", text, re.MULTILINE)
        # A socket whose connections have a process each starts a template of its name.
        template = f"{unit.stem}@.service" if "Accept=yes" in text else f"{unit.stem}.service"
        target = started[1] if started else template
        if target in names:
            yield f"{_get_id(unit.name)} -->|starts| {_get_id(target)}"
        for address in ADDRESS.findall(text):
            if f"={address.replace('%i', '{slot}')}" in core:
                yield f'{_get_id("leadmaster.service")} -->|"{address}"| {_get_id(unit.name)}'
            else:
                yield f'outside(["nginx, on this machine"]) -->|"{address}"| {_get_id(unit.name)}'


def _get_id(name: str) -> str:
    return re.sub(r"\W", "_", name)


def render_table() -> str:
    """Render each service with its user, its network and its state, as its unit says."""
    rows = ["| service | what | user | network | state |", "| --- | --- | --- | --- | --- |"]
    for unit in list_units():
        if unit.suffix == ".service":
            text = unit.read_text(encoding="utf-8")
            cells = (f"`{unit.name}`", _get(text, "Description"), *_describe(text))
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _describe(text: str) -> tuple[str, str, str]:
    is_dynamic = _get(text, "DynamicUser") == "yes"
    user = _get(text, "User") or "root"
    closed = _get(text, "PrivateNetwork") == "yes"
    folder = _get(text, "StateDirectory")
    return (
        f"`{user}`, while it runs" if is_dynamic else f"`{user}`",
        "none" if closed else "the internet",
        f"`/var/lib/{folder}`" if folder else "",
    )


def _get(text: str, name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""
