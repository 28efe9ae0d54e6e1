"""Counts what a list leaves open: each question of a preview, with its records and examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct, field

from daemon.contacts.imports.row_parser import WITHOUT_EVIDENCE, ParsedImportRow
from daemon.lists.consent_cells import ConsentAnswer, fold_consent
from daemon.lists.dates import DateOrder

_EXAMPLES: Final = 3
_MAX_WORDS: Final = 200
"""A column with more distinct words than this is hardly one on consent."""
_MONTH_FIRST_REGIONS: Final = frozenset({"US", "PH", "PR"})


class OpenMobiles(msgspec.Struct, frozen=True):
    """Numbers of a column that may be mobile ones: Argentine, without 9.

    ``assumed`` got the 9 because header, cell or answer say mobile; ``open`` wait for an answer,
    and count as landlines until then. The option ``mobiles`` answers.
    """

    header: str
    open: int
    assumed: int
    examples: tuple[str, ...]


class ConsentWordCount(msgspec.Struct, frozen=True):
    """A word on consent that the table does not know, as it was written first, with its records.

    ``answer`` is what a person said that it means; None: nobody did, and it counts as none. The
    option ``consent_words`` answers.
    """

    word: str
    count: int
    answer: ConsentAnswer | None


class OpenDates(msgspec.Struct, frozen=True):
    """Dates whose day and month look alike, which count as unknown. ``date_order`` answers."""

    count: int
    examples: tuple[str, ...]
    proposal: DateOrder


class ImportDoubts(msgspec.Struct, frozen=True):
    """All that a list leaves open; what is in no doubt is not in it.

    ``further_words`` is the number of records whose word is none of the first 200;
    ``without_evidence`` is the number of records that say yes, but not how they agreed: the option
    ``statement`` answers for all of them.
    """

    mobiles: tuple[OpenMobiles, ...] = ()
    consent_words: tuple[ConsentWordCount, ...] = ()
    further_words: int = 0
    dates: OpenDates | None = None
    without_evidence: int = 0


class _MobileCount(Struct):
    open: int = 0
    assumed: int = 0
    examples: list[str] = field(default_factory=list)


class _WordCount(Struct):
    word: str
    answer: ConsentAnswer | None
    count: int = 0


class DoubtCounter:
    """Counts the doubts of a list, batch by batch."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._mobiles: dict[str, _MobileCount] = {}
        self._words: dict[str, _WordCount] = {}
        self._further_words = 0
        self._dates = self._without_evidence = 0
        self._date_examples: list[str] = []

    def add(self, records: Iterable[ParsedImportRow]) -> None:
        """Count the doubts of these records; rejected ones have none."""
        for record in records:
            if record.mobile_open or record.mobile_assumed:
                self._add_mobile(record)
            if record.consent_answer is not None:
                self._add_word(record)
            self._without_evidence += any(
                remark.code == WITHOUT_EVIDENCE for remark in record.remarks
            )
            if record.open_date:
                self._dates += 1
                _add_example(self._date_examples, record.open_date)

    def build(self) -> ImportDoubts:
        """Return the doubts so far: most frequent words first."""
        order = (
            DateOrder.MONTH_FIRST if self._region in _MONTH_FIRST_REGIONS else DateOrder.DAY_FIRST
        )
        words = sorted(self._words.values(), key=lambda each: -each.count)
        return ImportDoubts(
            mobiles=tuple(
                OpenMobiles(header, each.open, each.assumed, tuple(each.examples))
                for header, each in self._mobiles.items()
            ),
            consent_words=tuple(
                ConsentWordCount(each.word, each.count, each.answer) for each in words
            ),
            further_words=self._further_words,
            dates=OpenDates(self._dates, tuple(self._date_examples), order)
            if self._dates
            else None,
            without_evidence=self._without_evidence,
        )

    def _add_mobile(self, record: ParsedImportRow) -> None:
        found = self._mobiles.setdefault(record.phone_header, _MobileCount())
        found.open += record.mobile_open
        found.assumed += record.mobile_assumed
        _add_example(found.examples, record.phone_text)

    def _add_word(self, record: ParsedImportRow) -> None:
        word, answer = fold_consent(record.permission_text), record.consent_answer
        if word not in self._words:
            if len(self._words) == _MAX_WORDS:
                self._further_words += 1
                return
            self._words[word] = _WordCount(
                record.permission_text, None if answer is ConsentAnswer.UNKNOWN else answer
            )
        self._words[word].count += 1


def _add_example(examples: list[str], text: str) -> None:
    if len(examples) < _EXAMPLES and text not in examples:
        examples.append(text)
