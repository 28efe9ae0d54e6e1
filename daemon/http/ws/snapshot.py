"""Everything as it stands, and the seq that this is the state of: both from one read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.auth import Scope
from daemon.http.ws.frames import framed
from daemon.rulebook import Rulebook
from daemon.sessions.view import SessionView, view_of
from storage import event_log, halts, messages, sessions
from storage.halts import HaltRecord
from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the event `seq`."""

    seq: int
    sessions: list[SessionView]
    queues: dict[str, int]
    halt: HaltRecord | None


def read(reader: Reader) -> Snapshot:
    """Return the committed state; in REST's words, not in the rooms' memory."""
    return Snapshot(
        seq=event_log.high_water(reader),
        sessions=[view_of(record) for record in sessions.every(reader)],
        queues=messages.counts(reader),
        halt=halts.current(reader),
    )


def frame(taken: Snapshot, epoch: int, rules: Rulebook, scopes: Collection[Scope]) -> bytes:
    """Return the snapshot's frame; what these scopes may not read is null."""
    return framed(
        {
            "frame": "snapshot",
            "epoch": epoch,
            "seq": taken.seq,
            "sessions": taken.sessions if Scope.SESSIONS_READ in scopes else None,
            "queues": taken.queues if Scope.MESSAGES_READ in scopes else None,
            "rules": _hashes(rules) if Scope.RULES_READ in scopes else None,
            "halt": taken.halt,
        }
    )


def _hashes(rules: Rulebook) -> Mapping[str, Any]:
    return {"gate": rules.gate.ruleset.hash, "score": rules.score.ruleset.hash}
