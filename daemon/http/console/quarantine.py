"""The `/quarantine` page: signals that could not be stored, until a person settles them."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.api.effects import ContactRequest
from daemon.api.identity import IdentityKind, NotAContact, parse_identity
from daemon.api.signals import InboundMessage
from daemon.errors import NotFound
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from storage import console_queries, quarantine
from storage.quarantine import QuarantinedSignal
from storage.tx import Reader

routes = web.RouteTableDef()

MAX_ENTRIES: Final = 100


class QuarantineEntry(Struct, frozen=True):
    """One signal for the page: its sender, its text, and what follows from it.

    ``name`` is the prospect's; ``phone`` the sender's number, empty where there is none.
    """

    signal: QuarantinedSignal
    name: str
    phone: str
    text: str

    @property
    def is_opt_out(self) -> bool:
        """Return whether the text that was kept is an opt-out."""
        return self.signal.request == ContactRequest.OPT_OUT

    @property
    def holds(self) -> bool:
        """Return whether commercial messages to the sender are held until it is settled."""
        # Unread, it may be an opt-out. One that was read as such has suppressed the sender already.
        is_theirs = self.signal.signal == InboundMessage.__name__
        return self.signal.contact is not None and is_theirs and not self.is_opt_out


@routes.get("/quarantine")
@render_errors
async def show_quarantine_page(request: web.Request) -> web.StreamResponse:
    """Show the page."""
    entries = await _load_entries(request)
    return await render_page(request, "quarantine.html", active_page="today", entries=entries)


@routes.get("/pieces/quarantine")
@render_errors
async def show_quarantine_piece(request: web.Request) -> web.StreamResponse:
    """Show the content of the page, to be refreshed."""
    return render_piece(request, "pieces/quarantine.html", entries=await _load_entries(request))


@routes.get("/pieces/quarantine/{id}/settle")
@render_errors
async def show_settle_signal_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks what a signal was."""
    signal_id = request.match_info["id"]
    found = await get_services(request).database.read(
        lambda reader: quarantine.get_quarantined_signal(reader, signal_id)
    )
    if found is None:
        raise NotFound(f"There is no quarantined signal {signal_id}.")
    return render_piece(request, "pieces/settle_signal.html", entry=_build_entry(found, ""))


async def _load_entries(request: web.Request) -> list[QuarantineEntry]:
    return await get_services(request).database.read(_read_entries)


def _read_entries(reader: Reader) -> list[QuarantineEntry]:
    return [
        _build_entry(each, console_queries.get_prospect_name(reader, each.contact or ""))
        for each in quarantine.list_quarantined_signals(reader, limit=MAX_ENTRIES)
    ]


def _build_entry(signal: QuarantinedSignal, name: str) -> QuarantineEntry:
    text = signal.kept.get("text")
    return QuarantineEntry(signal, name, _read_phone(signal), text if isinstance(text, str) else "")


def _read_phone(signal: QuarantinedSignal) -> str:
    """Return the number that a signal comes from or went to; empty where it can't be read."""
    name = signal.kept.get("sender") or signal.kept.get("recipient")
    try:
        identity = parse_identity(name if isinstance(name, str) else "")
    except NotAContact:
        return ""
    return identity.value if identity.kind is IdentityKind.PHONE else ""
