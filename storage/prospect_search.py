"""Searches prospects by name, trade, origin or number, for the API and for the console's list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp
from storage.prospects import (
    PERMISSION_AT,
    TEST_MESSAGE_ORIGIN,
    ProspectRecord,
    prospect_from_row,
)
from storage.sql_text import build_searched_digits, format_number_search, format_text_search
from storage.suppressions import IS_CONTACT_SUPPRESSED
from storage.tx import Reader

_HAS_TEXT: Final = (
    f"({format_text_search(':text', 'name', 'trade', 'cartera_origen')}"
    f" OR {format_number_search('phone')})"
)
_IS_FOUND: Final = (
    "(:validation = '' OR validation = :validation)"
    f" AND (:permission = '' OR {PERMISSION_AT} = :permission)"
    f" AND (:import = '' OR import = :import) AND (id = :text OR {_HAS_TEXT})"
)
"""The condition that a search finds a prospect; its parameters are of `_bind_search`."""
_HAS_NAME_OR_NUMBER: Final = (
    f"({format_text_search(':text', 'name')} OR {format_number_search('phone')})"
)
_NATIONAL_DIGITS: Final = 8
"""The digits at the end of a number that it has in each notation; before them lies an area."""
_IS_SUPPRESSED: Final = IS_CONTACT_SUPPRESSED.format(contact="p.contact")


class ProspectSearch(Struct, frozen=True):
    """What prospects are searched by; without any field, it finds all of them.

    `text` is an id, part of a name, a trade or an origin, with accents or without, or digits of a
    number in any notation; `numbers` are the digits of its other spellings.
    """

    text: str = ""
    numbers: Sequence[str] = ()
    validation: str = ""
    permission: str = ""
    import_id: str = ""

    def __repr__(self) -> str:
        """Keep what is searched for, such as a name, out of logs: only the fields are named."""
        return f"ProspectSearch({', '.join(n for n in self.__struct_fields__ if getattr(self, n))})"


class ProspectDirectoryEntry(Struct, frozen=True):
    """A prospect, and whether their contact is suppressed."""

    prospect: ProspectRecord
    suppressed: bool


class ProspectCount(Struct, frozen=True):
    """How many prospects a search finds, and how many of them are suppressed."""

    total: int
    suppressed: int


def search_prospect_directory(
    reader: Reader,
    search: ProspectSearch,
    *,
    now: datetime,
    ids: Sequence[str] | None = None,
    after: str = "",
    limit: int = 50,
) -> list[ProspectDirectoryEntry]:
    """Return prospects as of ``now``, newest first, past the id `after`; with `ids`, of these."""
    rows = reader.all(
        f"SELECT p.*, {_IS_SUPPRESSED} AS suppressed FROM prospects AS p"
        f" WHERE (:after = '' OR id < :after) AND {_IS_FOUND}"
        " AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))"
        " ORDER BY id DESC LIMIT :limit",
        {"after": after, "limit": limit, "ids": None if ids is None else json.dumps(list(ids))}
        | _bind_search(search, now),
    )
    return [
        ProspectDirectoryEntry(prospect_from_row(row).as_of(now), bool(row["suppressed"]))
        for row in rows
    ]


def count_prospect_directory(
    reader: Reader, search: ProspectSearch, *, now: datetime
) -> ProspectCount:
    """Return how many prospects a search finds as of ``now``.

    Except for users on whose own numbers texts were tried.
    """
    [row] = reader.all(
        f"SELECT count(*) AS total, count(*) FILTER (WHERE {_IS_SUPPRESSED}) AS suppressed"
        f" FROM prospects AS p WHERE {_IS_FOUND} AND cartera_origen <> :test_message",
        _bind_search(search, now) | {"test_message": TEST_MESSAGE_ORIGIN},
    )
    return ProspectCount(row["total"], row["suppressed"])


def finds_contact_alone(reader: Reader, text: str, contact: str) -> bool:
    """Return whether a text finds this contact by name or number, and finds nobody else."""
    digits = "".join(filter(str.isdigit, text))[-_NATIONAL_DIGITS:]
    numbers = [digits] if len(digits) == _NATIONAL_DIGITS else []
    bound = {"text": text, "digits": build_searched_digits(text, numbers), "contact": contact}
    mine = f"SELECT 1 FROM prospects AS p WHERE contact = :contact AND {_HAS_NAME_OR_NUMBER}"
    others = f"SELECT 1 FROM prospects AS p WHERE contact <> :contact AND {_HAS_TEXT} LIMIT 1"
    # The others are looked through only where it finds the one.
    return reader.value(mine, bound) is not None and reader.value(others, bound) is None


def search_prospects(
    reader: Reader,
    search: ProspectSearch,
    *,
    now: datetime,
    ids: Sequence[str] | None = None,
    intents: Sequence[str] | None = None,
    after: str = "",
    limit: int = 50,
) -> list[ProspectRecord]:
    """Return prospects as of ``now``, past the id ``after``, oldest first.

    With ``ids``, of these alone; with ``intents``, those whose purchase intent is one of them.
    """
    rows = reader.all(
        f"SELECT * FROM prospects AS p WHERE id > :after AND {_IS_FOUND}"
        " AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))"
        " AND (:intents IS NULL OR intent IN (SELECT value FROM json_each(:intents)))"
        " ORDER BY id LIMIT :limit",
        {
            "ids": None if ids is None else json.dumps(list(ids)),
            "intents": None if intents is None else json.dumps(list(intents)),
        }
        | {"after": after, "limit": limit}
        | _bind_search(search, now),
    )
    return [prospect_from_row(row).as_of(now) for row in rows]


def _bind_search(search: ProspectSearch, now: datetime) -> dict[str, object]:
    return {
        "now": format_timestamp(now),
        "text": search.text,
        "digits": build_searched_digits(search.text, search.numbers),
        "validation": search.validation,
        "permission": search.permission,
        "import": search.import_id,
    }
