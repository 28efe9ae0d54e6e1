"""The dossier page of a prospect, to be printed, and the dialog that forgets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from aiohttp import web

from daemon.http.authentication import ACTOR
from daemon.http.console.audit import list_detail
from daemon.http.console.error_translation import render_errors
from daemon.http.console.evidence_view import describe_given_number, describe_quote
from daemon.http.console.layout import PageContext, build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.http.v1.prospects import load_prospect
from storage.column_formats import parse_timestamp
from storage.dossier import DossierSection

routes = web.RouteTableDef()

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_YES_OR_NO: Final = frozenset({"imported", "own", "taken_back", "validado_tecnicamente"})
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SENTENCES: Final = frozenset({"sentence", "review_reason", "reason", "lifted_reason"})
_ACTORS: Final = frozenset(
    {"who", "closed_by", "snoozed_by", "taken_by", "claimed_by", "changed_by", "settled_by"}
)
RAW_COLUMNS: Final = frozenset({"facts", "kept"})
"""What programs wrote for programs; a page shows it as it is, as code."""
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
    ("evidence", "value"): "dossier.request.",
    ("theirs", "kind"): "dossier.message_kind.",
    ("theirs", "origin"): "dossier.arrival.",
    ("theirs", "request"): "dossier.request.",
    ("decisions", "verdict"): "verdict.",
    ("decisions", "phase"): "dossier.phase.",
    ("approvals", "channel"): "channel.",
    ("receipts", "kind"): "message.",
    ("readings", "cause"): "meanings.cause.",
    ("readings", "meaning"): "meanings.meaning.",
    ("outcomes", "outcome"): "chats.outcome.",
    ("outcomes", "next_action"): "outcomes.next.",
    ("campaigns", "state"): "campaigns.person.",
    ("dry_runs", "outlook"): "campaigns.outlook.",
    ("deliveries", "ground"): "delivery_file.value.sharing.",
    ("deliveries", "state"): "deliveries.state.",
    ("delivery_moves", "state"): "deliveries.state.",
    ("reviews", "outcome"): "dossier.review.",
    ("held", "hold_scope"): "dossier.hold.",
    ("opt_outs", "source"): "detail_value.",
    ("budgets", "kind"): "dossier.spend.",
    ("audit", "action"): "action.",
    ("events", "type"): "dossier.event.",
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
        raw=RAW_COLUMNS,
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
    shown = (
        {name: _format_cell((section.name, name), value, page) for name, value in row.items()}
        for row in rows
    )
    return [{name: text for name, text in row.items() if text} for row in shown]


def _name_evidence(row: Mapping[str, object], page: PageContext) -> dict[str, object]:
    """Return a piece of evidence in words: one for its kind and value, where there is one."""
    kind, words = str(row["kind"]), page.words
    named: dict[str, object] = dict(row)
    if quote := row.get("quote"):
        named["quote"] = describe_quote(kind, str(quote), words)
    for key in (f"evidence.{kind}.{row.get('value', 'other')}", f"evidence.{kind}.other"):
        if words.has(key):
            named["kind"] = words(key)
            named.pop("value", None)
            break
    else:
        named["kind"] = words("person.they_wrote")
    return named


def _format_cell(place: tuple[str, str], value: object, page: PageContext) -> str:
    words, column, text = page.words, place[1], str(value)
    if column in _YES_OR_NO:
        return words("dossier.yes" if value else "dossier.no")
    if _TIME.fullmatch(text):
        return page.exact_time(parse_timestamp(text))
    if _DATE.fullmatch(text):
        return page.day(date.fromisoformat(text))
    if place == ("audit", "reason"):
        text = describe_given_number(text, words)
    if column in _SENTENCES or place == ("evidence", "source"):
        return words.translate(text)
    if place in _OBJECTS:
        return _OBJECTS[place](json.loads(text), page)
    # A word of the whole catalogue would be found for a name of a person that is a key.
    prefix = "who." if column in _ACTORS else _WORDS.get(place, "dossier.")
    key = prefix + text.replace(".", "_")
    return words(key) if words.has(key) else text


def _format_detail(detail: Mapping[str, object], page: PageContext) -> str:
    return " · ".join(f"{label}: {shown}" for label, shown in list_detail(detail, page.words))


def _format_cells(cells: Mapping[str, object], page: PageContext) -> str:
    words = page.words
    return " · ".join(f"{words(f'delivery_file.column.{k}')}: {v}" for k, v in cells.items() if v)


def _format_delivered_evidence(pieces: Sequence[Mapping[str, str]], page: PageContext) -> str:
    words, parts = page.words, []
    for piece in pieces:
        fact = piece["fact"]
        value = words(f"delivery_file.value.{fact}.{piece['value']}")
        quote = f" «{piece['quote']}»" if piece.get("quote") else ""
        parts.append(f"{words(f'delivery_file.fact.{fact}')}: {value}{quote}")
    return " · ".join(parts)


_OBJECTS: Final[Mapping[tuple[str, str], Callable[[Any, PageContext], str]]] = {
    ("audit", "detail"): _format_detail,
    ("deliveries", "cells"): _format_cells,
    ("deliveries", "evidence"): _format_delivered_evidence,
}
"""What is stored as JSON, and is shown in words."""
