"""Everything as it stands, and the seq that this is the state of: both from one read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.auth import Scope
from daemon.http.ws.frames import encode_frame
from daemon.rulebook import ActiveRulesets
from daemon.sessions.view import SessionView, build_session_view
from storage import event_log, halts, messages, sessions
from storage.halts import HaltRecord
from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """The state after the event `seq`."""

    seq: int
    sessions: list[SessionView]
    queues: dict[str, int]
    halt: HaltRecord | None


def read_snapshot(reader: Reader) -> StreamSnapshot:
    """Return the committed state; in REST's words, not in the rooms' memory."""
    return StreamSnapshot(
        seq=event_log.get_high_water(reader),
        sessions=[build_session_view(record) for record in sessions.list_sessions(reader)],
        queues=messages.count_messages_by_state(reader),
        halt=halts.get_current_halt(reader),
    )


def build_snapshot_frame(
    snapshot: StreamSnapshot, epoch: int, rules: ActiveRulesets, scopes: Collection[Scope]
) -> bytes:
    """Return the snapshot's frame; what these scopes may not read is null."""
    return encode_frame(
        {
            "frame": "snapshot",
            "epoch": epoch,
            "seq": snapshot.seq,
            "sessions": snapshot.sessions if Scope.SESSIONS_READ in scopes else None,
            "queues": snapshot.queues if Scope.MESSAGES_READ in scopes else None,
            "rules": _get_ruleset_hashes(rules) if Scope.RULES_READ in scopes else None,
            "halt": snapshot.halt,
        }
    )


def _get_ruleset_hashes(rules: ActiveRulesets) -> Mapping[str, Any]:
    return {"gate": rules.gate.ruleset.hash, "score": rules.score.ruleset.hash}
