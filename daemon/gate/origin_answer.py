"""The answer to who asks where their number is from: all that may go to who said no."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from daemon.gate.consent import CONVERSATION_WINDOW, QUESTION_ABOUT_US
from daemon.gate.text_templates import take_first_name
from storage.evidence import Evidence, EvidenceKind, drop_withdrawn
from storage.prospects import ProspectRecord

ORIGIN_ANSWER: Final = (
    "Hola{name}, tu número lo tomamos {origin}, el {date}. Si preferís que no te escribamos,"
    " respondé BAJA."
)
"""In the language of the contact, not of who answers."""
_BEGINS_WITH_DE: Final = re.compile(r"del? ", re.IGNORECASE)
_DAY: Final = timedelta(days=1)


def build_origin_answer(prospect: ProspectRecord, origin: str, since: date) -> str:
    """Return the answer; ``origin`` is where the number came from, as one would say it to them.

    ``since`` is the day since which the number is here. Empty where nobody has said the origin.
    """
    if not origin:
        return ""
    first_name = take_first_name(prospect.name)
    return ORIGIN_ANSWER.format(
        name=f" {first_name}" if first_name else "",
        origin=origin if _BEGINS_WITH_DE.match(origin) else f"de {origin}",
        date=f"{since.day}/{since.month}/{since.year}",
    )


def is_origin_answer(text: str, prospect: ProspectRecord, origin: str) -> bool:
    """Return whether a text is the answer to them, word for word."""
    # The day is that of the writer's zone, and no zone is a whole day away from UTC.
    since = prospect.created_at.date()
    days = (since - _DAY, since, since + _DAY)
    return bool(origin) and text in {build_origin_answer(prospect, origin, day) for day in days}


def find_origin_answer_end(evidence: Sequence[Evidence], now: datetime) -> datetime | None:
    """Return until when their latest question about us may be answered; None where it is over.

    That is 24 hours after it, whatever they wrote since. Withdrawn pieces are ignored.
    """
    asked = max(
        (
            each.at
            for each in drop_withdrawn(evidence)
            if each.kind is EvidenceKind.INBOUND
            and each.value == QUESTION_ABOUT_US
            and not each.imported
        ),
        default=None,
    )
    until = None if asked is None else asked + CONVERSATION_WINDOW
    return until if until is not None and until > now else None
