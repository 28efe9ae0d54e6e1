"""The import pages: upload a list, preview it, import it, and see what was left out and why."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from daemon import validation_errors
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.row_parser import PERMISSION_REMARKS
from daemon.contacts.imports.service import ImportPreview
from daemon.errors import ImportRejected, LeadMasterError
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from daemon.http.streaming import no_time_limit
from daemon.http.uploads import UploadStore
from storage import imports
from storage.imports import ImportRowOutcome, ImportRowRecord

routes = web.RouteTableDef()

COLUMN_ORDER: Final = (
    *("phone", "name", "first_name", "middle_name", "last_name", "organisation", "trade", "city"),
    *("email", "cartera_origen", "permission", "refusal", "evidence", "data_date", "notes"),
)
"""Every column that a header can be mapped to, in the order of the form."""
_MAPPING_PREFIX: Final = "map."
_WORD_PREFIX: Final = "word."
_KEPT_FIELDS: Final = "fields"
_MASKED_DIGITS: Final = re.compile(r"\d(?=(?:\D*\d){4})")
_MAX_SHOWN_REJECTS: Final = 100


@dataclass(frozen=True, slots=True)
class ImportPreviewView:
    """A preview, or the problem because of which there is none."""

    upload: str
    filename: str
    options: ImportOptions
    preview: ImportPreview | None
    problem: LeadMasterError | None

    @property
    def import_body(self) -> dict[str, Any]:
        """Return the body of `POST /v1/imports` that imports exactly what was previewed."""
        plan = self.preview.plan if self.preview else ""
        return {
            "upload": self.upload,
            "plan": plan,
            "options": msgspec.to_builtins(self.options),
        }


@routes.get("/prospects/import")
@render_errors
async def show_import_page(request: web.Request) -> web.StreamResponse:
    """Show the form for a file, and the earlier imports."""
    past = await get_services(request).database.read(imports.list_imports)
    return await render_page(request, "import.html", active_page="prospects", past=past)


@routes.get("/pieces/imports/preview")
@render_errors
@no_time_limit
async def show_import_preview(request: web.Request) -> web.StreamResponse:
    """Show what an import of an upload would do with the options of the query."""
    services, given = get_services(request), dict(request.query)
    kept = request.query.getall(_KEPT_FIELDS, [])
    path = UploadStore(services.settings.state_dir).get_path(given.pop("upload", ""))
    # A problem is shown inside the form, where it can be corrected, and not instead of it.
    found, problem, options = None, None, ImportOptions()
    try:
        options = _parse_options(given, kept)
        found = await services.imports.preview(path, options)
    except LeadMasterError as error:
        problem = error
    view = ImportPreviewView(path.parent.name, path.name, options, found, problem)
    region = services.settings.daemon.default_region
    return render_piece(
        request,
        "pieces/import_preview.html",
        view=view,
        given=given,
        columns=COLUMN_ORDER,
        region=region,
        mask_cell=mask_cell,
    )


@routes.get("/prospects/imports/{id}")
@render_errors
async def show_import_report(request: web.Request) -> web.StreamResponse:
    """Show the result of an import, and which records were rejected and why."""
    services, import_id = get_services(request), request.match_info["id"]
    found = await services.imports.get_report(import_id)
    rejects = await services.imports.list_rejects(import_id)
    rows = await services.database.read(lambda reader: imports.list_import_rows(reader, import_id))
    return await render_page(
        request,
        "import_report.html",
        active_page="prospects",
        report=found,
        rejects=rejects[:_MAX_SHOWN_REJECTS],
        remarks=_count_remarks(rows, on_permission=True),
        other_remarks=_count_remarks(rows, on_permission=False),
    )


@routes.get("/prospects/imports/{id}/rejects.csv")
@render_errors
async def download_rejects(request: web.Request) -> web.StreamResponse:
    """Return the rejected records as CSV: the number of each in the file, and the reason."""
    import_id = request.match_info["id"]
    found = await get_services(request).imports.list_rejects(import_id)
    return web.Response(
        body=_render_csv(found),
        content_type="text/csv",
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{import_id}-rejects.csv"',
            "Cache-Control": "no-store",
        },
    )


def mask_cell(cell: str) -> str:
    """Return a cell with every digit masked but the last four."""
    return _MASKED_DIGITS.sub("•", cell)


def _parse_options(given: Mapping[str, str], kept: Sequence[str]) -> ImportOptions:
    """Return the import options of a form; empty fields are left out.

    ``kept`` are the headers whose cells are kept as data of each prospect.
    """
    # A form sends its empty fields too; the options' defaults are meant there.
    filled = {name: value.strip() for name, value in given.items() if value.strip()}
    options: dict[str, object] = {
        "mapping": _take_prefixed(filled, _MAPPING_PREFIX),
        "consent_words": _take_prefixed(filled, _WORD_PREFIX),
        _KEPT_FIELDS: [header for header in kept if header],
    }
    filled.pop(_KEPT_FIELDS, None)
    if "region" in filled:
        filled["region"] = filled["region"].upper()
    try:
        return msgspec.convert({**filled, **options}, ImportOptions)
    except msgspec.ValidationError as error:
        raise ImportRejected(
            validation_errors.format_validation_error(error, ImportOptions)
        ) from error


def _take_prefixed(filled: dict[str, str], prefix: str) -> dict[str, str]:
    """Move the fields with this prefix out of a form; return them without it."""
    names = [name for name in filled if name.startswith(prefix)]
    return {name.removeprefix(prefix): filled.pop(name) for name in names}


def _count_remarks(found: Sequence[ImportRowRecord], *, on_permission: bool) -> dict[str, int]:
    """Return how many records were accepted with a remark on permission, or another, by remark."""
    counts: dict[str, int] = {}
    for each in found:
        is_on_permission = each.reason_code in PERMISSION_REMARKS
        if each.outcome is ImportRowOutcome.REJECTED or is_on_permission is not on_permission:
            continue
        if each.sentence:
            counts[each.sentence] = counts.get(each.sentence, 0) + 1
    return counts


def _render_csv(found: Sequence[ImportRowRecord]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("record", "reason_code", "sentence"))
    writer.writerows((each.record, each.reason_code, each.sentence) for each in found)
    return out.getvalue().encode()
