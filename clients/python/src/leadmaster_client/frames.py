"""Decodes the frames of the stream into events and snapshots; the error of a refused client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from leadmaster_client.events import BY_TYPE, Event, Halt, SessionState, UnknownEvent


class Refused(Exception):
    """The daemon refuses this client; trying again would not help.

    `code` is stable, such as `token_revoked`; `hint` says what to do.
    """

    def __init__(self, code: str, sentence: str, hint: str = "") -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the daemon's log: everything up to `seq` of this `epoch` was handled."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state after the event `seq`; parts that the token may not read are None.

    It replaces everything that a program knew before. `because` is None at the first one, else
    why the events in between can't be sent, such as `log_trimmed`.
    """

    epoch: int
    seq: int
    sessions: tuple[SessionState, ...] | None = None
    queues: Mapping[str, int] | None = None
    rules: Mapping[str, str] | None = None
    halt: Halt | None = None
    because: str | None = None


class Frame(msgspec.Struct, frozen=True):
    """A frame of any kind; fields that it does not have keep their defaults."""

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


def frame_of(text: str) -> Frame:
    """Decode a frame; unknown fields of a newer daemon are ignored."""
    return _DECODER.decode(text)


def snapshot_of(text: str, because: str | None) -> Snapshot:
    """Decode the snapshot in a frame."""
    taken = msgspec.json.decode(text, type=Snapshot)
    return replace(taken, because=because)


def event_of(frame: Frame) -> Event:
    """Return the event in a frame; an :class:`UnknownEvent` for an unknown type."""
    common = {"subject": frame.subject, "at": frame.at, "seq": frame.seq, "epoch": frame.epoch}
    kind = BY_TYPE.get(frame.type)
    if kind is None:
        return msgspec.convert({**common, "type": frame.type, "data": frame.data}, UnknownEvent)
    left = {"seconds_left": frame.seconds_left} if frame.frame == "qr" else {}
    return msgspec.convert({**frame.data, **common, **left}, kind)
