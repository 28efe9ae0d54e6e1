"""Keeps filters of prospects under names: exact counts, and each as a sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.contacts.prospect_filters import (
    ProspectFilter,
    count_prospects,
    describe_filter,
    drop_searched_text,
    format_filter,
    parse_filter,
)
from daemon.errors import BadRequest, Conflict, NotFound
from storage import audit, imports, saved_filters
from storage.connections import fold_text
from storage.db import Database
from storage.saved_filters import SavedFilterRecord
from storage.tx import Reader, Tx

MAX_SAVED_FILTERS: Final = 30
"""How many there may be: each is counted where all are shown."""
MAX_NAME_LENGTH: Final = 60
_LANGUAGE: Final = "en"
"""Of the sentences that programs get."""
_MOMENT: Final = timedelta(milliseconds=1)
"""The least that two changes of a filter are apart, so that one is never taken for the other."""
_LIST_HINT: Final = "List them: leadmaster filters list"


class SavedFilter(Struct, frozen=True, kw_only=True):
    """A filter of prospects under a name.

    ``count`` is exactly how many people it finds now; ``suppressed`` of them opted out.
    """

    id: str
    name: str
    filter: ProspectFilter
    sentence: str
    count: int
    suppressed: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str

    def __repr__(self) -> str:
        """Keep what is searched for, such as a name, out of logs."""
        return f"SavedFilter({self.id!r})"


class SavedFilterService:
    """Keeps, changes and deletes saved filters; campaigns hold copies of what they took."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        default_region: str,
        load_words: Callable[[str], Callable[..., str]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._region = default_region
        self._load_words = load_words

    async def list_filters(self) -> list[SavedFilter]:
        """Return every saved filter, by name."""
        return await self._database.read(
            lambda reader: [
                self._build_view(reader, each) for each in saved_filters.list_saved_filters(reader)
            ]
        )

    async def get(self, id_or_name: str) -> SavedFilter:
        """Return a saved filter. Raises NotFound."""
        return await self._database.read(
            lambda reader: self._build_view(reader, require_saved_filter(reader, id_or_name))
        )

    async def create(self, name: str, chosen: ProspectFilter, who: str) -> SavedFilter:
        """Keep a filter under a name.

        Raises BadRequest for a filter without a field, and Conflict for a name that is taken or
        one filter too many.
        """
        cleaned, now = _clean_name(name), self._clock.now()

        def job(tx: Tx) -> SavedFilterRecord:
            if saved_filters.count_saved_filters(tx) >= MAX_SAVED_FILTERS:
                raise Conflict(
                    f"There are {MAX_SAVED_FILTERS} saved filters, and no more fit.",
                    hint="Delete one that nobody uses: leadmaster filters delete",
                )
            fields = _require_fields(tx, chosen)
            id_ = saved_filters.insert_saved_filter(tx, cleaned, fields, at=now, who=who)
            if id_ is None:
                raise _build_taken_error(cleaned)
            detail = {"name": cleaned} | drop_searched_text(fields)
            audit.insert_audit_entry(tx, now, who, "saved_filter_created", id_, detail=detail)
            return require_saved_filter(tx, id_)

        return await self._read_view(await self._database.write(job, urgent=True))

    async def change(
        self,
        id_or_name: str,
        who: str,
        *,
        name: str | None = None,
        chosen: ProspectFilter | None = None,
        as_read: datetime | None = None,
        language: str = _LANGUAGE,
    ) -> SavedFilter:
        """Give a saved filter another name, other fields, or both; what is None stays.

        ``as_read`` is its `changed_at` as the caller read it: Conflict where somebody changed it
        since, which says in ``language`` what it is now. Raises NotFound and BadRequest too. No
        campaign changes by it.
        """
        now = self._clock.now()

        def job(tx: Tx) -> SavedFilterRecord:
            before = require_saved_filter(tx, id_or_name)
            self._require_unchanged(tx, before, as_read, language)
            new_name = before.name if name is None else _clean_name(name)
            fields = before.filter if chosen is None else _require_fields(tx, chosen)
            done = saved_filters.update_saved_filter(
                tx, before.id, new_name, fields, at=max(now, before.changed_at + _MOMENT), who=who
            )
            if not done:
                raise _build_taken_error(new_name)
            after = require_saved_filter(tx, before.id)
            detail = _describe_change(before, after)
            audit.insert_audit_entry(tx, now, who, "saved_filter_changed", before.id, detail=detail)
            return after

        return await self._read_view(await self._database.write(job, urgent=True))

    async def delete(
        self,
        id_or_name: str,
        who: str,
        *,
        as_read: datetime | None = None,
        language: str = _LANGUAGE,
    ) -> SavedFilter:
        """Delete a saved filter and return it; campaigns keep what they took.

        Raises NotFound, and Conflict as `change` does.
        """
        now = self._clock.now()

        def job(tx: Tx) -> SavedFilterRecord:
            found = require_saved_filter(tx, id_or_name)
            self._require_unchanged(tx, found, as_read, language)
            saved_filters.delete_saved_filter(tx, found.id)
            detail = {"name": found.name} | drop_searched_text(found.filter)
            audit.insert_audit_entry(tx, now, who, "saved_filter_deleted", found.id, detail=detail)
            return found

        return await self._read_view(await self._database.write(job, urgent=True))

    def _require_unchanged(
        self, reader: Reader, record: SavedFilterRecord, as_read: datetime | None, language: str
    ) -> None:
        """Raise Conflict where somebody changed a filter since it was read."""
        if as_read is None or as_read == record.changed_at:
            return
        words = self._load_words(language)
        sentence = describe_filter(reader, parse_filter(record.filter), words)
        raise Conflict(
            f"The saved filter was changed by {record.changed_by} meanwhile."
            f" It is now {record.name}: {sentence}.",
            hint=f"Read it again, and decide then: leadmaster filters show {record.id}",
        )

    async def _read_view(self, record: SavedFilterRecord) -> SavedFilter:
        """Return a filter with its count, which the writer must not wait for."""
        return await self._database.read(lambda reader: self._build_view(reader, record))

    def _build_view(self, reader: Reader, record: SavedFilterRecord) -> SavedFilter:
        chosen = parse_filter(record.filter)
        counted = count_prospects(reader, chosen, self._clock.now(), self._region)
        return SavedFilter(
            id=record.id,
            name=record.name,
            filter=chosen,
            sentence=describe_filter(reader, chosen, self._load_words(_LANGUAGE)),
            count=counted.total,
            suppressed=counted.suppressed,
            created_at=record.created_at,
            created_by=record.created_by,
            changed_at=record.changed_at,
            changed_by=record.changed_by,
        )


def require_saved_filter(reader: Reader, id_or_name: str) -> SavedFilterRecord:
    """Return a saved filter by its id or its name; raise :class:`NotFound`."""
    found = saved_filters.find_saved_filter(reader, id_or_name)
    if found is None:
        raise NotFound(
            "There is no such saved filter; somebody may have deleted it.", hint=_LIST_HINT
        )
    return found


def _clean_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise BadRequest(f"name: it must have 1 to {MAX_NAME_LENGTH} letters, on one line.")
    if not fold_text(name).strip():
        raise BadRequest("name: accents alone are no name.")
    return name


def _describe_change(before: SavedFilterRecord, after: SavedFilterRecord) -> dict[str, object]:
    """Return what the audit stores of a change: of the text, only that it is another one."""
    detail: dict[str, object] = {"name": after.name}
    if after.name != before.name:
        detail["before"] = before.name
    if after.filter == before.filter:
        return detail
    detail |= {f"{name}_before": value for name, value in drop_searched_text(before.filter).items()}
    detail |= drop_searched_text(after.filter)
    if after.filter.get("text") != before.filter.get("text"):
        detail["text_changed"] = True
    return detail


def _require_fields(reader: Reader, chosen: ProspectFilter) -> dict[str, str]:
    """Return the fields of a filter; raise BadRequest without any, or for an unknown import."""
    fields = format_filter(chosen)
    if not fields:
        raise BadRequest(
            "filter: without a field it finds everybody.", hint="Filter the prospects first."
        )
    import_id = fields.get("import_id")
    if import_id and imports.get_import(reader, import_id) is None:
        raise BadRequest(f"import_id: there is no import {import_id}.")
    return fields


def _build_taken_error(name: str) -> Conflict:
    return Conflict(f"There is a saved filter named {name} already.", hint=_LIST_HINT)
