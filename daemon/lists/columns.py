"""Plans the columns of a list: what each header means, guessed or mapped, and what stays unused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from msgspec import Struct

from daemon.api.imports import normalise_text
from daemon.api.phone_text import find_line_kind
from daemon.lists.vocabulary import (
    HEADER_NAMES,
    USES_BY_KIND,
    ColumnUse,
    ListKind,
    PhoneRank,
    find_pair,
    find_phone_rank,
    is_consent_question,
    is_refusal_header,
    rank_phone_words,
)

_RANKS: Final = tuple(PhoneRank)
_ALL_OF: Final = frozenset({ColumnUse.PERMISSION, ColumnUse.REFUSAL, ColumnUse.FIELD})
"""Uses that several columns can have at once, besides the phone's."""
_NAME_PARTS: Final = frozenset(
    {ColumnUse.FIRST_NAME, ColumnUse.MIDDLE_NAME, ColumnUse.LAST_NAME, ColumnUse.ORGANISATION}
)


class PlannedColumn(Struct, frozen=True):
    """A column, and its use; ``mapped`` is whether a person said so."""

    header: str
    use: ColumnUse
    mapped: bool = False


class PhoneColumn(Struct, frozen=True):
    """A column with phone numbers; ``label`` is the header of the column that says their kind."""

    header: str
    rank: PhoneRank
    label: str | None = None


class PhoneCandidate(Struct, frozen=True):
    """A filled phone cell of a record.

    ``says_mobile`` is what header or label say on the kind of line; None: nothing.
    """

    header: str
    cell: str
    rank: PhoneRank
    says_mobile: bool | None


class ColumnPlan(Struct, frozen=True, dict=True):
    """The use of each column of a list, in the order of the file; ``phones`` are best first.

    ``inverted`` are headers that were mapped to permission, and whose yes means no.
    """

    columns: tuple[PlannedColumn, ...]
    phones: tuple[PhoneColumn, ...]
    inverted: tuple[str, ...] = ()

    @cached_property
    def _headers(self) -> Mapping[ColumnUse, tuple[str, ...]]:
        """The headers of each use, collected once: every record asks for them."""
        found: dict[ColumnUse, tuple[str, ...]] = dict.fromkeys(ColumnUse, ())
        for each in self.columns:
            found[each.use] += (each.header,)
        return found

    @property
    def unused(self) -> tuple[str, ...]:
        """The headers that nothing is read from, in order."""
        return self.list_headers(ColumnUse.UNUSED)

    @property
    def mapping(self) -> dict[str, str]:
        """The best header of each use that one column alone has."""
        found = {each.use.value: each.header for each in reversed(self.columns)}
        found.pop(ColumnUse.UNUSED, None)
        found.pop(ColumnUse.FIELD, None)
        if self.phones:
            found[ColumnUse.PHONE.value] = self.phones[0].header
        return found

    def list_headers(self, use: ColumnUse) -> tuple[str, ...]:
        """Return the headers of the columns of this use, in order."""
        return self._headers[use]

    def get_cell(self, cells: Mapping[str, str], use: ColumnUse) -> str:
        """Return the first filled cell of this use; empty where there is none."""
        for header in self._headers[use]:
            if cell := cells.get(header, "").strip():
                return cell
        return ""

    def get_name(self, cells: Mapping[str, str]) -> str:
        """Return the name of a record: whole, or first and last joined, else its organisation."""
        parts = (ColumnUse.FIRST_NAME, ColumnUse.MIDDLE_NAME, ColumnUse.LAST_NAME)
        joined = " ".join(filter(None, (self.get_cell(cells, part) for part in parts)))
        whole = self.get_cell(cells, ColumnUse.NAME)
        return whole or joined or self.get_cell(cells, ColumnUse.ORGANISATION)

    def list_phones(self, cells: Mapping[str, str]) -> list[PhoneCandidate]:
        """Return the filled phone cells of a record, best first; a fax is none."""
        found = []
        for column in self.phones:
            cell = cells.get(column.header, "").strip()
            rank, words = column.rank, column.header
            if column.label is not None:
                words = cells.get(column.label, "")
                rank = rank_phone_words(set(normalise_text(words).split()))
            if cell and rank is not PhoneRank.NEVER:
                kind = find_line_kind(words)
                found.append(PhoneCandidate(column.header, cell, rank, kind))
        # Stable: of two columns of one rank the earlier one is the better one.
        return sorted(found, key=lambda each: _RANKS.index(each.rank))


def is_phone_header(cells: Sequence[str]) -> bool:
    """Return whether these cells look like a header row: one of them names a phone number."""
    return any(
        find_phone_rank(cell) not in {None, PhoneRank.NEVER} or find_pair(cell) is not None
        for cell in cells
        if cell.strip()
    )


def plan_columns(
    headers: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    kind: ListKind = ListKind.PROSPECTS,
    fields: Sequence[str] = (),
) -> ColumnPlan:
    """Return the use of each header of a list.

    ``mapping`` is from a use to the header that a person chose for it; it stands above every guess,
    and is none where it is the guess itself: a form sends that back, too.
    ``fields`` are headers whose cells are kept as they are, whatever else they are used for.
    Headers that are not there are left out: the caller refuses them.
    """
    guess = _plan(headers, {}, kind, fields).mapping if mapping else {}
    chosen = {
        header: ColumnUse(use)
        for use, header in (mapping or {}).items()
        if guess.get(use) != header
    }
    return _plan(headers, chosen, kind, fields)


def _plan(
    headers: Sequence[str],
    chosen: Mapping[str, ColumnUse],
    kind: ListKind,
    fields: Sequence[str],
) -> ColumnPlan:
    inverted = tuple(
        header
        for header, use in chosen.items()
        if use is ColumnUse.PERMISSION and is_refusal_header(header)
    )
    uses = _guess_uses(headers, kind, taken=set(chosen))
    uses = _drop_guesses(uses, set(chosen.values()))
    uses |= {header: use for header, use in chosen.items() if header in headers}
    uses |= dict.fromkeys(inverted, ColumnUse.REFUSAL)
    for header in fields:
        if header in headers and header not in uses:
            uses[header] = ColumnUse.FIELD
    columns = tuple(
        PlannedColumn(header, uses.get(header, ColumnUse.UNUSED), header in chosen)
        for header in headers
    )
    return ColumnPlan(columns, tuple(_list_phone_columns(columns)), inverted)


def _guess_uses(headers: Sequence[str], kind: ListKind, taken: set[str]) -> dict[str, ColumnUse]:
    """Return the use of each header that the vocabulary knows; one column of each use."""
    names = {header: _strip_count(header) for header in headers if header not in taken}
    uses = _guess_patterns(names, kind)
    has_last_name = any(name in HEADER_NAMES[ColumnUse.LAST_NAME] for name in names.values())
    for use in HEADER_NAMES:
        if use not in USES_BY_KIND[kind]:
            continue
        for name in HEADER_NAMES[use]:
            found = [each for each in names if names[each] == name and each not in uses]
            if found and not (use in uses.values() and use not in _ALL_OF):
                # "Nombre" beside "Apellido" is the first name only.
                only_first = name in {"nombre", "nome", "name"} and has_last_name
                uses[found[0]] = ColumnUse.FIRST_NAME if only_first else use
    return uses


def _guess_patterns(names: Mapping[str, str], kind: ListKind) -> dict[str, ColumnUse]:
    """Return the uses that a header's words show: phones, refusals, questions for consent."""
    uses: dict[str, ColumnUse] = {}
    for header in names:
        pair = find_pair(header)
        if pair is not None:
            uses[header] = ColumnUse.PHONE_LABEL if pair[1] else ColumnUse.PHONE
        elif kind is ListKind.PROSPECTS and is_refusal_header(header):
            uses[header] = ColumnUse.REFUSAL
        elif kind is ListKind.PROSPECTS and is_consent_question(header):
            uses[header] = ColumnUse.PERMISSION
        elif find_phone_rank(header) not in {None, PhoneRank.NEVER}:
            uses[header] = ColumnUse.PHONE
    return uses


def _strip_count(header: str) -> str:
    """Return a header normalised, without the count that a repeated one gets."""
    return normalise_text(re.sub(r" \(\d+\)$", "", header))


def _drop_guesses(uses: Mapping[str, ColumnUse], chosen: set[ColumnUse]) -> dict[str, ColumnUse]:
    """Return the guesses without those of uses that a person mapped."""
    dropped = set(chosen) - {ColumnUse.REFUSAL}
    if ColumnUse.PHONE in chosen:
        dropped.add(ColumnUse.PHONE_LABEL)
    if ColumnUse.NAME in chosen:
        dropped |= _NAME_PARTS
    return {header: use for header, use in uses.items() if use not in dropped}


def _list_phone_columns(columns: Sequence[PlannedColumn]) -> Iterator[PhoneColumn]:
    """Yield the phone columns, best first, each with the column of its label."""
    labels = {
        pair[0]: each.header
        for each in columns
        if each.use is ColumnUse.PHONE_LABEL and (pair := find_pair(each.header))
    }
    found = []
    for each in columns:
        if each.use is ColumnUse.PHONE:
            pair = find_pair(each.header)
            rank = find_phone_rank(each.header) or PhoneRank.ANY
            if each.mapped and rank is PhoneRank.NEVER:
                rank = PhoneRank.ANY
            found.append(PhoneColumn(each.header, rank, labels.get(pair[0]) if pair else None))
    yield from sorted(found, key=lambda each: _RANKS.index(each.rank))
