"""Signals of a channel as JSON lines: the cases in tests/data/signals, and others in their form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from daemon.api.identity import Identity, NotAContact, parse_identity
from daemon.api.signals import InboundKind, InboundMessage, Origin, OwnMessage, Signal

SIGNAL_CASES: Final = Path(__file__).parent.parent / "data" / "signals"


def read_signal_cases(name: str) -> list[dict[str, Any]]:
    """Return the lines of one case; a number in ``at`` is seconds from now, ``sender`` is raw."""
    text = (SIGNAL_CASES / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def build_signals(cases: Iterable[dict[str, Any]], now: datetime) -> list[Signal]:
    """Return what a channel makes of the lines; whose sender is no contact is left out."""
    found = (build_signal(case, now) for case in cases)
    return [signal for signal in found if signal is not None]


def build_signal(case: dict[str, Any], now: datetime) -> Signal | None:
    """Return the signal of one line, or None where it comes from no single person."""
    at = case["at"]
    written_at = (
        datetime.fromisoformat(at) if isinstance(at, str) else now + timedelta(seconds=float(at))
    )
    origin = Origin(case.get("origin", "live"))
    try:
        if case["k"] == "OwnMessage":
            return OwnMessage(
                case["wire_id"],
                parse_identity(case["recipient"]),
                written_at,
                case.get("text_hash"),
                origin,
            )
        return InboundMessage(
            case["wire_id"],
            parse_identity(case["sender"]),
            case["text"],
            written_at,
            InboundKind(case.get("kind", "text")),
            origin,
            _parse_aliases(case.get("sender_phone")),
            quoted_id=case.get("quoted_id"),
            automatic=case.get("automatic", False),
        )
    except NotAContact:
        return None


def _parse_aliases(phone: str | None) -> tuple[Identity, ...]:
    return (parse_identity(phone),) if phone else ()
