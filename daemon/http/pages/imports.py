"""`/prospects/import`: hand a list in, see what it would do, bring it in, and what was left out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from daemon import misfits
from daemon.errors import ImportRejected, LeadMasterError
from daemon.http.pages.shell import page, piece, told
from daemon.http.streams import endless
from daemon.http.uploads import Uploads
from daemon.http.vitals import house_of
from daemon.imports.options import ImportOptions
from daemon.imports.reports import ImportPreview
from storage import directory, imports
from storage.imports import ImportRowOutcome, ImportRowRecord

routes = web.RouteTableDef()

ORDER: Final = (
    *("phone", "name", "trade", "cartera_origen", "permission", "evidence", "data_date", "notes"),
)
"""Every column that a header can be mapped to, in the order in which people think of them."""
_MAPPED: Final = "map."
_VEILED: Final = re.compile(r"\d(?=(?:\D*\d){4})")
_SHOWN_REJECTS: Final = 100


@dataclass(frozen=True, slots=True)
class Looked:
    """A preview, or why there is none; `order` is exactly what would be imported."""

    upload: str
    filename: str
    options: ImportOptions
    preview: ImportPreview | None
    problem: LeadMasterError | None

    @property
    def order(self) -> dict[str, Any]:
        """Return the body that brings in what was looked at."""
        return {"upload": self.upload, "options": msgspec.to_builtins(self.options)}


@routes.get("/prospects/import")
@told
async def begin(request: web.Request) -> web.StreamResponse:
    """Ask for a list, and show those that were brought in before."""
    past = await house_of(request).database.read(directory.imports)
    return await page(request, "import.html", here="prospects", past=past)


@routes.get("/pieces/imports/preview")
@told
@endless
async def preview(request: web.Request) -> web.StreamResponse:
    """Show what an import of an upload would do, read the way that the query says."""
    house, given = house_of(request), dict(request.query)
    path = Uploads(house.settings.state_dir).path(given.pop("upload", ""))
    found, problem, options = None, None, ImportOptions()
    try:
        options = _options(given)
        found = await house.imports.preview(path, options)
    except LeadMasterError as error:
        problem = error
    looked = Looked(path.parent.name, path.name, options, found, problem)
    region = house.settings.daemon.default_region
    return piece(
        request,
        "pieces/import_preview.html",
        looked=looked,
        given=given,
        columns=ORDER,
        region=region,
        veiled=veiled,
    )


@routes.get("/prospects/imports/{id}")
@told
async def report(request: web.Request) -> web.StreamResponse:
    """Show what became of a list, and which records were left out, and why."""
    house, wanted = house_of(request), request.match_info["id"]
    found = await house.imports.report(wanted)
    rejects = await house.imports.rejects(wanted)
    return await page(
        request,
        "import_report.html",
        here="prospects",
        report=found,
        rejects=rejects[:_SHOWN_REJECTS],
        remarks=await house.database.read(lambda reader: _remarks(imports.records(reader, wanted))),
    )


@routes.get("/prospects/imports/{id}/rejects.csv")
@told
async def rejects(request: web.Request) -> web.StreamResponse:
    """Return the rejected records as CSV: the record's number in the file, and why."""
    wanted = request.match_info["id"]
    found = await house_of(request).imports.rejects(wanted)
    return web.Response(
        body=_csv(found),
        content_type="text/csv",
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{wanted}-rejects.csv"',
            "Cache-Control": "no-store",
        },
    )


def veiled(cell: str) -> str:
    """Return what a cell of numbers looks like: its form, and the last digits alone."""
    return _VEILED.sub("•", cell)


def _options(given: Mapping[str, str]) -> ImportOptions:
    """Return the options that a form gives: what is empty is not given."""
    filled = {name: value.strip() for name, value in given.items() if value.strip()}
    mapping = {
        name.removeprefix(_MAPPED): value
        for name, value in filled.items()
        if name.startswith(_MAPPED)
    }
    plain = {name: value for name, value in filled.items() if not name.startswith(_MAPPED)}
    if "region" in plain:
        plain["region"] = plain["region"].upper()
    try:
        return msgspec.convert({**plain, "mapping": mapping}, ImportOptions)
    except msgspec.ValidationError as error:
        raise ImportRejected(misfits.sentence(error, ImportOptions)) from error


def _remarks(found: Sequence[ImportRowRecord]) -> dict[str, int]:
    """Return by sentence how many records came in as less than they said."""
    counts: dict[str, int] = {}
    for each in found:
        if each.outcome is not ImportRowOutcome.REJECTED and each.sentence:
            counts[each.sentence] = counts.get(each.sentence, 0) + 1
    return counts


def _csv(found: Sequence[ImportRowRecord]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("record", "reason_code", "sentence"))
    writer.writerows((each.record, each.reason_code, each.sentence) for each in found)
    return out.getvalue().encode()
