"""`/v1/deliveries`: batches of people for a client, their files, and what becomes of each row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.auth.identity import Scope
from daemon.deliveries.service import (
    MAX_CANDIDATES,
    DeliveryDetail,
    DeliveryPreview,
    DeliveryRequest,
    DownloadedFile,
)
from daemon.deliveries.settlement import DeliveryMoney
from daemon.deliveries.terms import MAX_REASON_LENGTH, MAX_REASONS
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR, get_identity
from daemon.http.bodies import (
    PageLimit,
    ReasonText,
    RequestBody,
    RequestQuery,
    ResultPage,
    json_response,
    list_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import CSV, XLSX, operation
from storage.client_terms import USUAL_COLUMNS, ClientTerms, DeliveryColumn, DeliveryTerms
from storage.deliveries import DeliveryFormat, DeliveryRecord
from storage.delivery_queries import LaterOptOut

routes = web.RouteTableDef()

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Ids = Annotated[list[_Id], msgspec.Meta(max_length=MAX_CANDIDATES)]
_Days = Annotated[int, msgspec.Meta(ge=0, le=3650)]
_Note = Annotated[str, msgspec.Meta(max_length=500)]
_Decision = Annotated[str, msgspec.Meta(max_length=500)]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON_LENGTH)]
_MAX_NUMBER: Final = 6  # digits
_MEDIA_TYPES: Final = {
    DeliveryFormat.XLSX: XLSX,
    DeliveryFormat.CSV: f"{CSV}; charset=utf-8",
}


class ClientTermsBody(RequestBody, frozen=True):
    """What was agreed with a client; `price_cents` is in hundredths of the currency."""

    price_cents: Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "ARS"
    dispute_days: _Days = 7
    reasons: Annotated[list[_Reason], msgspec.Meta(max_length=MAX_REASONS)] = msgspec.field(
        default_factory=list
    )
    exclusive_days: _Days = 0
    columns: Annotated[
        list[DeliveryColumn], msgspec.Meta(min_length=1, max_length=len(DeliveryColumn))
    ] = msgspec.field(default_factory=lambda: list(USUAL_COLUMNS))
    silence_accepts: bool = False
    language: Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")] = "es"


class DeliveryPreviewBody(RequestBody, frozen=True):
    """Who is looked at: prospects by their ids, or who has shown clear intent, as a filter narrows.

    `decided` are those who are handed over by a decision, where nobody asked them.
    """

    client: _Id
    ids: _Ids | None = None
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    import_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    decided: _Ids = msgspec.field(default_factory=list)


class DeliveryBody(DeliveryPreviewBody, frozen=True, kw_only=True):
    """A delivery as it was previewed; `decision` says why those in `decided` are handed over."""

    hash: Annotated[str, msgspec.Meta(max_length=64)]
    decision: _Decision = ""


class DeliveriesQuery(RequestQuery, frozen=True):
    """One page of deliveries, the newest first; of one client, if given."""

    client: str = ""
    after: str = ""
    limit: PageLimit = 50


class MoneyQuery(RequestQuery, frozen=True):
    """The month of the acceptance, such as `2026-11`, and one client, if given."""

    month: Annotated[str, msgspec.Meta(min_length=7, max_length=7)]
    client: str = ""


class AcceptRowBody(RequestBody, frozen=True):
    """Of a disputed row, `note` says how the dispute was settled."""

    note: _Note = ""


class DisputeRowBody(RequestBody, frozen=True):
    """A reason that counts by the client's terms, and the day on which the client said so."""

    reason: _Reason
    on: date
    note: _Note = ""


class WithdrawRowBody(RequestBody, frozen=True):
    """How the dispute was settled."""

    note: ReasonText


class ReplaceRowBody(RequestBody, frozen=True):
    """The prospect who is given instead, and how the dispute was settled."""

    prospect: _Id
    note: ReasonText
    decision: _Decision = ""


class OptOutsReportedBody(RequestBody, frozen=True):
    """How many people the file had that the client got."""

    count: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


@routes.get("/v1/clients/{id}/terms")
@operation(ClientTerms, errors=(NotFound,))
async def get_client_terms(request: web.Request) -> web.Response:
    """Return what holds for the next delivery to a client."""
    terms = get_services(request).client_terms
    return json_response(await terms.get_terms(request.match_info["id"]))


@routes.post("/v1/clients/{id}/terms")
@operation(ClientTerms, body=ClientTermsBody, errors=(NotFound,))
async def set_client_terms(request: web.Request) -> web.Response:
    """Set the terms of a client; what was frozen before keeps its own."""
    body = await read_body(request, ClientTermsBody)
    terms = DeliveryTerms(**msgspec.structs.asdict(body))
    stored = await get_services(request).client_terms.set_terms(
        request.match_info["id"], terms, request[ACTOR]
    )
    return json_response(stored)


@routes.get("/v1/clients/{id}/later-opt-outs")
@operation(ResultPage[LaterOptOut], errors=(NotFound,))
async def list_later_opt_outs(request: web.Request) -> web.Response:
    """Return who opted out after they were handed to a client, and whether the client knows."""
    found = await get_services(request).settlement.list_later_opt_outs(request.match_info["id"])
    return list_response(found)


@routes.get("/v1/clients/{id}/later-opt-outs.csv", allow_head=False)
@operation(str, media_types=(CSV,), errors=(NotFound,))
async def download_later_opt_outs(request: web.Request) -> web.Response:
    """Return the same as a file for the client; each download is audited."""
    file = await get_services(request).settlement.download_later_opt_outs(
        request.match_info["id"], request[ACTOR]
    )
    return _file_response(file, _MEDIA_TYPES[DeliveryFormat.CSV])


@routes.post("/v1/clients/{id}/later-opt-outs/reported")
@operation(ResultPage[LaterOptOut], body=OptOutsReportedBody, errors=(NotFound, Conflict))
async def report_later_opt_outs(request: web.Request) -> web.Response:
    """Write down that the client got the file; 409 where it would have others by now."""
    body = await read_body(request, OptOutsReportedBody)
    found = await get_services(request).settlement.report_later_opt_outs(
        request.match_info["id"], request[ACTOR], count=body.count
    )
    return list_response(found)


@routes.get("/v1/deliveries")
@operation(ResultPage[DeliveryRecord], query=DeliveriesQuery)
async def list_deliveries(request: web.Request) -> web.Response:
    """Return deliveries, the newest first, with how many rows are in each state."""
    query = read_query(request, DeliveriesQuery)
    found = await get_services(request).deliveries.list_deliveries(
        client=query.client, before=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda delivery: delivery.id)


@routes.post("/v1/deliveries/preview")
@operation(DeliveryPreview, body=DeliveryPreviewBody, errors=(NotFound, Conflict))
async def preview_delivery(request: web.Request) -> web.Response:
    """Return who would be in a delivery now, and everybody who does not qualify, with the reason.

    Its hash goes with the freezing. A purchase intent that nobody has confirmed delivers nobody.
    """
    body = await read_body(request, DeliveryPreviewBody)
    return json_response(await get_services(request).deliveries.preview(_read_request(body)))


@routes.post("/v1/deliveries")
@operation(DeliveryDetail, status=201, body=DeliveryBody, errors=(NotFound, Conflict))
async def freeze_delivery(request: web.Request) -> web.Response:
    """Freeze a delivery as it was previewed, with its files; 409 where it would be another by now.

    Rows, evidence and the hash of each file never change. To hand over people who were not asked
    about this client needs the scope `admin`, as every decision entry.
    """
    body = await read_body(request, DeliveryBody)
    _require_decider(request, decides=bool(body.decided))
    detail = await get_services(request).deliveries.freeze(
        _read_request(body), request[ACTOR], hash_=body.hash, decision=body.decision
    )
    return json_response(detail, status=201)


@routes.get("/v1/deliveries/money")
@operation(ResultPage[DeliveryMoney], query=MoneyQuery)
async def list_delivery_money(request: web.Request) -> web.Response:
    """Return the money of the rows accepted in a month: their count by the frozen price."""
    query = read_query(request, MoneyQuery)
    found: Sequence[DeliveryMoney] = await get_services(request).settlement.list_money(
        query.month, client=query.client
    )
    return list_response(found)


@routes.get("/v1/deliveries/money.csv")
@operation(str, query=MoneyQuery, media_types=(CSV,))
async def export_delivery_money(request: web.Request) -> web.Response:
    """Return the same as CSV, with a line for each delivery."""
    query = read_query(request, MoneyQuery)
    text = await get_services(request).settlement.export_money(query.month, client=query.client)
    file = DownloadedFile(name=f"deliveries-{query.month}.csv", content=text.encode(), whole=True)
    return _file_response(file, _MEDIA_TYPES[DeliveryFormat.CSV])


@routes.get("/v1/deliveries/{id}")
@operation(DeliveryDetail, errors=(NotFound,))
async def get_delivery(request: web.Request) -> web.Response:
    """Return a delivery with its rows, what became of each, and its files with their hashes."""
    return json_response(
        await get_services(request).deliveries.get_delivery(request.match_info["id"])
    )


@routes.get("/v1/deliveries/{id}/files/{part}/{format}", allow_head=False)
@operation(bytes, media_types=(XLSX, CSV), errors=(NotFound,))
async def download_delivery_file(request: web.Request) -> web.Response:
    """Return a file as it was handed over, `xlsx` or `csv`; each download is audited.

    Part 0 is the delivery; another part is the row of this number, which replaces one. Once
    somebody in it was erased, it is written without them, and its hash is another one.
    """
    name = request.match_info["format"]
    if name not in set(DeliveryFormat):
        raise NotFound(f"There is no file of the format {name!r}.", hint="It is xlsx or csv.")
    format_ = DeliveryFormat(name)
    file = await get_services(request).deliveries.download(
        request.match_info["id"], _read_number(request, "part"), format_, request[ACTOR]
    )
    return _file_response(file, _MEDIA_TYPES[format_])


@routes.post("/v1/deliveries/{id}/rows/{number}/accept")
@operation(DeliveryDetail, body=AcceptRowBody, errors=(NotFound, Conflict))
async def accept_delivery_row(request: web.Request) -> web.Response:
    """Accept a row, or settle its dispute so that the client pays it."""
    body = await read_body(request, AcceptRowBody)
    detail = await get_services(request).settlement.accept(
        request.match_info["id"], _read_number(request), request[ACTOR], note=body.note
    )
    return json_response(detail)


@routes.post("/v1/deliveries/{id}/rows/{number}/dispute")
@operation(DeliveryDetail, body=DisputeRowBody, errors=(NotFound, Conflict))
async def dispute_delivery_row(request: web.Request) -> web.Response:
    """Write down that the client disputes a row; a person settles it."""
    body = await read_body(request, DisputeRowBody)
    detail = await get_services(request).settlement.dispute(
        request.match_info["id"],
        _read_number(request),
        request[ACTOR],
        reason=body.reason,
        on=body.on,
        note=body.note,
    )
    return json_response(detail)


@routes.post("/v1/deliveries/{id}/rows/{number}/withdraw")
@operation(DeliveryDetail, body=WithdrawRowBody, errors=(NotFound, Conflict))
async def withdraw_delivery_row(request: web.Request) -> web.Response:
    """Settle a dispute by taking the row back: the client pays nothing for it."""
    body = await read_body(request, WithdrawRowBody)
    detail = await get_services(request).settlement.withdraw(
        request.match_info["id"], _read_number(request), request[ACTOR], note=body.note
    )
    return json_response(detail)


@routes.post("/v1/deliveries/{id}/rows/{number}/replace")
@operation(DeliveryDetail, body=ReplaceRowBody, errors=(NotFound, Conflict))
async def replace_delivery_row(request: web.Request) -> web.Response:
    """Settle a dispute by another person, who gets a row and a file of their own.

    With `decision` it needs the scope `admin`, as every decision entry.
    """
    body = await read_body(request, ReplaceRowBody)
    _require_decider(request, decides=bool(body.decision.strip()))
    detail = await get_services(request).settlement.replace(
        request.match_info["id"],
        _read_number(request),
        request[ACTOR],
        prospect=body.prospect,
        note=body.note,
        decision=body.decision,
    )
    return json_response(detail)


def _read_request(body: DeliveryPreviewBody) -> DeliveryRequest:
    return DeliveryRequest(
        client=body.client,
        ids=body.ids,
        text=body.text,
        import_id=body.import_id,
        decided=body.decided,
    )


def _require_decider(request: web.Request, *, decides: bool) -> None:
    """Raise ScopeMissing where somebody decides who may not."""
    if decides:
        get_identity(request).require(Scope.ADMIN)


def _read_number(request: web.Request, name: str = "number") -> int:
    text = request.match_info[name]
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_NUMBER:
        raise NotFound(f"There is no row {text!r} in this delivery.")
    return int(text)


def _file_response(file: DownloadedFile, media_type: str) -> web.Response:
    return web.Response(
        body=file.content,
        headers={
            "Content-Type": media_type,
            "Content-Disposition": f'attachment; filename="{file.name}"',
            # Personal data must not stay in a cache.
            "Cache-Control": "no-store",
        },
    )
