"""The filter of prospects: what lists, exports, campaigns and saved filters have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Struct

from daemon.contacts.aliases import list_searched_spellings
from daemon.gate.consent import Permission
from statemachines.prospect import ValidationState
from storage import imports, prospect_search
from storage.erasure import is_erased_text
from storage.prospect_search import ProspectCount, ProspectDirectoryEntry, ProspectSearch
from storage.tx import Reader

MAX_FIELD_LENGTH: Final = 200
_FieldText: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_FIELD_LENGTH)]


class ProspectFilter(Struct, frozen=True, forbid_unknown_fields=True):
    """What the list of prospects is filtered by; without any field, all of them."""

    text: _FieldText = ""
    validation: ValidationState | None = None
    permission: Permission | None = None
    import_id: _FieldText = ""

    def __repr__(self) -> str:
        """Keep what is searched for, such as a name, out of logs: only the fields are named."""
        return f"ProspectFilter({', '.join(format_filter(self))})"


def format_filter(chosen: ProspectFilter) -> dict[str, str]:
    """Return the fields of a filter that are set, as they are stored and as an address has them."""
    fields = {
        "text": chosen.text.strip(),
        "validation": chosen.validation or "",
        "permission": chosen.permission or "",
        "import_id": chosen.import_id,
    }
    return {name: str(value) for name, value in fields.items() if value}


def parse_filter(stored: Mapping[str, str]) -> ProspectFilter:
    """Return a filter from its stored fields."""
    return msgspec.convert(stored, ProspectFilter)


def drop_searched_text(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a filter without its text, which may be a person's name."""
    return {name: value for name, value in fields.items() if name != "text"}


def build_search(chosen: ProspectFilter, region: str) -> ProspectSearch:
    """Return the search that finds the people of a filter.

    ``region`` is that of numbers which are searched for without their country.
    """
    fields = format_filter(chosen)
    numbers = list_searched_spellings(fields.get("text", ""), region)
    return ProspectSearch(**fields, numbers=numbers)


def find_prospects(
    reader: Reader,
    chosen: ProspectFilter,
    now: datetime,
    region: str,
    *,
    ids: Sequence[str] | None = None,
    after: str = "",
    limit: int,
) -> list[ProspectDirectoryEntry]:
    """Return the people that a filter finds, newest first, past the id ``after``.

    With ``ids``, of these alone. ``region`` is that of `build_search`.
    """
    return prospect_search.search_prospect_directory(
        reader, build_search(chosen, region), now=now, ids=ids, after=after, limit=limit
    )


def count_prospects(
    reader: Reader, chosen: ProspectFilter, now: datetime, region: str
) -> ProspectCount:
    """Return exactly how many people a filter finds, and how many of them opted out.

    As the audience of a campaign counts: except for users' own numbers of test messages.
    """
    return prospect_search.count_prospect_directory(reader, build_search(chosen, region), now=now)


def describe_filter(reader: Reader, chosen: ProspectFilter, words: Callable[..., str]) -> str:
    """Return a filter as a sentence, such as `People whose permission is: Agreed`."""
    parts = []
    if chosen.permission:
        name = words(f"permission.{chosen.permission}")
        parts.append(words("filter_sentence.permission", what=name))
    if chosen.validation:
        name = words(f"validation.{chosen.validation}")
        parts.append(words("filter_sentence.validation", what=name))
    if chosen.import_id:
        record = imports.get_import(reader, chosen.import_id)
        name = record.filename if record else chosen.import_id
        parts.append(words("filter_sentence.import", what=name))
    text = chosen.text.strip()
    if is_erased_text(text):
        return words("filter_sentence.erased")
    if text:
        parts.append(words("filter_sentence.text", what=text))
    if not parts:
        return words("filter_sentence.all")
    return words("filter_sentence.some", what=words("filter_sentence.and").join(parts))
