"""The pages of deliveries: clients with their terms, a new delivery, and one with its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from msgspec import Struct

from daemon.chats.sharing import require_client
from daemon.deliveries.qualification import LeftOutPerson
from daemon.deliveries.service import DeliveryDetail, DeliveryPreview, DeliveryRequest
from daemon.deliveries.settlement import DeliveryMoney
from daemon.errors import Conflict, NotFound
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.services import Services
from daemon.severity import Severity
from statemachines.delivery import DeliveryRowState
from storage import client_terms, clients, delivery_queries
from storage.client_terms import NEEDED_COLUMNS, USUAL_COLUMNS, ClientTerms, DeliveryColumn
from storage.clients import ClientRecord
from storage.deliveries import DeliveryFact, DeliveryRow
from storage.tx import Reader

routes = web.RouteTableDef()

ROW_DEEDS: Final = ("accept", "dispute", "replace", "withdraw")
"""What a person does with a row; each has a dialog."""
ROW_SEVERITY: Final = {
    DeliveryRowState.DELIVERED: Severity.WAITING,
    DeliveryRowState.ACCEPTED: Severity.READY,
    DeliveryRowState.DISPUTED: Severity.NEEDS_YOU,
    DeliveryRowState.REPLACED: Severity.OFF,
    DeliveryRowState.WITHDRAWN: Severity.OFF,
}
_SHOWN_PEOPLE: Final = 50


class DeliveriesPageQuery(RequestQuery, frozen=True):
    """The month whose money is shown; without one, this month."""

    month: str = ""


class NewDeliveryQuery(RequestQuery, frozen=True):
    """Who is handed to which client; `decided` are ids with commas between them."""

    client: str
    text: str = ""
    decided: str = ""


class ClientView(Struct, frozen=True):
    """A client with its terms, and how many later opt-outs there are, and are not reported."""

    client: ClientRecord
    terms: ClientTerms | None
    opt_outs: int
    unreported: int


class DeliveryView(Struct, frozen=True):
    """A delivery, with the money of the accepted rows and what each row's history says last."""

    detail: DeliveryDetail
    amount: str
    price: str
    dispute: dict[int, tuple[str, str]]

    def find_fact(self, row: DeliveryRow, fact: DeliveryFact) -> object:
        """Return the piece of evidence of a row about a fact; None once the row was erased."""
        return next((each for each in row.evidence if each.fact == fact), None)


def format_amount(cents: int, currency: str, words: Language) -> str:
    """Return an amount as it is written in the reader's language: ARS 4.500,00."""
    shown = f"{cents / 100:,.2f}"
    point, comma = words("deliveries.decimal"), words("deliveries.thousands")
    swapped = shown.translate({ord("."): point, ord(","): comma})
    return f"{currency} {swapped}"


@routes.get("/deliveries")
@render_errors
async def show_deliveries(request: web.Request) -> web.StreamResponse:
    """Show clients, deliveries, and the money of a month."""
    services, page = get_services(request), build_page_context(request)
    asked = read_query(request, DeliveriesPageQuery).month
    month = asked or f"{page.now.astimezone(page.daemon_zone):%Y-%m}"
    money = await services.settlement.list_money(month)
    return await render_page(
        request,
        "deliveries.html",
        active_page="deliveries",
        clients=await services.database.read(_read_clients),
        found=await services.deliveries.list_deliveries(),
        month=month,
        money=[(each, _format_money(each, page.words)) for each in money],
        states=tuple(DeliveryRowState),
    )


@routes.get("/deliveries/new")
@render_errors
async def show_new_delivery(request: web.Request) -> web.StreamResponse:
    """Show who would be in a delivery now, who is left out and why, and the button that freezes."""
    query, services = read_query(request, NewDeliveryQuery), get_services(request)
    decided = tuple(filter(None, query.decided.split(",")))
    client = await services.database.read(lambda reader: require_client(reader, query.client))
    preview: DeliveryPreview | None = None
    problem: Conflict | None = None
    try:
        preview = await services.deliveries.preview(
            DeliveryRequest(client=client.id, text=query.text, decided=decided)
        )
    except Conflict as error:
        problem = error
    return await render_page(
        request,
        "new_delivery.html",
        active_page="deliveries",
        client=client,
        preview=preview,
        problem=problem,
        query=query,
        decided=decided,
        more=_list_decidable(preview, decided),
    )


@routes.get("/deliveries/{id}")
@render_errors
async def show_delivery(request: web.Request) -> web.StreamResponse:
    """Show one delivery with its rows."""
    values = await _build_delivery(request)
    return await render_page(request, "delivery.html", active_page="deliveries", **values)


@routes.get("/pieces/deliveries/{id}")
@render_errors
async def show_delivery_piece(request: web.Request) -> web.StreamResponse:
    """Show the rows of a delivery, to be refreshed."""
    return render_piece(request, "pieces/delivery.html", **await _build_delivery(request))


@routes.get("/pieces/deliveries/{id}/rows/{number}/{deed}")
@render_errors
async def show_row_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that accepts, disputes, replaces or withdraws a row, beside our evidence."""
    services, info = get_services(request), request.match_info
    detail = await services.deliveries.get_delivery(info["id"])
    row = next((each for each in detail.rows if str(each.number) == info["number"]), None)
    if row is None or info["deed"] not in ROW_DEEDS:
        raise NotFound("There is no such row or dialog.")
    today = build_page_context(request).now.astimezone(services.deliveries.zone).date()
    return render_piece(
        request,
        "pieces/delivery_row_dialog.html",
        delivery=detail.delivery,
        row=row,
        deed=info["deed"],
        today=today,
        people=await _list_others(services, detail) if info["deed"] == "replace" else [],
    )


@routes.get("/pieces/clients/{id}/terms")
@render_errors
async def show_terms_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog with the terms of a client."""
    services, id_ = get_services(request), request.match_info["id"]

    def read(reader: Reader) -> tuple[ClientRecord, ClientTerms | None]:
        client = require_client(reader, id_)
        return client, client_terms.get_client_terms(reader, client.id)

    client, terms = await services.database.read(read)
    return render_piece(
        request,
        "pieces/client_terms.html",
        client=client,
        terms=terms,
        columns=tuple(DeliveryColumn),
        usual=USUAL_COLUMNS,
        needed=NEEDED_COLUMNS,
    )


@routes.get("/pieces/clients/{id}/later-opt-outs")
@render_errors
async def show_later_opt_outs_dialog(request: web.Request) -> web.StreamResponse:
    """Show who opted out after they were handed to a client, and ask whether the client knows."""
    services, id_ = get_services(request), request.match_info["id"]
    client = await services.database.read(lambda reader: require_client(reader, id_))
    found = await services.settlement.list_later_opt_outs(client.id)
    return render_piece(request, "pieces/later_opt_outs.html", client=client, found=found)


def _read_clients(reader: Reader) -> list[ClientView]:
    opt_outs = delivery_queries.list_later_opt_outs(reader)
    total = Counter(each.client for each in opt_outs)
    unreported = Counter(each.client for each in opt_outs if each.reported_at is None)
    return [
        ClientView(
            each,
            client_terms.get_client_terms(reader, each.id),
            total[each.id],
            unreported[each.id],
        )
        for each in clients.list_clients(reader)
    ]


def _format_money(money: DeliveryMoney, words: Language) -> str:
    return format_amount(money.amount_cents, money.currency, words)


def _list_decidable(
    preview: DeliveryPreview | None, decided: Sequence[str]
) -> list[tuple[LeftOutPerson, str]]:
    """Return who is left out, each with the ids that a decision on them too would have."""
    left_out = preview.left_out if preview else ()
    return [(each, ",".join([*decided, each.id]) if each.decidable else "") for each in left_out]


async def _build_delivery(request: web.Request) -> dict[str, Any]:
    services, words = get_services(request), build_page_context(request).words
    detail = await services.deliveries.get_delivery(request.match_info["id"])
    delivery = detail.delivery
    accepted = delivery.counts.get(DeliveryRowState.ACCEPTED, 0)
    view = DeliveryView(
        detail,
        amount=format_amount(accepted * delivery.price_cents, delivery.currency, words),
        price=format_amount(delivery.price_cents, delivery.currency, words),
        dispute={each.row: (each.reason, each.note) for each in detail.moves},
    )
    return {
        "view": view,
        "delivery": delivery,
        "accepted": accepted,
        "row_severity": ROW_SEVERITY,
    }


async def _list_others(services: Services, detail: DeliveryDetail) -> list[tuple[str, str]]:
    """Return who could be given for a row: id and name of those who qualify for its client."""
    try:
        preview = await services.deliveries.preview(DeliveryRequest(client=detail.delivery.client))
    except Conflict:  # the client has no terms any more
        return []
    return [(each.id, each.row.name or each.row.phone) for each in preview.people[:_SHOWN_PEOPLE]]
