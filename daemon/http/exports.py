"""Exports as CSV: prospects, and the suppressed. No cell is a formula for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final

from aiohttp import web

from daemon.consent import Permission
from daemon.http.bodies import Query, query
from daemon.http.house import House
from daemon.http.openapi import CSV, operation
from daemon.http.streams import endless
from daemon.http.vitals import house_of
from daemon.suppression import export_csv
from statemachines.prospect import ValidationState
from storage import prospects
from storage.prospects import ProspectRecord

routes = web.RouteTableDef()

_PAGE: Final = 500
COLUMNS: Final = (
    "id",
    "phone",
    "name",
    "trade",
    "cartera_origen",
    "permission",
    "intent",
    "validation",
    "validado_tecnicamente",
    "validated_at",
    "expires_at",
    "score_contactabilidad",
    "on_whatsapp",
    "line_type",
    "country",
    "data_date",
    "notes",
)
_TYPED: Final = frozenset({"name", "trade", "cartera_origen", "notes"})
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class ProspectExportQuery(Query, frozen=True):
    """Which prospects to export; without a word all of them."""

    text: str = ""
    validation: ValidationState | None = None
    permission: Permission | None = None


@routes.get("/v1/exports/prospects.csv")
@operation(str, query=ProspectExportQuery, gives=(CSV,))
@endless
async def of_prospects(request: web.Request) -> web.StreamResponse:
    """Return prospects as CSV in UTF-8, in the order they came.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    wanted, house = query(request, ProspectExportQuery), house_of(request)
    response = web.StreamResponse(headers=_headers("prospects.csv"))
    await response.prepare(request)
    await response.write(_lines([COLUMNS]))
    async for records in _pages(house, wanted):
        await response.write(_lines(map(_cells, records)))
    await response.write_eof()
    return response


@routes.get("/v1/exports/suppressions.csv")
@operation(str, gives=(CSV,))
async def of_suppressions(request: web.Request) -> web.Response:
    """Return everybody who is suppressed, as CSV in UTF-8; erased names by their hash alone."""
    text = await export_csv(house_of(request).suppression)
    return web.Response(body=text.encode(), headers=_headers("suppressions.csv"))


async def _pages(house: House, wanted: ProspectExportQuery) -> AsyncIterator[list[ProspectRecord]]:
    ask = partial(
        prospects.search,
        text=wanted.text,
        validation=wanted.validation,
        permission=wanted.permission,
        limit=_PAGE,
    )
    after = ""
    while found := await house.database.read(partial(ask, after=after)):
        yield found
        after = found[-1].id


def _cells(prospect: ProspectRecord) -> list[object]:
    return [_cell(name, getattr(prospect, name)) for name in COLUMNS]


def _cell(name: str, value: object) -> object:
    text = "" if value is None else str(value)
    return f"'{text}" if name in _TYPED and text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _headers(filename: str) -> dict[str, str]:
    return {
        "Content-Type": f"{CSV}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{filename}"',
        "Cache-Control": "no-store",
    }
