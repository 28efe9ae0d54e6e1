"""A life as one vertical line: each thing that happened, when, why, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from daemon.http.pages import tones
from daemon.http.pages.tones import Tone
from daemon.sessions.words import REASONS, STATES
from statemachines.message import MessageState
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage.inbound import InboundRecord
from storage.sessions import SessionHistoryEntry
from storage.times import parse


@dataclass(frozen=True, slots=True)
class Beat:
    """One thing that happened. `key` names its word; `sentence` is the server's; `quote` theirs.

    `path` is where more of it stands; `score` is what a prospect had from here on.
    """

    at: datetime
    tone: Tone
    key: str
    state: str
    sentence: str = ""
    who: str = ""
    quote: str = ""
    path: str = ""
    score: int | None = None


def of_message(
    history: Sequence[Mapping[str, Any]], answers: Sequence[InboundRecord]
) -> list[Beat]:
    """Return a message's life, oldest first, with what they wrote after it was asked for."""
    moves = [
        Beat(
            at=parse(row["at"]),
            tone=tones.MESSAGES[MessageState(row["state"])],
            key=f"message.{row['state']}",
            state=row["state"],
            sentence=row["sentence"],
            who=row["who"],
        )
        for row in history
    ]
    begun = moves[0].at if moves else None
    theirs = [
        Beat(each.at, Tone.READY, "story.answered", each.wish, quote=each.text)
        for each in answers
        if begun is not None and each.at >= begun and not each.own
    ]
    return sorted([*moves, *theirs], key=lambda beat: beat.at)


def of_session(entries: Sequence[SessionHistoryEntry]) -> list[Beat]:
    """Return a session's life, newest first: what is looked for is what happened last."""
    return [_move(entry) for entry in reversed(entries)]


_TABLES = {"phone": "story", "sending": "story"}
"""Where a region's words stand, if not under its own name: in a story they must say of what."""


def _move(entry: SessionHistoryEntry) -> Beat:
    return Beat(
        at=entry.at,
        tone=_tone(entry.region, entry.state),
        key=f"{_TABLES.get(entry.region, entry.region)}.{entry.state}",
        state=entry.state,
        sentence=_sentence(entry),
    )


def _tone(region: str, state: str) -> Tone:
    match region:
        case "connection":
            return tones.CONNECTIONS[ConnectionState(state)]
        case "phone":
            return tones.PHONES[PhoneState(state)]
        case "sending":
            return tones.SENDING[SendingState(state)]
        case _:
            return Tone.OFF


def _sentence(entry: SessionHistoryEntry) -> str:
    """Return why, where the words hold no moment: a deadline of then would mislead now."""
    own = STATES[ConnectionState(entry.state)].sentence if entry.region == "connection" else ""
    said = REASONS.get(entry.reason_code, own)
    return "" if "{" in said else said
