"""The frames of the stream, from their JSON to what a program handles, and the one refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from leadmaster_client.events import BY_TYPE, Event, Halt, SessionState, UnknownEvent


class Refused(Exception):
    """The daemon refuses this client; to try again would not help.

    `code` is stable, such as `token_revoked`; `hint` says what to do.
    """

    def __init__(self, code: str, sentence: str, hint: str = "") -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the daemon's log: everything up to `seq` of this `epoch` was heard."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything as it stands after the event `seq`. What the token may not read is None.

    Whatever a program knew before is replaced by it. `because` is None at the first one, else
    why the events in between could not be told, such as `log_trimmed`.
    """

    epoch: int
    seq: int
    sessions: tuple[SessionState, ...] | None = None
    queues: Mapping[str, int] | None = None
    rules: Mapping[str, str] | None = None
    halt: Halt | None = None
    because: str | None = None


class Frame(msgspec.Struct, frozen=True):
    """Any frame; the fields of other kinds stay at their defaults."""

    frame: str
    epoch: int | None = None
    seq: int | None = None
    through_seq: int | None = None
    type: str = ""
    subject: str = ""
    at: datetime | None = None
    data: dict[str, Any] = {}
    seconds_left: float = 0.0
    reason_code: str = ""
    code: str = ""
    sentence: str = ""
    hint: str = ""


_DECODER = msgspec.json.Decoder(Frame)


def frame_of(said: str) -> Frame:
    """Return a frame; unknown fields of a newer daemon are left out."""
    return _DECODER.decode(said)


def snapshot_of(said: str, because: str | None) -> Snapshot:
    """Return the snapshot that a frame is."""
    taken = msgspec.json.decode(said, type=Snapshot)
    return replace(taken, because=because)


def event_of(frame: Frame) -> Event:
    """Return the event that a frame tells; one that this client does not know as it is."""
    common = {"subject": frame.subject, "at": frame.at, "seq": frame.seq, "epoch": frame.epoch}
    kind = BY_TYPE.get(frame.type)
    if kind is None:
        return msgspec.convert({**common, "type": frame.type, "data": frame.data}, UnknownEvent)
    left = {"seconds_left": frame.seconds_left} if frame.frame == "qr" else {}
    return msgspec.convert({**frame.data, **common, **left}, kind)
