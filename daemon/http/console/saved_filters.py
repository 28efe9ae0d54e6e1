"""Saved filters on the prospects page: the row of them, the chosen one, and their dialogs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.contacts.prospect_filters import (
    ProspectFilter,
    count_prospects,
    describe_filter,
    format_filter,
    parse_filter,
)
from daemon.contacts.saved_filters import require_saved_filter
from daemon.errors import NotFound
from daemon.http.bodies import PageLimit, RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.language import Language
from daemon.http.console.layout import build_page_context, render_piece
from daemon.http.health import get_services
from storage import saved_filters
from storage.prospect_search import ProspectCount
from storage.saved_filters import SavedFilterRecord
from storage.tx import Reader

routes = web.RouteTableDef()

SAVED_FILTER_ACTIONS: Final = ("change", "rename", "delete")
"""What is done about a saved filter; each has a dialog."""
SavedFilterId = Annotated[str, msgspec.Meta(max_length=64)]
SHOWN_FILTERS: Final = 6
"""How many are in the row, where each is counted; the others are a press away."""
_NOBODY: Final = ProspectCount(0, 0)
_FILTER_FIELDS: Final = frozenset(ProspectFilter.__struct_fields__)


class ProspectsPageQuery(ProspectFilter, frozen=True):
    """A filter of the prospects, and the saved one that it began with.

    `saved_filter` without any field shows that filter as it is saved.
    """

    after: str = ""
    limit: PageLimit = 50
    saved_filter: SavedFilterId = ""


class ChosenFilterQuery(RequestQuery, frozen=True):
    """The saved filter that is chosen."""

    saved_filter: SavedFilterId = ""


class SavedFiltersQuery(ChosenFilterQuery, frozen=True):
    """Which saved filters are shown: those in the row above the list, or all."""

    all: bool = False


class FilterView(Struct, frozen=True, kw_only=True):
    """What the list of prospects is filtered by, and the saved filter that was chosen.

    `fields` are those that are set; `stored_sentence` is the chosen filter as it is saved, where
    that is another one. `gone`: the one that was asked for was deleted.
    """

    fields: Mapping[str, str]
    sentence: str
    count: ProspectCount
    chosen: SavedFilterRecord | None
    stored_sentence: str
    gone: bool

    def __repr__(self) -> str:
        """Keep what is searched for, such as a name, out of logs: only the fields are named."""
        return f"FilterView({', '.join(self.fields)})"


def apply_saved_filter(
    reader: Reader, query: ProspectsPageQuery, given: Mapping[str, str]
) -> ProspectsPageQuery:
    """Return a query with the fields of the saved filter that it names, if it gives none itself."""
    if not query.saved_filter or _FILTER_FIELDS & given.keys():
        return query
    found = saved_filters.find_saved_filter(reader, query.saved_filter)
    if found is None:
        return query
    stored = msgspec.structs.asdict(parse_filter(found.filter))
    return msgspec.structs.replace(query, **stored)


def choose_shown(saved: Sequence[SavedFilterRecord], chosen: str) -> list[SavedFilterRecord]:
    """Return the saved filters in the row above the list: the chosen one, then others by name."""
    return sorted(saved, key=lambda each: each.id != chosen)[:SHOWN_FILTERS]


def build_filter_view(
    reader: Reader, query: ProspectsPageQuery, words: Language, now: datetime, region: str
) -> FilterView:
    """Return what the list is filtered by, for the note above it."""
    chosen = None
    if query.saved_filter:
        chosen = saved_filters.find_saved_filter(reader, query.saved_filter)
    fields, stored = format_filter(query), ""
    if chosen is not None and chosen.filter != fields:
        stored = describe_filter(reader, parse_filter(chosen.filter), words)
    return FilterView(
        fields=fields,
        sentence=describe_filter(reader, query, words),
        count=count_prospects(reader, query, now, region) if fields or chosen else _NOBODY,
        chosen=chosen,
        stored_sentence=stored,
        gone=bool(query.saved_filter) and chosen is None,
    )


@routes.get("/pieces/saved-filters")
@render_errors
async def show_saved_filters(request: web.Request) -> web.StreamResponse:
    """Show the saved filters in the row, or all of them, each with how many people it finds now."""
    query, services = read_query(request, SavedFiltersQuery), get_services(request)
    now, region = build_page_context(request).now, services.settings.daemon.default_region

    def read(reader: Reader) -> tuple[list[SavedFilterRecord], dict[str, int]]:
        saved = saved_filters.list_saved_filters(reader)
        if not query.all:
            saved = choose_shown(saved, query.saved_filter)
        found = (count_prospects(reader, parse_filter(each.filter), now, region) for each in saved)
        return saved, {each.id: n.total for each, n in zip(saved, found, strict=True)}

    saved, counts = await services.database.read(read)
    return render_piece(
        request,
        "pieces/saved_filters.html",
        saved=saved,
        counts=counts,
        chosen=query.saved_filter,
        place="all" if query.all else "shown",
    )


@routes.get("/pieces/saved-filters/new")
@render_errors
async def show_new_saved_filter_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks under which name to keep a filter."""
    chosen, words = read_query(request, ProspectFilter), build_page_context(request).words
    sentence = await get_services(request).database.read(
        lambda reader: describe_filter(reader, chosen, words)
    )
    return render_piece(
        request, "pieces/new_saved_filter.html", fields=format_filter(chosen), sentence=sentence
    )


@routes.get("/pieces/saved-filters/{id}/{action}")
@render_errors
async def show_saved_filter_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that changes, renames or deletes a saved filter, with its consequence."""
    id_, action = request.match_info["id"], request.match_info["action"]
    if action not in SAVED_FILTER_ACTIONS:
        raise NotFound(f"There is nothing to {action} about a saved filter.")
    asked, words = read_query(request, ProspectFilter), build_page_context(request).words

    def read(reader: Reader) -> tuple[SavedFilterRecord, str, str]:
        saved = require_saved_filter(reader, id_)
        stored = describe_filter(reader, parse_filter(saved.filter), words)
        return saved, stored, describe_filter(reader, asked, words)

    saved, stored, becomes = await get_services(request).database.read(read)
    return render_piece(
        request,
        "pieces/saved_filter_dialog.html",
        action=action,
        saved=saved,
        stored=stored,
        becomes=becomes,
        fields=format_filter(asked),
    )
