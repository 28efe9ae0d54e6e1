"""Builds signals from JSON lines, such as the cases in tests/data/signals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from daemon.api.signals import InboundKind, InboundMessage, Origin, OwnMessage, Signal

if TYPE_CHECKING:
    from daemon.api.identity import Identity

SIGNAL_CASES: Final = Path(__file__).parent.parent / "data" / "signals"


def read_signal_cases(name: str) -> list[dict[str, Any]]:
    """Return the lines of one case; a number in ``at`` is seconds from now, ``sender`` is raw."""
    text = (SIGNAL_CASES / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def build_signals(cases: Iterable[dict[str, Any]], now: datetime) -> list[Signal]:
    """Return the signals of lines, with raw identities, as from a channel that checks nothing."""
    return [build_signal(case, now) for case in cases]


def build_signal(case: dict[str, Any], now: datetime) -> Signal:
    """Return the signal of one line."""
    at = case["at"]
    written_at = (
        datetime.fromisoformat(at) if isinstance(at, str) else now + timedelta(seconds=float(at))
    )
    origin = Origin(case.get("origin", "live"))
    if case["k"] == "OwnMessage":
        recipient, text_hash = cast("Identity", case["recipient"]), case.get("text_hash")
        return OwnMessage(case["wire_id"], recipient, written_at, text_hash, origin)
    phone = case.get("sender_phone")
    return InboundMessage(
        case["wire_id"],
        cast("Identity", case["sender"]),
        case["text"],
        written_at,
        InboundKind(case.get("kind", "text")),
        origin,
        cast("tuple[Identity, ...]", (phone,) if phone else ()),
        quoted_id=case.get("quoted_id"),
        automatic=case.get("automatic", False),
    )
