"""Parses the records of a history: who, what, when; what can't be read has a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from daemon.api.effects import ContactRequest
from daemon.api.identity import Identity, parse_identity
from daemon.api.numbers import list_phone_spellings
from daemon.api.signals import InboundKind, InboundMessage, Origin
from daemon.history.line_kinds import find_line_kind
from daemon.inbound.contact_requests import ContactRequestReader, Finding
from daemon.inbound.reading import read_words
from daemon.lists.columns import ColumnPlan
from daemon.lists.dates import DateOrder, needs_order
from daemon.lists.moments import Moment, read_moment
from daemon.lists.phone_cells import read_phone_cell
from daemon.lists.table import ListRecord
from daemon.lists.vocabulary import ColumnUse
from storage.history import HistoryKind

_MAX_TEXT: Final = 4_000
"""Characters of a message that are read and stored."""
_NEEDS_DATE: Final = frozenset({HistoryKind.SENT, HistoryKind.RECEIVED})
_UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a history; one that can't be read has a ``reason_code`` and a ``sentence``.

    ``target`` is the number (E.164) or the hidden id. ``at`` and ``latest`` are the first and the
    last moment that its date can mean; None: the record has no date, which only a recorded refusal
    may lack. ``findings`` are what the words of theirs say. ``text_hash`` is of the words without
    regard to blanks.
    """

    number: int
    target: str = ""
    kind: HistoryKind = HistoryKind.SENT
    at: datetime | None = None
    latest: datetime | None = None
    text: str = ""
    text_hash: str = ""
    findings: tuple[Finding, ...] = ()
    reason_code: str = ""
    sentence: str = ""

    def __repr__(self) -> str:
        """Keep number and words out of logs."""
        return f"HistoryLine({self.number}, {self.kind.value}, {self.reason_code!r})"


class _Unreadable(Exception):
    """A record can't be read: the reason code, and a sentence."""

    def __init__(self, reason_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code
        self.sentence = sentence


class LineParser(Struct, frozen=True, kw_only=True):
    """Parses records by the plan of their columns; ``unknown_words`` counts what it could not read.

    ``default_kind`` is that of a record without a cell on it.
    """

    plan: ColumnPlan
    region: str
    zone: ZoneInfo
    today: date
    default_kind: HistoryKind | None
    words: Mapping[str, HistoryKind]
    date_order: DateOrder | None
    unknown_words: Counter[str] = field(default_factory=Counter)

    def parse(self, record: ListRecord) -> HistoryLine:
        """Return the line of a record; ``findings`` are left to :func:`add_findings`."""
        if record.problem:
            return HistoryLine(
                number=record.number, reason_code="unreadable", sentence=record.problem
            )
        try:
            target = self._read_target(record)
            kind = self._read_kind(record)
            moment = self._read_moment(record, kind)
        except _Unreadable as problem:
            return HistoryLine(
                number=record.number, reason_code=problem.reason_code, sentence=problem.sentence
            )
        text = self.plan.get_cell(record.cells, ColumnUse.BODY)
        return HistoryLine(
            number=record.number,
            target=target,
            kind=kind,
            at=moment.at if moment else None,
            latest=moment.latest if moment else None,
            # What we wrote is not stored: that something was written is all that counts.
            text="" if kind is HistoryKind.SENT else text[:_MAX_TEXT],
            text_hash=hashlib.sha256(" ".join(text.split()).encode()).hexdigest(),
        )

    def _read_target(self, record: ListRecord) -> str:
        """Return the one number of a record, or its one hidden id."""
        cells = [
            read_phone_cell(each.cell, self.region, says_mobile=bool(each.says_mobile))
            for each in self.plan.list_phones(record.cells)
        ]
        cells = cells or [read_phone_cell("", self.region)]
        # One line in two spellings, such as a number beside its JID, is one number.
        numbers = {
            list_phone_spellings(each.e164): each.e164 for cell in cells for each in cell.numbers
        }
        hidden = dict.fromkeys(each for cell in cells for each in cell.hidden_ids)
        found = [*numbers.values()] or [*hidden]
        if len(found) > 1:
            raise _Unreadable(
                "several_numbers", "The record has several numbers; each needs a row of its own."
            )
        refused = next((each for each in cells if each.reason_code), None)
        if refused and not (found and refused.reason_code == "hidden_id"):
            raise _Unreadable(refused.reason_code, refused.sentence)
        return found[0]

    def _read_kind(self, record: ListRecord) -> HistoryKind:
        headers = self.plan.list_headers(ColumnUse.DIRECTION)
        cell = self.plan.get_cell(record.cells, ColumnUse.DIRECTION)
        kind = find_line_kind(headers[0], cell, self.words) if cell else self.default_kind
        if kind is not None:
            return kind
        if not cell:
            raise _Unreadable("no_kind", "Nothing says whether it was sent or received.")
        self.unknown_words[cell] += 1
        raise _Unreadable("unknown_kind", "The word for what it is is not known.")

    def _read_moment(self, record: ListRecord, kind: HistoryKind) -> Moment | None:
        cell = self.plan.get_cell(record.cells, ColumnUse.WRITTEN_AT)
        found = read_moment(cell, self.date_order, self.zone, self.today)
        if found is not None:
            return found
        if cell and self.date_order is None and needs_order(cell):
            raise _Unreadable("open_date", "Its day and month look alike.")
        if cell:
            raise _Unreadable("bad_date", "Its date is none, or has not come yet.")
        if kind in _NEEDS_DATE:
            raise _Unreadable("no_date", "It has no date.")
        return None


def add_findings(line: HistoryLine, reader: ContactRequestReader) -> HistoryLine:
    """Return a line of theirs with what its words say; of a recorded refusal, where it has words.

    A record of a refusal may have a note of an employee: it counts as an opt-out at most.
    """
    if line.reason_code or line.kind is HistoryKind.SENT:
        return line
    if line.kind is HistoryKind.RECEIVED:
        findings = read_words(reader, build_signal(line)).findings
        return msgspec.structs.replace(line, findings=tuple(findings))
    if line.text and reader.read(line.text).says(ContactRequest.OPT_OUT):
        return msgspec.structs.replace(line, kind=HistoryKind.OPT_OUT)
    return line


def build_signal(line: HistoryLine) -> InboundMessage:
    """Return a received line as the message that it was; without words, nobody can read it here."""
    return InboundMessage(
        wire_id="",
        sender=read_identity(line),
        text=line.text,
        written_at=line.at or _UNDATED,
        kind=InboundKind.TEXT if line.text else InboundKind.UNSUPPORTED,
        origin=Origin.IMPORTED,
    )


def read_identity(line: HistoryLine) -> Identity:
    """Return who a line is about."""
    return parse_identity(line.target)
