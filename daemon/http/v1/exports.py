"""`/v1/exports`: prospects and suppressions as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final

from aiohttp import web

from daemon.contacts.prospect_filters import ProspectFilter, build_search
from daemon.http.bodies import read_query
from daemon.http.health import get_services
from daemon.http.openapi import CSV, operation
from daemon.http.streaming import cut_without_access, no_time_limit
from daemon.lists.csv_export import format_csv
from daemon.services import Services
from storage import prospect_fields, prospect_search
from storage.prospects import ProspectRecord

routes = web.RouteTableDef()

_PAGE_SIZE: Final = 500
PROSPECT_COLUMNS: Final = (
    "id",
    "phone",
    "name",
    "trade",
    "email",
    "city",
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


class ProspectExportQuery(ProspectFilter, frozen=True):
    """Which prospects to export; without any field, all of them. `ids` are separated by commas."""

    ids: str = ""


@routes.get("/v1/exports/prospects.csv")
@operation(str, query=ProspectExportQuery, media_types=(CSV,))
@no_time_limit
async def export_prospects(request: web.Request) -> web.StreamResponse:
    """Return prospects as CSV in UTF-8, in order of creation.

    Further data of the prospects' lists has a column for each header, after the others. A text
    that a spreadsheet would read as a formula gets an apostrophe before it.
    """
    query, services = read_query(request, ProspectExportQuery), get_services(request)
    response = web.StreamResponse(headers=build_csv_headers("prospects.csv"))
    await response.prepare(request)
    names = await services.database.read(prospect_fields.list_field_names)
    async with cut_without_access(request):
        await response.write(format_csv([_build_header(names)]).encode())
        async for records in _read_pages(services, query):
            await response.write((await _format_rows(services, records, names)).encode())
        await response.write_eof()
    return response


async def format_prospects(services: Services, records: Sequence[ProspectRecord]) -> str:
    """Return these prospects as CSV with a header."""
    names = await services.database.read(prospect_fields.list_field_names)
    return format_csv([_build_header(names)]) + await _format_rows(services, records, names)


def _build_header(names: Sequence[str]) -> list[str]:
    further = [f"{name} (data)" if name in PROSPECT_COLUMNS else name for name in names]
    return [*PROSPECT_COLUMNS, *further]


async def _format_rows(
    services: Services, records: Sequence[ProspectRecord], names: Sequence[str]
) -> str:
    people = [each.id for each in records]
    fields = await services.database.read(
        partial(prospect_fields.list_prospect_fields, prospects=people)
    )
    return format_csv(_list_cells(each, fields[each.id], names) for each in records)


@routes.get("/v1/exports/suppressions.csv")
@operation(str, media_types=(CSV,))
async def export_suppressions(request: web.Request) -> web.Response:
    """Return all suppressions as CSV in UTF-8; erased contacts have only their hash."""
    text = await get_services(request).suppression_lists.export_list()
    return web.Response(body=text.encode(), headers=build_csv_headers("suppressions.csv"))


async def _read_pages(
    services: Services, query: ProspectExportQuery
) -> AsyncIterator[list[ProspectRecord]]:
    region = services.settings.daemon.default_region
    ask = partial(
        prospect_search.search_prospects,
        search=build_search(query, region),
        now=services.clock.now(),  # the same for every page
        ids=query.ids.split(",") if query.ids else None,
        limit=_PAGE_SIZE,
    )
    after = ""
    # Page by page, so that a long export holds neither memory nor a reader's transaction.
    while found := await services.database.read(partial(ask, after=after)):
        yield found
        after = found[-1].id


def _list_cells(
    prospect: ProspectRecord, fields: Mapping[str, str], names: Sequence[str]
) -> list[object]:
    cells: list[object] = [getattr(prospect, name) for name in PROSPECT_COLUMNS]
    return cells + [fields.get(name, "") for name in names]


def build_csv_headers(filename: str) -> dict[str, str]:
    """Return the headers of a CSV file that a browser stores under this name."""
    return {
        "Content-Type": f"{CSV}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{filename}"',
        # Personal data must not stay in a cache.
        "Cache-Control": "no-store",
    }
