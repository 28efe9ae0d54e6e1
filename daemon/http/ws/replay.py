"""The log, read on from a place in it; a place that it does not reach is named, never skipped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from storage import event_log
from storage.events import CommittedEvent
from storage.tx import Reader

REPLAY_PAGE_SIZE: Final = 200


class ReplayGap(StrEnum):
    """Why a client can't go on from where it was."""

    EPOCH_CHANGED = "epoch_changed"
    LOG_TRIMMED = "log_trimmed"
    SEQ_UNKNOWN = "seq_unknown"


GAP_SENTENCES: Final = {
    ReplayGap.EPOCH_CHANGED: (
        "The log was begun anew from a copy; numbers of the old one mean nothing."
    ),
    ReplayGap.LOG_TRIMMED: "The log no longer reaches back to where you were.",
    ReplayGap.SEQ_UNKNOWN: "The log has not come as far as you say.",
}


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """The next events after a place, or why there is no going on from it."""

    events: list[CommittedEvent]
    gap: ReplayGap | None


def read_replay_page(reader: Reader, after: int) -> ReplayPage:
    """Return the events that follow `after` without a hole."""
    high = event_log.get_high_water(reader)
    if after > high:
        return ReplayPage([], ReplayGap.SEQ_UNKNOWN)
    events = event_log.list_events_after(reader, after, REPLAY_PAGE_SIZE)
    reached = events[0].seq - 1 if events else high
    return ReplayPage(events, None) if reached == after else ReplayPage([], ReplayGap.LOG_TRIMMED)
