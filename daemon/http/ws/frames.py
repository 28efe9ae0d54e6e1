"""What the server sends: each frame made and encoded once, ready for any number of clients."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from daemon.errors import LeadMasterError
from daemon.events import Event, SessionQrShown, revive
from daemon.http.release import VERSION
from daemon.http.ws.interest import Interest
from storage.db import Database
from storage.events import CommittedEvent
from storage.times import stamp

_TEXT: Final = 0x81  # a whole text message, as RFC 6455 frames it; servers don't mask
_ABOUT_SESSIONS: Final = "session."
_SHORT: Final = 126
_MEDIUM: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it goes out; `seq` is None for what is never stored."""

    seq: int | None
    topic: str
    session: str | None
    frame: bytes


def framed(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes of one WebSocket message."""
    payload = msgspec.json.encode(document)
    size = len(payload)
    if size < _SHORT:
        return bytes((_TEXT, size)) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def hello(database: Database, seq: int, now: datetime) -> bytes:
    """Say which log this is, how far it has come, and who speaks."""
    server = {
        "version": VERSION,
        "instance": database.instance_id,
        "now": now,
    }
    return framed({"frame": "hello", "epoch": database.epoch, "seq": seq, "server": server})


def subscribed(interest: Interest, through_seq: int) -> bytes:
    """Say what the client hears from now on; all of that up to `through_seq` was told."""
    return framed(
        {
            "frame": "subscribed",
            "topics": sorted(interest.topics),
            "sessions": None if interest.sessions is None else sorted(interest.sessions),
            "through_seq": through_seq,
        }
    )


def through(seq: int) -> bytes:
    """Tell a narrowed client that nothing of what it hears is missing up to here."""
    return framed({"frame": "through", "through_seq": seq})


def resync_required(reason_code: str, sentence: str) -> bytes:
    """Say why what the client missed can't be told; a fresh snapshot follows."""
    return framed({"frame": "resync_required", "reason_code": reason_code, "sentence": sentence})


def refusal(error: LeadMasterError) -> bytes:
    """Say what is wrong with what the client sent, or why it must go."""
    return framed(
        {"frame": "error", "code": error.code, "sentence": str(error), "hint": error.hint}
    )


def told(event: Event, seq: int | None, epoch: int, now: datetime) -> Told:
    """Return what was published, with its frame."""
    if isinstance(event, SessionQrShown):
        return _qr(event, now)
    return _told(event.type, event.subject, event.at, event.data, seq, epoch)


def told_from_log(event: CommittedEvent, epoch: int) -> Told:
    """Return a stored event with its frame, to the byte as it was when it was published.

    What an earlier version stored is told in the words that it had.
    """
    data = event.data
    with contextlib.suppress(msgspec.ValidationError, KeyError):
        data = revive(event.type, event.subject, event.at, data).data
    return _told(event.type, event.subject, event.at, data, event.seq, epoch)


def _told(
    topic: str, subject: str, at: datetime, data: Mapping[str, Any], seq: int | None, epoch: int
) -> Told:
    session = subject if topic.startswith(_ABOUT_SESSIONS) else data.get("session")
    document = {"frame": "event", "seq": seq, "epoch": epoch}
    body = {"type": topic, "at": stamp(at), "subject": subject, "data": data}
    return Told(seq, topic, session, framed(document | body))


def _qr(event: SessionQrShown, now: datetime) -> Told:
    """Tell a pairing code, and for how long by our clock: it is no part of the log."""
    left = max(0.0, round((event.expires_at - now).total_seconds(), 1))
    document = {
        "frame": "qr",
        "type": event.type,
        "at": stamp(event.at),
        "subject": event.subject,
        "data": event.data,
        "seconds_left": left,
    }
    return Told(None, event.type, event.subject, framed(document))
