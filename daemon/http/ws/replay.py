"""The log, read on from a place in it; a place that it does not reach is named, never skipped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from storage import event_log
from storage.events import CommittedEvent
from storage.tx import Reader

PAGE: Final = 200


class Gap(StrEnum):
    """Why a client can't go on from where it was."""

    EPOCH_CHANGED = "epoch_changed"
    LOG_TRIMMED = "log_trimmed"
    SEQ_UNKNOWN = "seq_unknown"


SENTENCES: Final = {
    Gap.EPOCH_CHANGED: "The log was begun anew from a copy; numbers of the old one mean nothing.",
    Gap.LOG_TRIMMED: "The log no longer reaches back to where you were.",
    Gap.SEQ_UNKNOWN: "The log has not come as far as you say.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """The next events after a place, or why there is no going on from it."""

    events: list[CommittedEvent]
    gap: Gap | None


def page(reader: Reader, after: int) -> Page:
    """Return the events that follow `after` without a hole."""
    high = event_log.high_water(reader)
    if after > high:
        return Page([], Gap.SEQ_UNKNOWN)
    events = event_log.after(reader, after, PAGE)
    reached = events[0].seq - 1 if events else high
    return Page(events, None) if reached == after else Page([], Gap.LOG_TRIMMED)
