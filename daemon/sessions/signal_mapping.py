"""Maps a transport's signals to events of the connection's state machine."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    KeepAliveLost,
    KeepAliveRestored,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    QrExhausted,
    QrIssued,
    RefusalKind,
    Scanned,
    Signal,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from statemachines.session import ConnectionEvent, ConnectionState


class ConnectionTrigger(Struct, frozen=True):
    """An event for the connection's machine, its reason, and its end where that is known."""

    event: ConnectionEvent
    reason_code: str
    until: datetime | None = None


class ConnectionOpened(Signal, frozen=True):
    """The transport was opened (a signal of the session's connection, not of a transport)."""


class ConnectionNotOpened(Signal, frozen=True):
    """The channel can't be opened as it is configured, or not now; ``sentence`` says why."""

    sentence: str
    retryable: bool = False


SIGNAL_TRIGGERS: dict[type[Signal], ConnectionTrigger] = {
    QrIssued: ConnectionTrigger(ConnectionEvent.QR_ISSUED, "qr_issued"),
    PairingCodeIssued: ConnectionTrigger(ConnectionEvent.QR_ISSUED, "pairing_code_issued"),
    QrExhausted: ConnectionTrigger(ConnectionEvent.QR_EXHAUSTED, "qr_expired"),
    Scanned: ConnectionTrigger(ConnectionEvent.SCANNED, "scanned"),
    Paired: ConnectionTrigger(ConnectionEvent.PAIRED, "paired"),
    Connected: ConnectionTrigger(ConnectionEvent.CONNECTED, "connected"),
    Synced: ConnectionTrigger(ConnectionEvent.SYNCED, "ready"),
    KeepAlive: ConnectionTrigger(ConnectionEvent.KEEPALIVE_RESTORED, "ready"),
    KeepAliveLost: ConnectionTrigger(ConnectionEvent.KEEPALIVE_LOST, "keepalive_lost"),
    KeepAliveRestored: ConnectionTrigger(ConnectionEvent.KEEPALIVE_RESTORED, "ready"),
    Disconnected: ConnectionTrigger(ConnectionEvent.DISCONNECTED, "disconnected"),
    StreamErrorUnknown: ConnectionTrigger(ConnectionEvent.STREAM_ERROR_UNKNOWN, "stream_error"),
    TransportDied: ConnectionTrigger(ConnectionEvent.WORKER_DIED, "worker_died"),
    ConnectionOpened: ConnectionTrigger(ConnectionEvent.DEVICE_FOUND, "login_found"),
    ConnectionNotOpened: ConnectionTrigger(ConnectionEvent.REFUSED, "channel_not_opened"),
}

REFUSAL_TRIGGERS: dict[RefusalKind, ConnectionTrigger] = {
    RefusalKind.LOGGED_OUT: ConnectionTrigger(ConnectionEvent.LOGGED_OUT_REMOTELY, "logged_out"),
    RefusalKind.BANNED: ConnectionTrigger(ConnectionEvent.BANNED, "banned"),
    RefusalKind.BLOCKED: ConnectionTrigger(ConnectionEvent.BLOCKED_BY_PLATFORM, "blocked"),
    RefusalKind.OUTDATED: ConnectionTrigger(ConnectionEvent.VERSION_REFUSED, "outdated"),
    RefusalKind.REPLACED: ConnectionTrigger(ConnectionEvent.REPLACED_BY_OTHER, "replaced"),
    RefusalKind.SERVER_TROUBLE: ConnectionTrigger(ConnectionEvent.DISCONNECTED, "server_trouble"),
    RefusalKind.REJECTED: ConnectionTrigger(ConnectionEvent.REFUSED, "connection_refused"),
}

BAN_AND_BLOCK_KINDS = frozenset({RefusalKind.BANNED, RefusalKind.BLOCKED})
"""Refusals that count even after their connection was closed."""

# The codes of a temporary ban, as WhatsApp reports them.
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
"""The reason code when a state's deadline is over."""


def map_signal(signal: Signal, connection: ConnectionState) -> ConnectionTrigger | None:
    """Return the event that a signal means in this state, or None where it means none."""
    if isinstance(signal, ConnectionRefused):
        return _map_refusal(signal)
    if isinstance(signal, PairingFailed):
        return _map_pairing_failure(signal)
    if isinstance(signal, ConnectionNotOpened) and signal.retryable:
        return ConnectionTrigger(ConnectionEvent.DISCONNECTED, "channel_not_ready")
    # A code although a login was stored: the login is gone.
    issued = isinstance(signal, QrIssued | PairingCodeIssued)
    if issued and connection is ConnectionState.CONNECTING:
        return ConnectionTrigger(ConnectionEvent.LOGGED_OUT_REMOTELY, "login_missing")
    # Paired before any code was shown: the channel had a login that our row does not know.
    if isinstance(signal, Paired) and connection is ConnectionState.STARTING:
        return ConnectionTrigger(ConnectionEvent.DEVICE_FOUND, "login_found")
    return SIGNAL_TRIGGERS.get(type(signal))


def is_valid_after_close(signal: Signal) -> bool:
    """Return whether a signal counts although its connection was closed before it was handled."""
    return isinstance(signal, ConnectionRefused) and signal.kind in BAN_AND_BLOCK_KINDS


def _map_pairing_failure(signal: PairingFailed) -> ConnectionTrigger:
    if signal.passkey_requested:
        return ConnectionTrigger(ConnectionEvent.PASSKEY_REQUESTED, "passkey_requested")
    reason = "pairing_code_refused" if signal.code_refused else "pairing_refused"
    return ConnectionTrigger(ConnectionEvent.PAIRING_FAILED, reason)


def _map_refusal(signal: ConnectionRefused) -> ConnectionTrigger:
    known = REFUSAL_TRIGGERS[signal.kind]
    if known.event is not ConnectionEvent.BANNED:
        return known
    reason = BAN_REASONS.get(signal.ban_code or 0, known.reason_code)
    return ConnectionTrigger(known.event, reason, signal.until)
