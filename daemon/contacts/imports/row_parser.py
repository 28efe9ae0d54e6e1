"""Parses one record of an import: number, name, permission and date, or the reason of a reject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct, field

from daemon.api.numbers import PhoneNumber, list_phone_spellings
from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.lists.columns import ColumnPlan, PhoneCandidate
from daemon.lists.consent_cells import ConsentAnswer, read_consent_cell, read_refusal_cell
from daemon.lists.dates import DateOrder, needs_order, read_date
from daemon.lists.phone_cells import PhoneCell, read_phone_cell
from daemon.lists.table import ListRecord
from daemon.lists.vocabulary import ColumnUse

_MAX_CELL_LENGTH: Final = 2_000
_SEVERAL: Final = "several_numbers"
_PERMISSIONS: Final = {
    ConsentAnswer.YES: ImportPermission.OPTED_IN,
    ConsentAnswer.RELATIONSHIP: ImportPermission.RELATIONSHIP,
    ConsentAnswer.PUBLIC: ImportPermission.PUBLIC_SOURCE,
    ConsentAnswer.NONE: ImportPermission.NONE,
    ConsentAnswer.NO: ImportPermission.REFUSED,
}
_STRICTEST_FIRST: Final = (
    *(
        ConsentAnswer.NO,
        ConsentAnswer.UNKNOWN,
        ConsentAnswer.NONE,
        ConsentAnswer.YES,
        ConsentAnswer.RELATIONSHIP,
    ),
    *(ConsentAnswer.PUBLIC, ConsentAnswer.NOTHING),
)
"""Of several consent columns of a record the first of these counts."""


WITHOUT_EVIDENCE: Final = "consent_without_evidence"
"""The code of the remark on a yes that says nothing of how they agreed."""
PERMISSION_REMARKS: Final = frozenset(
    {WITHOUT_EVIDENCE, "permission_not_understood", "permission_not_said"}
)
"""The codes of remarks on a permission that is less than its list says."""


class RowRemark(msgspec.Struct, frozen=True):
    """Something on an accepted record that its list says otherwise, or that is unknown."""

    code: str
    sentence: str


class ParsedImportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed record. Without ``phone`` it is rejected, for ``reason_code``.

    With ``phone`` a reason is the first of its ``remarks``.
    """

    record: int
    phone: str | None = None
    line_type: str = ""
    country: str | None = None
    name: str = ""
    trade: str = ""
    notes: str = ""
    city: str = ""
    email: str = ""
    fields: dict[str, str] = {}
    """The cells that are kept under their headers."""
    cartera_origen: str = ""
    permission: ImportPermission = ImportPermission.NONE
    permission_text: str = ""
    """The cell on permission, unchanged."""
    evidence: str = ""
    data_date: date | None = None
    reason_code: str = ""
    sentence: str = ""
    remarks: tuple[RowRemark, ...] = ()
    phone_header: str = ""
    phone_text: str = ""
    """The cell that the number was read from, or could not be read from, and its header."""
    mobile_assumed: bool = False
    """Whether an Argentine number got its 9 because header, cell or answer say mobile."""
    mobile_open: bool = False
    """Whether nobody says if an Argentine number without 9 is a mobile one."""
    consent_answer: ConsentAnswer | None = None
    """What a person said of the cell on consent; UNKNOWN where nobody has explained it yet, None
    where the table of words knows it."""
    open_date: str = ""
    """The cell with a date whose day and month look alike."""
    repeats: bool = False
    """Whether an earlier record of the list has the same line."""


class RowParser(Struct, frozen=True):
    """Parses the records of one list. ``consent_words`` are answers by their folded word."""

    plan: ColumnPlan
    options: ImportOptions
    region: str
    today: date
    date_order: DateOrder | None = None
    consent_words: Mapping[str, ConsentAnswer] = field(default_factory=dict)

    def parse(self, row: ListRecord) -> ParsedImportRow:
        """Return one record parsed; a problem is in the result, never raised."""
        if row.problem:
            return _reject(row, "record_unreadable", row.problem)
        candidates = self.plan.list_phones(row.cells)
        cells = [self._read_phone(each) for each in candidates]
        chosen = _choose_phone(cells)
        if chosen is None:
            return _reject_phone(row, candidates, cells, self._cut(self.plan.get_name(row.cells)))
        place, cell, number = chosen
        permission, said, answer, on_permission = self._read_permission(row.cells)
        dated, open_date, on_date = self._read_data_date(row.cells)
        remarks = (*on_permission, *on_date, *_remark_on_phones(candidates, cells, place))
        read = partial(self._get, row.cells)
        return ParsedImportRow(
            record=row.number,
            phone=number.e164,
            line_type=number.line_type,
            country=number.country,
            name=self._cut(self.plan.get_name(row.cells)),
            trade=read(ColumnUse.TRADE),
            notes=read(ColumnUse.NOTES),
            city=read(ColumnUse.CITY),
            email=read(ColumnUse.EMAIL),
            fields=self._read_fields(row.cells),
            cartera_origen=self.options.cartera_origen or read(ColumnUse.CARTERA_ORIGEN),
            permission=permission,
            permission_text=said,
            evidence=self._get_evidence(row.cells),
            data_date=dated,
            reason_code=remarks[0].code if remarks else "",
            sentence=remarks[0].sentence if remarks else "",
            remarks=remarks,
            phone_header=candidates[place].header,
            phone_text=self._cut(candidates[place].cell),
            mobile_assumed=cell.mobile_assumed,
            mobile_open=cell.mobile_open,
            consent_answer=answer,
            open_date=open_date,
        )

    def _cut(self, text: str) -> str:
        return text.strip()[:_MAX_CELL_LENGTH]

    def _get(self, cells: Mapping[str, str], use: ColumnUse) -> str:
        return self._cut(self.plan.get_cell(cells, use))

    def _get_evidence(self, cells: Mapping[str, str]) -> str:
        return self._get(cells, ColumnUse.EVIDENCE) or self.options.statement

    def _read_fields(self, cells: Mapping[str, str]) -> dict[str, str]:
        kept = {header: self._cut(cells.get(header, "")) for header in self.options.fields}
        return {header: cell for header, cell in kept.items() if cell}

    def _read_phone(self, candidate: PhoneCandidate) -> PhoneCell:
        return read_phone_cell(
            candidate.cell,
            self.region,
            says_mobile=candidate.says_mobile,
            mobiles=self.options.mobiles,
        )

    def _read_permission(
        self, cells: Mapping[str, str]
    ) -> tuple[ImportPermission, str, ConsentAnswer | None, list[RowRemark]]:
        """Return permission, the cell that gives it, a person's answer on it, and remarks.

        The answer is UNKNOWN where nobody has answered, and None where the table knows the word.
        """
        for header in self.plan.list_headers(ColumnUse.REFUSAL):
            cell = self._cut(cells.get(header, ""))
            if read_refusal_cell(cell):
                return ImportPermission.REFUSED, f"{header}: {cell}", None, []
        said = [
            (read_consent_cell(cell, self.consent_words), cell)
            for header in self.plan.list_headers(ColumnUse.PERMISSION)
            if (cell := self._cut(cells.get(header, "")))
        ]
        if not said:
            return self.options.permission, "", None, []
        consent, cell = min(said, key=lambda each: _STRICTEST_FIRST.index(each[0]))
        evidence = self._get_evidence(cells)
        permission, remark = decide_permission(consent, evidence, self.options.permission)
        known = read_consent_cell(cell) is not ConsentAnswer.UNKNOWN
        return permission, cell, None if known else consent, [remark] if remark else []

    def _read_data_date(self, cells: Mapping[str, str]) -> tuple[date | None, str, list[RowRemark]]:
        """Return the date, the cell if only an order would tell it, and remarks."""
        cell = self._get(cells, ColumnUse.DATA_DATE)
        found = read_date(cell, self.date_order, self.today)
        if found is not None or not cell:
            return found, "", []
        if self.date_order is None and needs_order(cell):
            sentence = "Day and month of the date can't be told apart; it counts as unknown."
            return None, cell, [RowRemark("date_order_open", sentence)]
        sentence = "The date is not understood, or in the future; it counts as unknown."
        return None, "", [RowRemark("date_not_understood", sentence)]


def decide_permission(
    consent: ConsentAnswer, evidence: str, default: ImportPermission
) -> tuple[ImportPermission, RowRemark | None]:
    """Return the permission that a filled cell gives, and a remark where it is less than it says.

    ``default`` is the permission of records whose cell is blank.
    """
    if consent is ConsentAnswer.YES and not evidence:
        return ImportPermission.PUBLIC_SOURCE, RowRemark(
            WITHOUT_EVIDENCE,
            "It says yes, but not how they agreed; it counts as a public listing.",
        )
    if consent is ConsentAnswer.UNKNOWN:
        return ImportPermission.NONE, RowRemark(
            "permission_not_understood",
            "The permission is not understood, so it counts as none.",
        )
    if consent is not ConsentAnswer.NOTHING:
        return _PERMISSIONS[consent], None
    if default not in {ImportPermission.OPTED_IN, ImportPermission.RELATIONSHIP}:
        return default, None
    # A dash is no blank cell: somebody left the question open.
    return ImportPermission.NONE, RowRemark(
        "permission_not_said",
        "The cell says nothing on permission, so what was said of the whole list does not count.",
    )


def _choose_phone(cells: list[PhoneCell]) -> tuple[int, PhoneCell, PhoneNumber] | None:
    """Return place, cell and number of the best cell with one; None where none has, or several."""
    for place, cell in enumerate(cells):
        if cell.number is not None:
            return place, cell, cell.number
        if cell.reason_code == _SEVERAL or len(cell.numbers) > 1:
            return None
    return None


def _remark_on_phones(
    candidates: list[PhoneCandidate], cells: list[PhoneCell], chosen: int
) -> Iterator[RowRemark]:
    """Yield what is left of the numbers of a record beside the chosen one."""
    if chosen > 0:  # the cells before it were filled, too
        yield RowRemark(
            "first_number_unusable",
            "The better column has a number that can't be used; another column's is taken.",
        )
    if len(cells) == chosen + 1:
        return
    number = cells[chosen].number
    line = list_phone_spellings(number.e164) if number else frozenset()
    others: list[PhoneNumber] = [
        other
        for candidate, cell in zip(candidates[chosen + 1 :], cells[chosen + 1 :], strict=True)
        if candidate.says_mobile
        for other in cell.numbers
    ]
    if any(other.e164 not in line for other in others):
        yield RowRemark(
            "further_mobile", "The record has another mobile number, which is not used."
        )


def _reject_phone(
    row: ListRecord, candidates: list[PhoneCandidate], cells: list[PhoneCell], name: str
) -> ParsedImportRow:
    """Return the reject of a record without one usable number."""
    several = next((cell for cell in cells if len(cell.numbers) > 1), None)
    if several is not None:
        sentence = "The cell has several numbers; put each in a row of its own."
        place = cells.index(several)
        return _reject(row, _SEVERAL, sentence, candidates[place], name)
    if not cells:
        return _reject(row, "empty", "The number is missing.", name=name)
    return _reject(row, cells[0].reason_code, cells[0].sentence, candidates[0], name)


def _reject(
    row: ListRecord,
    reason_code: str,
    sentence: str,
    candidate: PhoneCandidate | None = None,
    name: str = "",
) -> ParsedImportRow:
    return ParsedImportRow(
        record=row.number,
        name=name,
        reason_code=reason_code,
        sentence=sentence,
        phone_header=candidate.header if candidate else "",
        phone_text=candidate.cell[:_MAX_CELL_LENGTH] if candidate else "",
    )
