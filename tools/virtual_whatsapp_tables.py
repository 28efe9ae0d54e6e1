"""Renders what a test can do with the virtual WhatsApp: its actions, and what can go wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tests.virtual_whatsapp import client_handler, faults, server
from tests.virtual_whatsapp.client_handler import ClientHandler
from tests.virtual_whatsapp.faults import Faults
from tests.virtual_whatsapp.server import VirtualWhatsApp
from tools.reference_tables import read_attribute_notes, render_table


def render_actions() -> str:
    """Return a table of the methods, in the order of the source."""
    actions = [
        (_render_call(name, method), _read_summary(method))
        for kind in (VirtualWhatsApp, ClientHandler)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ]
    return render_table(("call", "what happens"), actions)


def render_attributes() -> str:
    """Return a table of what can be looked at, or waited for."""
    notes = read_attribute_notes(server) | read_attribute_notes(client_handler)
    rows = [(f"`{name}`", note) for (_, name), note in notes.items()]
    return render_table(("attribute", "what it is"), rows)


def render_faults() -> str:
    """Return a table of the faults, each with what it does."""
    notes = read_attribute_notes(faults)
    rows = [(f"`{name}`", notes["Faults", name]) for name in Faults.__dataclass_fields__]
    return render_table(("fault", "what goes wrong"), rows)


def render_fault_nodes() -> str:
    """Return a table of what a server sends to end a login or a stream."""
    rows = [
        (_render_call(name, build), _read_summary(build))
        for name, build in vars(faults).items()
        if name.startswith("build_") and inspect.isfunction(build)
    ]
    return render_table(("call", "what it is"), rows)


def _render_call(name: str, function: Callable[..., Any]) -> str:
    parameters = ", ".join(
        name if each.default is each.empty else f"{name}={each.default!r}"
        for name, each in inspect.signature(function).parameters.items()
        if name != "self"
    )
    awaited = "await " if inspect.iscoroutinefunction(function) else ""
    return f"`{awaited}{name}({parameters})`"


def _read_summary(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
