"""What a text's variables are for one person, and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from daemon.api.text import fold_text
from daemon.gate.text_templates import (
    MAX_FILLED_LENGTH,
    VARIABLES,
    fill_in,
    list_variables,
    take_first_name,
)
from storage import imports, prospect_fields
from storage.prospects import ProspectRecord
from storage.texts import NewTextVersion, TextVersion
from storage.tx import Reader

_VALUES_WITHOUT_FIELDS: Final = frozenset(VARIABLES) - {"empresa"}
_COMPANY_HEADERS: Final = frozenset(
    {"empresa", "organizacion", "organisation", "organization", "company", "razon social"}
)


class PersonalText(Struct, frozen=True, kw_only=True):
    """A text as one person would get it.

    ``missing``: variables without a value for them and without words in its place; ``text`` is
    empty then, since the person is left out. ``values`` are what was taken for each variable.
    """

    prospect: str
    name: str
    text: str
    values: Mapping[str, str]
    missing: tuple[str, ...]

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"PersonalText({self.prospect!r})"


def list_known_variables(reader: Reader) -> list[str]:
    """Return every variable that a text may have: the fixed ones, and the fields of lists."""
    fields = [each for each in prospect_fields.list_field_names(reader) if "{" not in each]
    return [*VARIABLES, *(each for each in fields if "}" not in each and each not in VARIABLES)]


def build_personal_text(
    reader: Reader, version: TextVersion | NewTextVersion, prospect: ProspectRecord, who: str
) -> PersonalText:
    """Return a version as one person would get it from ``who``."""
    whole = version.template
    wanted = list_variables(whole)
    known = _list_values(reader, prospect, who, set(wanted))
    # One line each, so that no value looks like a part of the text.
    values = {name: " ".join(known.get(name, "").split())[:MAX_FILLED_LENGTH] for name in wanted}
    missing = tuple(
        name for name, value in values.items() if not value and not version.fallbacks.get(name)
    )
    filled = {name: value or version.fallbacks.get(name, "") for name, value in values.items()}
    return PersonalText(
        prospect=prospect.id,
        name=prospect.name,
        text="" if missing else fill_in(whole, filled),
        values=filled,
        missing=missing,
    )


def _list_values(
    reader: Reader, prospect: ProspectRecord, who: str, wanted: Collection[str]
) -> dict[str, str]:
    """Return at least the wanted values; what only others need is not read."""
    fields: Mapping[str, str] = {}
    if not _VALUES_WITHOUT_FIELDS.issuperset(wanted):
        fields = prospect_fields.list_prospect_fields(reader, [prospect.id])[prospect.id]
    company = (value for name, value in fields.items() if fold_text(name) in _COMPANY_HEADERS)
    return {
        **fields,
        "nombre": take_first_name(prospect.name),
        "empresa": next(company, ""),
        "rubro": prospect.trade,
        "ciudad": prospect.city,
        "origen_en_palabras": imports.get_origin_in_words(reader, prospect.import_id)
        if "origen_en_palabras" in wanted
        else "",
        "quien": who,
    }
