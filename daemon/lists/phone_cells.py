"""Reads a phone cell of a list: its numbers, and whether an Argentine one is a mobile line."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from daemon.api.numbers import (
    NumberUnusable,
    PhoneNumber,
    PhonesInText,
    find_argentine_mobile,
    list_phone_spellings,
    read_phones,
)


class MobileAnswer(StrEnum):
    """Whether Argentine numbers without 9 are mobile lines, as a person said of a whole list."""

    YES = "yes"
    NO = "no"
    ASK = "ask"
    """Nobody has answered: header and cell decide, and what they leave open is counted."""


class PhoneCell(Struct, frozen=True):
    """A phone cell as read. Where a part of it is no number, ``reason_code`` says why.

    ``numbers`` are all that were read, so a list that means each of them can take them even then.
    ``hidden_ids`` are WhatsApp's own ids without a number (LIDs).
    """

    numbers: tuple[PhoneNumber, ...] = ()
    hidden_ids: tuple[str, ...] = ()
    reason_code: str = ""
    sentence: str = ""
    mobile_assumed: bool = False
    """Whether an Argentine number got its 9 because header, cell or answer say mobile."""
    mobile_open: bool = False
    """Whether an Argentine number without 9 may be a mobile line, and nobody says which."""

    @property
    def number(self) -> PhoneNumber | None:
        """The one number of the cell; None for none, several, or one beside something unread."""
        return self.numbers[0] if len(self.numbers) == 1 and not self.reason_code else None


def read_phone_cell(
    cell: str,
    region: str,
    *,
    says_mobile: bool | None = None,
    mobiles: MobileAnswer = MobileAnswer.ASK,
) -> PhoneCell:
    """Return the numbers of a cell; a problem is in the result, never raised.

    ``region`` (such as AR) is for numbers without +; ``says_mobile`` is what the header says
    of its numbers: mobile or on WhatsApp (True), landlines (False), or nothing.
    """
    found = read_phones(cell, region)
    refusal = found.refusal
    if refusal is None and not found.numbers:
        refusal = NumberUnusable(
            "hidden_id", "It is a hidden WhatsApp id, which has no number; ask for the number."
        )
    if mobiles is MobileAnswer.ASK:
        # One word of a cell with several numbers may be on either of them.
        cell_says = found.says_mobile if len(found.numbers) == 1 else None
        answer = says_mobile if cell_says is None else cell_says
    else:
        answer = mobiles is MobileAnswer.YES
    return _decide_mobiles(found, refusal, answer=answer)


def _decide_mobiles(
    found: PhonesInText, refusal: NumberUnusable | None, *, answer: bool | None
) -> PhoneCell:
    """Return the cell with the 9 added where ``answer`` is yes, and with open ones marked."""
    numbers: list[PhoneNumber] = []
    assumed = still_open = False
    for number in found.numbers:
        # A JID or a link has the 9 of every mobile line: without it, it is WhatsApp on a landline.
        mobile = None if number in found.whatsapp_ids else find_argentine_mobile(number)
        if mobile is not None and answer:
            assumed = True
            numbers.append(mobile)
        else:
            still_open = still_open or (mobile is not None and answer is None)
            numbers.append(number)
    return PhoneCell(
        _drop_other_spellings(numbers),
        found.hidden_ids,
        refusal.reason_code if refusal else "",
        refusal.sentence if refusal else "",
        mobile_assumed=assumed,
        mobile_open=still_open,
    )


def _drop_other_spellings(numbers: list[PhoneNumber]) -> tuple[PhoneNumber, ...]:
    """Return each line once, by its mobile spelling where one was written."""
    if len(numbers) < 2:  # noqa: PLR2004 - as in nearly every cell
        return tuple(numbers)
    lines: dict[frozenset[str], PhoneNumber] = {}
    for number in numbers:
        spellings = list_phone_spellings(number.e164)
        if spellings not in lines or number.reachable:
            lines[spellings] = number
    return tuple(lines.values())
