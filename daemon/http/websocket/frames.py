"""The frames that the server sends, each encoded once for all clients, and its close codes."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from aiohttp import WSCloseCode
from msgspec import Struct

from daemon.errors import LeadMasterError, Unavailable
from daemon.events import DomainEvent, SessionPairingCodeShown, SessionQrShown, decode_event
from daemon.http.version import VERSION
from daemon.http.websocket.subscription import EventFilter
from storage.column_formats import format_timestamp
from storage.db import Database
from storage.events import CommittedEvent


class CloseReason(Struct, frozen=True):
    """A close code (RFC 6455) and the reason that is sent with it, at most 123 bytes."""

    code: int
    reason: str


CLOSE_CLIENT_LEFT: Final = CloseReason(WSCloseCode.OK, "")
CLOSE_RESTARTING: Final = CloseReason(
    WSCloseCode.SERVICE_RESTART, "The daemon ends; come back in a moment."
)
CLOSE_RIGHTS_CHANGED: Final = CloseReason(
    WSCloseCode.SERVICE_RESTART, "Your rights changed; connect again to use them."
)
CLOSE_TOO_SLOW: Final = CloseReason(
    WSCloseCode.TRY_AGAIN_LATER, "You did not read fast enough; resume from your last seq."
)
CLOSE_TOO_MANY_MISTAKES: Final = CloseReason(
    WSCloseCode.POLICY_VIOLATION, "Too many messages could not be understood."
)
CLOSE_INTERNAL_ERROR: Final = CloseReason(
    WSCloseCode.INTERNAL_ERROR, "The daemon failed here; its log says where."
)


def close_reason_from_error(error: LeadMasterError) -> CloseReason:
    """Return the close reason for an error; its sentence is sent in an `error` frame before."""
    later = isinstance(error, Unavailable)
    code = WSCloseCode.TRY_AGAIN_LATER if later else WSCloseCode.POLICY_VIOLATION
    return CloseReason(code, error.code)


_TEXT_FRAME: Final = 0x81  # FIN and opcode text, RFC 6455; a server's frames have no mask
_SESSION_TOPIC_PREFIX: Final = "session."
_SHORT_PAYLOAD: Final = 126
_MEDIUM_PAYLOAD: Final = 1 << 16


class EventFrame(Struct, frozen=True):
    """An encoded event; `seq` is None for one that is never stored."""

    seq: int | None
    topic: str
    session: str | None
    frame: bytes


def encode_frame(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes of one WebSocket message."""
    # By hand and not by the library, which would frame the same bytes again for each client.
    payload = msgspec.json.encode(document)
    size = len(payload)
    if size < _SHORT_PAYLOAD:
        return bytes((_TEXT_FRAME, size)) + payload
    if size < _MEDIUM_PAYLOAD:
        return struct.pack("!BBH", _TEXT_FRAME, 126, size) + payload
    return struct.pack("!BBQ", _TEXT_FRAME, 127, size) + payload


def build_hello_frame(database: Database, seq: int, now: datetime) -> bytes:
    """Build the first frame: the log's epoch and last seq, and the server."""
    server = {
        "version": VERSION,
        "instance": database.instance_id,
        "now": now,
    }
    return encode_frame({"frame": "hello", "epoch": database.epoch, "seq": seq, "server": server})


def build_subscribed_frame(event_filter: EventFilter, through_seq: int) -> bytes:
    """Build the answer to a subscription: its filter, and the seq up to which it was served."""
    return encode_frame(
        {
            "frame": "subscribed",
            "topics": sorted(event_filter.topics),
            "sessions": None if event_filter.sessions is None else sorted(event_filter.sessions),
            "through_seq": through_seq,
        }
    )


def build_through_frame(seq: int) -> bytes:
    """Build the frame which says that no event of the client's filter up to `seq` is missing."""
    return encode_frame({"frame": "through", "through_seq": seq})


def build_resync_frame(reason_code: str, sentence: str) -> bytes:
    """Build the frame which says why missed events can't be sent; a snapshot follows it."""
    return encode_frame(
        {"frame": "resync_required", "reason_code": reason_code, "sentence": sentence}
    )


def build_error_frame(error: LeadMasterError) -> bytes:
    """Build the frame of an error in the client's message, or of the end of the connection."""
    return encode_frame(
        {"frame": "error", "code": error.code, "sentence": str(error), "hint": error.hint}
    )


def build_event_frame(event: DomainEvent, seq: int | None, epoch: int, now: datetime) -> EventFrame:
    """Return a published event with its frame."""
    if isinstance(event, SessionQrShown | SessionPairingCodeShown):
        return _build_qr_frame(event, now)
    return _build_event_frame(event.type, event.subject, event.at, event.data, seq, epoch)


def build_logged_event_frame(event: CommittedEvent, epoch: int) -> EventFrame:
    """Return a stored event with its frame, the same bytes as when it was published."""
    data = event.data
    # Decoded for the order and the types of its fields. An event that another version stored, with
    # other fields, is sent as it is.
    with contextlib.suppress(msgspec.ValidationError, KeyError):
        data = decode_event(event.type, event.subject, event.at, data).data
    return _build_event_frame(event.type, event.subject, event.at, data, event.seq, epoch)


def _build_event_frame(
    topic: str, subject: str, at: datetime, data: Mapping[str, Any], seq: int | None, epoch: int
) -> EventFrame:
    session = subject if topic.startswith(_SESSION_TOPIC_PREFIX) else data.get("session")
    document = {"frame": "event", "seq": seq, "epoch": epoch}
    body = {"type": topic, "at": format_timestamp(at), "subject": subject, "data": data}
    return EventFrame(seq, topic, session, encode_frame(document | body))


def _build_qr_frame(event: SessionQrShown | SessionPairingCodeShown, now: datetime) -> EventFrame:
    """Return a pairing code with its frame, and the seconds left by the daemon's clock."""
    left = max(0.0, round((event.expires_at - now).total_seconds(), 1))
    document = {
        "frame": "qr",
        "type": event.type,
        "at": format_timestamp(event.at),
        "subject": event.subject,
        "data": event.data,
        "seconds_left": left,
    }
    return EventFrame(None, event.type, event.subject, encode_frame(document))
