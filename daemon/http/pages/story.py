"""A life as one vertical line: each thing that happened, when, why, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.http.pages import tones
from daemon.http.pages.tones import Severity
from daemon.sessions.words import REASON_SENTENCES, STATE_TEXTS
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage.inbound import InboundRecord
from storage.sessions import SessionHistoryEntry
from storage.times import parse_timestamp


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened. `key` names its word; `sentence` is the server's; `quote` theirs.

    `path` is where more of it stands; `score` is what a prospect had from here on.
    """

    at: datetime
    severity: Severity
    key: str
    state: str
    sentence: str = ""
    who: str = ""
    quote: str = ""
    path: str = ""
    score: int | None = None


def build_message_timeline(
    history: Sequence[Mapping[str, Any]], answers: Sequence[InboundRecord]
) -> list[TimelineEntry]:
    """Return a message's life, oldest first, with what they wrote after it was asked for."""
    moves = [
        TimelineEntry(
            at=parse_timestamp(row["at"]),
            severity=tones.MESSAGE_SEVERITY[MessageState(row["state"])],
            key=f"message.{row['state']}",
            state=row["state"],
            sentence=row["sentence"],
            who=row["who"],
        )
        for row in history
    ]
    begun = moves[0].at if moves else None
    theirs = [
        TimelineEntry(each.at, Severity.READY, "story.answered", each.wish, quote=each.text)
        for each in answers
        if begun is not None and each.at >= begun and not each.own
    ]
    return sorted([*moves, *theirs], key=lambda beat: beat.at)


def build_session_timeline(entries: Sequence[SessionHistoryEntry]) -> list[TimelineEntry]:
    """Return a session's life, newest first: what is looked for is what happened last."""
    return [_entry_from_history(entry) for entry in reversed(entries)]


_REGION_KEYS = {"phone": "story", "sending": "story"}
"""Where a region's words stand, if not under its own name: in a story they must say of what."""


def _entry_from_history(entry: SessionHistoryEntry) -> TimelineEntry:
    return TimelineEntry(
        at=entry.at,
        severity=_get_region_severity(entry.region, entry.state),
        key=f"{_REGION_KEYS.get(entry.region, entry.region)}.{entry.state}",
        state=entry.state,
        sentence=_get_history_sentence(entry),
    )


def _get_region_severity(region: str, state: str) -> Severity:
    match region:
        case "connection":
            return tones.CONNECTION_SEVERITY[ConnectionState(state)]
        case "phone":
            return tones.PHONE_SEVERITY[PhoneState(state)]
        case "sending":
            return tones.SENDING_SEVERITY[SendingState(state)]
        case _:
            return Severity.OFF


def _get_history_sentence(entry: SessionHistoryEntry) -> str:
    """Return why, where the words hold no moment: a deadline of then would mislead now."""
    own = STATE_TEXTS[ConnectionState(entry.state)].sentence if entry.region == "connection" else ""
    said = REASON_SENTENCES.get(entry.reason_code, own)
    return "" if "{" in said else said
