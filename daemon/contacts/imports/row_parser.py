"""Parses one row of an import: phone number, permission and date, or the reason of a reject."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from daemon.api import numbers
from daemon.api.imports import normalise_text
from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.lists.table import ListRecord

_MAX_CELL_LENGTH: Final = 2_000
_ISO_DATE: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})")
_LOCAL_DATE: Final = re.compile(r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})")
_PERMISSION_WORDS: Final = {
    word: granted
    for granted, words in {
        ImportPermission.OPTED_IN: (
            "si",
            "s",
            "yes",
            "y",
            "acepta",
            "opt in",
            "opted in",
            "true",
            "1",
        ),
        ImportPermission.RELATIONSHIP: (
            "relacion previa",
            "relacion",
            "cliente",
            "customer",
            "relationship",
        ),
        ImportPermission.PUBLIC_SOURCE: ("publico", "fuente publica", "public", "public source"),
        ImportPermission.NONE: ("ninguno", "ninguna", "none", "desconocido", "unknown"),
        ImportPermission.REFUSED: (
            "no",
            "n",
            "baja",
            "rechaza",
            "stop",
            "opt out",
            "refused",
            "false",
            "0",
        ),
    }.items()
    for word in words
}


class ParsedImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed record. Without ``phone`` it is rejected, for ``reason_code``.

    With ``phone`` a reason is a remark: the permission was lowered from what the record says.
    """

    record: int
    phone: str | None = None
    line_type: str = ""
    country: str | None = None
    name: str = ""
    trade: str = ""
    notes: str = ""
    cartera_origen: str = ""
    permission: ImportPermission = ImportPermission.NONE
    permission_text: str = ""
    """The cell on permission, unchanged."""
    evidence: str = ""
    data_date: date | None = None
    reason_code: str = ""
    sentence: str = ""


def parse_row(
    row: ListRecord,
    mapping: Mapping[str, str],
    options: ImportOptions,
    *,
    region: str,
    today: date,
) -> ParsedImportRow:
    """Return one record parsed; a problem is in the result, never raised."""
    if row.problem:
        return _reject(row, "record_unreadable", row.problem)
    cells = {
        column: row.cells.get(header, "").strip()[:_MAX_CELL_LENGTH]
        for column, header in mapping.items()
    }
    try:
        number = numbers.parse_phone(cells["phone"], region)
    except numbers.NumberUnusable as problem:
        return _reject(row, problem.reason_code, problem.sentence)
    evidence = cells.get("evidence", "") or options.statement
    said = cells.get("permission", "")
    permission, reason_code, sentence = parse_permission(said, evidence, options.permission)
    return ParsedImportRow(
        record=row.number,
        phone=number.e164,
        line_type=number.line_type,
        country=number.country,
        name=cells.get("name", ""),
        trade=cells.get("trade", ""),
        notes=cells.get("notes", ""),
        cartera_origen=options.cartera_origen or cells.get("cartera_origen", ""),
        permission=permission,
        permission_text=said,
        evidence=evidence,
        data_date=parse_date(cells.get("data_date", ""), today),
        reason_code=reason_code,
        sentence=sentence,
    )


def _reject(row: ListRecord, reason_code: str, sentence: str) -> ParsedImportRow:
    return ParsedImportRow(record=row.number, reason_code=reason_code, sentence=sentence)


def parse_permission(
    text: str, evidence: str, default: ImportPermission
) -> tuple[ImportPermission, str, str]:
    """Return (permission, reason code, sentence) of a cell; the last two are empty or a remark."""
    word = normalise_text(text)
    # "no acepta", "no contactar": whatever follows a no, nobody is written to on it.
    granted = ImportPermission.REFUSED if word.startswith("no ") else _PERMISSION_WORDS.get(word)
    if not word:
        return default, "", ""
    if granted is None:
        return (
            ImportPermission.NONE,
            "permission_not_understood",
            "The permission is not understood, so it counts as none.",
        )
    if granted is ImportPermission.OPTED_IN and not evidence:
        return (
            ImportPermission.PUBLIC_SOURCE,
            "consent_without_evidence",
            "It says yes, but not how they agreed; it counts as a public listing.",
        )
    return granted, "", ""


def parse_date(text: str, today: date) -> date | None:
    """Return the date in a cell (ISO, or dd/mm/yyyy); None for anything else, or a future one."""
    match = _ISO_DATE.fullmatch(text) or _LOCAL_DATE.fullmatch(text)
    if match is None:
        return None
    try:
        found = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    return found if found <= today + timedelta(days=1) else None  # somewhere it is tomorrow
