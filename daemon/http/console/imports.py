"""The import pages: upload a list, preview it, import it, and see what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon import validation_errors
from daemon.contacts.imports.doubts import ImportDoubts
from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.contacts.imports.preview import ImportPreview
from daemon.contacts.imports.row_parser import PERMISSION_REMARKS
from daemon.errors import ImportRejected, LeadMasterError
from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import get_language, render_page, render_piece
from daemon.http.health import get_services
from daemon.http.streaming import cancel_when_nobody_waits, no_time_limit
from daemon.http.uploads import UploadStore
from daemon.lists.csv_export import format_csv
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
_MAX_SHOWN_REJECTS: Final = 100


class ImportPreviewView(Struct, frozen=True):
    """A preview, or the problem because of which there is none."""

    upload: str
    filename: str
    options: ImportOptions
    preview: ImportPreview | None
    problem: LeadMasterError | None

    @property
    def asks_how_they_agreed(self) -> bool:
        """Whether some say yes without evidence, or the answer to that is given already."""
        all_agreed = self.options.permission is ImportPermission.OPTED_IN
        doubts = self.preview.doubts if self.preview else ImportDoubts()
        return bool(doubts.without_evidence or self.options.statement or all_agreed)

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
        async with cancel_when_nobody_waits(request):
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
    )


@routes.get("/prospects/imports/{id}")
@render_errors
async def show_import_report(request: web.Request) -> web.StreamResponse:
    """Show the result of an import, and which records were rejected and why."""
    services, import_id = get_services(request), request.match_info["id"]
    found = await services.imports.get_report(import_id)
    rejects = await services.imports.list_rejects(import_id)
    rows = await services.database.read(lambda reader: imports.list_import_rows(reader, import_id))
    origin = await services.database.read(
        lambda reader: imports.get_origin_in_words(reader, import_id)
    )
    return await render_page(
        request,
        "import_report.html",
        active_page="prospects",
        report=found,
        repeated="repeated" in request.query,
        origin=origin,
        rejects=rejects[:_MAX_SHOWN_REJECTS],
        remarks=_count_remarks(rows, on_permission=True),
        other_remarks=_count_remarks(rows, on_permission=False),
    )


@routes.get("/pieces/imports/{id}/undone")
@render_errors
async def show_import_undo(request: web.Request) -> web.StreamResponse:
    """Show how far the undoing of an import is, and who stays."""
    found = await get_services(request).imports.get_report(request.match_info["id"])
    return render_piece(request, "pieces/import_undo.html", report=found)


@routes.get("/pieces/imports/{id}/undo")
@render_errors
async def show_undo_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that undoes an import."""
    found = await get_services(request).imports.get_report(request.match_info["id"])
    return render_piece(request, "pieces/import_undo_dialog.html", report=found)


@routes.get("/prospects/imports/{id}/rejects.csv")
@render_errors
async def download_rejects(request: web.Request) -> web.StreamResponse:
    """Return the rejected records as CSV: the number of each in the file, and the reason."""
    import_id = request.match_info["id"]
    found = await get_services(request).imports.list_rejects(import_id)
    return web.Response(
        body=_render_csv(found, get_language(request)),
        content_type="text/csv",
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{import_id}-rejects.csv"',
            "Cache-Control": "no-store",
        },
    )


def _parse_options(given: Mapping[str, str], kept: Sequence[str]) -> ImportOptions:
    """Return the import options of a form; empty fields are left out.

    ``kept`` are the headers whose cells are kept as data of each prospect.
    """
    # A form sends its empty fields too; the options' defaults are meant there.
    filled = {name: value.strip() for name, value in given.items() if value.strip()}
    options: dict[str, object] = {
        "mapping": take_prefixed(filled, _MAPPING_PREFIX),
        "consent_words": take_prefixed(filled, _WORD_PREFIX),
        _KEPT_FIELDS: [header for header in kept if header],
    }
    filled.pop(_KEPT_FIELDS, None)
    if "region" in filled:
        filled["region"] = filled["region"].upper()
    try:
        # A tick is the text "true".
        return msgspec.convert({**filled, **options}, ImportOptions, strict=False)
    except msgspec.ValidationError as error:
        raise ImportRejected(
            validation_errors.format_validation_error(error, ImportOptions)
        ) from error


def take_prefixed(filled: dict[str, str], prefix: str) -> dict[str, str]:
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


def _render_csv(found: Sequence[ImportRowRecord], words: Language) -> bytes:
    """Return the records with their reason as a sentence in the reader's language."""
    head = tuple(words(f"imports.csv.{column}") for column in ("record", "code", "reason"))
    rows = ((each.record, each.reason_code, words.translate(each.sentence)) for each in found)
    return format_csv([head, *rows]).encode()
