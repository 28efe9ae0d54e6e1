"""The dossier page of a prospect, to be printed, and the dialog that forgets them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

from daemon.http.authentication import ACTOR
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import PageContext, build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.http.v1.prospects import load_prospect
from storage.column_formats import parse_timestamp
from storage.dossier import DossierSection

routes = web.RouteTableDef()

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_YES_OR_NO: Final = frozenset({"imported", "own", "taken_back", "validado_tecnicamente"})
_SENTENCES: Final = frozenset({"sentence", "review_reason", "reason", "lifted_reason"})
_WORDS: Final[Mapping[tuple[str, str], str]] = {
    ("person", "line_type"): "line_type.",
    ("person", "permission"): "permission.",
    ("person", "intent"): "intent.",
    ("person", "on_whatsapp"): "on_whatsapp.",
    ("person", "validation"): "validation.",
    ("identifiers", "kind"): "dossier.column.",
    ("origin", "outcome"): "outcome.",
    ("ours", "state"): "message.",
    ("ours", "kind"): "kind.",
    ("ours", "channel"): "channel.",
    ("moves", "state"): "message.",
    ("decisions", "verdict"): "verdict.",
    ("readings", "meaning"): "meanings.meaning.",
    ("outcomes", "outcome"): "chats.outcome.",
    ("audit", "action"): "action.",
}
"""By section and column: the part of the catalogue that has the words for its values."""


@routes.get("/prospects/{id}/dossier")
@render_errors
async def show_dossier_page(request: web.Request) -> web.StreamResponse:
    """Show the dossier of a prospect, whole numbers and texts included; audited."""
    dossier = await get_services(request).personal_data.build_dossier(
        request.match_info["id"], request[ACTOR]
    )
    page = build_page_context(request)
    return await render_page(
        request,
        "dossier.html",
        active_page="prospects",
        dossier=dossier,
        sections=[(each.name, format_rows(each, page)) for each in dossier.sections],
    )


@routes.get("/pieces/prospects/{id}/forget")
@render_errors
async def show_forget_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks before a person is forgotten."""
    found = await load_prospect(get_services(request), request.match_info["id"])
    return render_piece(request, "pieces/forget.html", prospect=found)


def format_rows(section: DossierSection, page: PageContext) -> Sequence[Mapping[str, str]]:
    """Return the rows of a section as text for a reader: times in their zone, yes and no."""
    rows = section.rows
    if section.name == "evidence":
        rows = [_name_evidence(row, page) for row in rows]
    return [
        {name: _format_cell((section.name, name), value, page) for name, value in row.items()}
        for row in rows
    ]


def _name_evidence(row: Mapping[str, object], page: PageContext) -> dict[str, object]:
    """Return a piece of evidence with one word for its kind and value, where there is one."""
    key = f"evidence.{row['kind']}.{row.get('value', 'other')}"
    if not page.words.has(key):
        return dict(row)
    return {"at": row["at"], "kind": page.words(key)} | {
        name: value for name, value in row.items() if name not in {"at", "kind", "value"}
    }


def _format_cell(place: tuple[str, str], value: object, page: PageContext) -> str:
    words, column, text = page.words, place[1], str(value)
    if column in _YES_OR_NO:
        return words("dossier.yes" if value else "dossier.no")
    if _TIME.fullmatch(text):
        return page.exact_time(parse_timestamp(text))
    if column in _SENTENCES:
        return words.translate(text)
    key = _WORDS.get(place, "") + text
    return words(key) if words.has(key) else text
