"""What a transport's signal means for the connection: the one table from signals to events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    KeepAliveLost,
    KeepAliveRestored,
    Paired,
    PairingFailed,
    QrExhausted,
    QrIssued,
    Scanned,
    Signal,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from statemachines.session import ConnectionEvent, ConnectionState


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of the connection, why it came, and until when it holds where that is known."""

    event: ConnectionEvent
    reason_code: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LineOpened(Signal):
    """The transport is open and has begun (said by the session's own line, not by a transport)."""


@dataclass(frozen=True, slots=True)
class LineNotOpened(Signal):
    """The channel said that it can't be opened as configured; ``sentence`` says why."""

    sentence: str


SIGNALS: dict[type[Signal], Heard] = {
    QrIssued: Heard(ConnectionEvent.QR_ISSUED, "qr_issued"),
    QrExhausted: Heard(ConnectionEvent.QR_EXHAUSTED, "qr_expired"),
    Scanned: Heard(ConnectionEvent.SCANNED, "scanned"),
    Paired: Heard(ConnectionEvent.PAIRED, "paired"),
    Connected: Heard(ConnectionEvent.CONNECTED, "connected"),
    Synced: Heard(ConnectionEvent.SYNCED, "ready"),
    KeepAlive: Heard(ConnectionEvent.KEEPALIVE_RESTORED, "ready"),
    KeepAliveLost: Heard(ConnectionEvent.KEEPALIVE_LOST, "keepalive_lost"),
    KeepAliveRestored: Heard(ConnectionEvent.KEEPALIVE_RESTORED, "ready"),
    Disconnected: Heard(ConnectionEvent.DISCONNECTED, "disconnected"),
    StreamErrorUnknown: Heard(ConnectionEvent.STREAM_ERROR_UNKNOWN, "stream_error"),
    TransportDied: Heard(ConnectionEvent.WORKER_DIED, "worker_died"),
    LineOpened: Heard(ConnectionEvent.DEVICE_FOUND, "login_found"),
    LineNotOpened: Heard(ConnectionEvent.REFUSED, "channel_not_opened"),
}

_REFUSED = Heard(ConnectionEvent.REFUSED, "connection_refused")
_BLOCKED = Heard(ConnectionEvent.BLOCKED_BY_PLATFORM, "blocked")
_TROUBLE = Heard(ConnectionEvent.DISCONNECTED, "server_trouble")

REFUSALS: dict[int, Heard] = {
    400: _REFUSED,
    401: Heard(ConnectionEvent.LOGGED_OUT_REMOTELY, "logged_out"),
    402: Heard(ConnectionEvent.BANNED, "banned"),
    403: _BLOCKED,
    405: Heard(ConnectionEvent.VERSION_REFUSED, "outdated"),
    406: _BLOCKED,
    409: _REFUSED,
    415: _REFUSED,
    418: _REFUSED,
    440: Heard(ConnectionEvent.REPLACED_BY_OTHER, "replaced"),
    500: _TROUBLE,
    501: _REFUSED,
    503: _TROUBLE,
}
"""By the platform's code; any other code is trouble on its side, and we come back later."""

NEVER_MISSED = frozenset({402, 403, 406})
"""Codes of bans and blocks: they count even when the line that told them is closed already."""

BAN_REASONS = {
    101: "banned_too_many_unknown_people",
    102: "banned_blocked_by_people",
    103: "banned_groups",
    104: "banned_same_message",
    106: "banned_broadcast",
}

DEADLINE_REASONS = {
    ConnectionState.STARTING: "start_timed_out",
    ConnectionState.AWAITING_SCAN: "qr_expired",
    ConnectionState.PAIRING: "pairing_timed_out",
    ConnectionState.CONNECTING: "connect_timed_out",
    ConnectionState.SYNCING: "ready",
    ConnectionState.DEGRADED: "silent_too_long",
    ConnectionState.BACKOFF: "reconnecting",
    ConnectionState.FAILED: "retrying",
    ConnectionState.BANNED_TEMPORARILY: "ban_expired",
}
"""Why a state is left (or, a ban, stays) when its time is over."""


def heard(signal: Signal, connection: ConnectionState) -> Heard | None:
    """Return what a signal means to a connection in this state, or None when it is not about it.

    A code on show although there was a login means that the login is gone. A pairing reported
    at the very start is the news of a login that our row did not know.
    """
    if isinstance(signal, ConnectionRefused):
        return _refusal(signal)
    if isinstance(signal, PairingFailed):
        if signal.passkey_requested:
            return Heard(ConnectionEvent.PASSKEY_REQUESTED, "passkey_requested")
        return Heard(ConnectionEvent.PAIRING_FAILED, "pairing_refused")
    if isinstance(signal, QrIssued) and connection is ConnectionState.CONNECTING:
        return Heard(ConnectionEvent.LOGGED_OUT_REMOTELY, "login_missing")
    if isinstance(signal, Paired) and connection is ConnectionState.STARTING:
        return Heard(ConnectionEvent.DEVICE_FOUND, "login_found")
    return SIGNALS.get(type(signal))


def outlives_its_line(signal: Signal) -> bool:
    """Return whether a signal counts although its line was closed before it could be taken."""
    return isinstance(signal, ConnectionRefused) and signal.code in NEVER_MISSED


def _refusal(signal: ConnectionRefused) -> Heard:
    known = REFUSALS.get(signal.code, _TROUBLE)
    if known.event is not ConnectionEvent.BANNED:
        return known
    reason = BAN_REASONS.get(signal.ban_code or 0, known.reason_code)
    return Heard(known.event, reason, signal.until)
