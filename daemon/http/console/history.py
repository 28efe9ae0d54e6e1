"""The page of the past: what a former system sent and was answered, or that there is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon import validation_errors
from daemon.errors import ImportRejected, LeadMasterError
from daemon.history.options import HistoryOptions
from daemon.history.service import HistoryPreview
from daemon.http.console.error_translation import render_errors
from daemon.http.console.imports import take_prefixed
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from daemon.http.streaming import no_time_limit
from daemon.http.uploads import UploadStore

routes = web.RouteTableDef()

_COLUMN_ORDER: Final = ("phone", "written_at", "direction", "body")
_LEAVE_OUT: Final = "leave_out_rejected"


class HistoryPreviewView(Struct, frozen=True):
    """A preview, or the problem because of which there is none."""

    upload: str
    filename: str
    options: HistoryOptions
    preview: HistoryPreview | None
    problem: LeadMasterError | None

    @property
    def options_json(self) -> str:
        """Return the options for the body of `POST /v1/history`."""
        return msgspec.json.encode(self.options).decode()

    @property
    def can_import(self) -> bool:
        """Return whether an import of what was previewed would be taken."""
        found = self.preview
        if found is None or found.rejected == found.total:
            return False
        return not found.rejected or self.options.leave_out_rejected

    def find_header(self, column: str) -> str:
        """Return the header that a column is read from; empty for none."""
        columns = self.preview.columns if self.preview else ()
        return next((each.header for each in columns if each.use.value == column), "")

    @property
    def unused(self) -> list[str]:
        """Return the headers that nothing is read from."""
        columns = self.preview.columns if self.preview else ()
        return [each.header for each in columns if each.use.value == "unused"]


@routes.get("/prospects/import/history")
@render_errors
async def show_history_page(request: web.Request) -> web.StreamResponse:
    """Show the form for a file, the earlier imports, and what a person declared."""
    status = await get_services(request).history.get_status()
    return await render_page(request, "history.html", active_page="prospects", history=status)


@routes.get("/pieces/history/none")
@render_errors
async def show_no_history_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that records that there is no history to import."""
    return render_piece(request, "pieces/no_history.html")


@routes.get("/pieces/history/preview")
@render_errors
@no_time_limit
async def show_history_preview(request: web.Request) -> web.StreamResponse:
    """Show what an import of an upload would do with the options of the query."""
    services, given = get_services(request), dict(request.query)
    path = UploadStore(services.settings.state_dir).get_path(given.pop("upload", ""))
    found, problem, options = None, None, HistoryOptions()
    try:
        options = _parse_options(given)
        found = await services.history.preview(path, options)
    except LeadMasterError as error:
        problem = error
    view = HistoryPreviewView(path.parent.name, path.name, options, found, problem)
    return render_piece(
        request,
        "pieces/history_preview.html",
        view=view,
        given=given,
        columns=_COLUMN_ORDER,
        region=services.settings.daemon.default_region,
        time_zone=services.settings.daemon.time_zone,
    )


def _parse_options(given: Mapping[str, str]) -> HistoryOptions:
    """Return the options of a form; empty fields are left out."""
    filled: dict[str, Any] = {name: cell.strip() for name, cell in given.items() if cell.strip()}
    options = {
        "mapping": take_prefixed(filled, "map."),
        "words": take_prefixed(filled, "word."),
        _LEAVE_OUT: filled.pop(_LEAVE_OUT, "") == "yes",
    }
    if "region" in filled:
        filled["region"] = filled["region"].upper()
    try:
        return msgspec.convert({**filled, **options}, HistoryOptions)
    except msgspec.ValidationError as error:
        raise ImportRejected(
            validation_errors.format_validation_error(error, HistoryOptions)
        ) from error
