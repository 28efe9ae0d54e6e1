"""States of a session: three flat machines side by side, connection, phone and sending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from statemachine.state import State
from statemachine.states import States

from statemachines.machine import StateDeadline, StrictMachine
from statemachines.qr import PAIRING_WINDOW_SECONDS
from statemachines.vocabulary import BlockedBy


class ConnectionState(StrEnum):
    """The state of a session's connection to WhatsApp."""

    STOPPED = "stopped"
    STARTING = "starting"
    AWAITING_SCAN = "awaiting_scan"
    PAIRING = "pairing"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    READY = "ready"
    DEGRADED = "degraded"
    BACKOFF = "backoff"
    QR_EXPIRED = "qr_expired"
    LOGGED_OUT = "logged_out"
    BANNED_TEMPORARILY = "banned_temporarily"
    BLOCKED = "blocked"
    REPLACED = "replaced"
    OUTDATED = "outdated"
    FAILED = "failed"


class ConnectionEvent(StrEnum):
    """What changes a connection: a person's commands (imperative) and facts (past tense)."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    ACKNOWLEDGE = "acknowledge"

    QR_ISSUED = "qr_issued"
    QR_EXHAUSTED = "qr_exhausted"
    SCANNED = "scanned"
    PAIRED = "paired"
    PAIRING_FAILED = "pairing_failed"
    PASSKEY_REQUESTED = "passkey_requested"
    DEVICE_FOUND = "device_found"
    CONNECTED = "connected"
    SYNCED = "synced"
    KEEPALIVE_LOST = "keepalive_lost"
    KEEPALIVE_RESTORED = "keepalive_restored"
    DISCONNECTED = "disconnected"
    STREAM_ERROR_UNKNOWN = "stream_error_unknown"
    WORKER_DIED = "worker_died"
    CRASHED_TOO_OFTEN = "crashed_too_often"

    REPLACED_BY_OTHER = "replaced_by_other"
    LOGGED_OUT_REMOTELY = "logged_out_remotely"
    BLOCKED_BY_PLATFORM = "blocked_by_platform"
    BANNED = "banned"
    VERSION_REFUSED = "version_refused"
    REFUSED = "refused"

    DEADLINE_PASSED = "deadline_passed"
    RETRY_DUE = "retry_due"
    BAN_EXPIRED = "ban_expired"


class DesiredState(StrEnum):
    """Whether a person wants the session connected; restored when the daemon restarts."""

    ON = "on"
    OFF = "off"


class PhoneState(StrEnum):
    """Whether the phone that owns the account was seen lately, or is linked at all."""

    SEEN = "seen"
    UNSEEN = "unseen"
    UNLINKED = "unlinked"


class PhoneEvent(StrEnum):
    """What changes the state of the phone."""

    PHONE_SEEN = "phone_seen"
    PHONE_MISSED = "phone_missed"
    PHONE_UNLINKED = "phone_unlinked"


class SendingState(StrEnum):
    """What the platform allows this number to send."""

    ALL = "all"
    REPLY_ONLY = "reply_only"
    NONE = "none"


class SendingEvent(StrEnum):
    """What widens or narrows sending."""

    RESTRICTED = "restricted"
    RESTRICTION_ENDED = "restriction_ended"
    SILENCED = "silenced"
    REPLIES_ALLOWED = "replies_allowed"


TRANSIENT_STATES = frozenset(
    {
        ConnectionState.STARTING,
        ConnectionState.AWAITING_SCAN,
        ConnectionState.PAIRING,
        ConnectionState.CONNECTING,
        ConnectionState.SYNCING,
        ConnectionState.DEGRADED,
        ConnectionState.BACKOFF,
    },
)
"""Passing states: none may last, each has a deadline in CONNECTION_DEADLINES."""

ACTIVE_STATES = TRANSIENT_STATES | {ConnectionState.READY}
"""The session has a transport open, or is about to open one again."""

NEEDS_PERSON_STATES = frozenset(
    {
        ConnectionState.QR_EXPIRED,
        ConnectionState.LOGGED_OUT,
        ConnectionState.BANNED_TEMPORARILY,
        ConnectionState.BLOCKED,
        ConnectionState.REPLACED,
        ConnectionState.OUTDATED,
        ConnectionState.FAILED,
    },
)
"""A person has to act (`failed` may be retried once before that)."""

MUST_ACKNOWLEDGE_STATES = frozenset({ConnectionState.BANNED_TEMPORARILY, ConnectionState.BLOCKED})
"""Stop and restart do not leave these: a person has to acknowledge first."""

RESTING_STATES = NEEDS_PERSON_STATES | {ConnectionState.STOPPED, ConnectionState.READY}
"""States without a deadline of ours: they may last."""

CAN_SEND_STATES = frozenset({ConnectionState.READY})
"""States in which a message may be sent."""

BLOCKING_STATES: Mapping[ConnectionState, BlockedBy] = MappingProxyType(
    {
        ConnectionState.STOPPED: BlockedBy.SESSION_STOPPED,
        ConnectionState.AWAITING_SCAN: BlockedBy.SESSION_UNLINKED,
        ConnectionState.QR_EXPIRED: BlockedBy.SESSION_QR_EXPIRED,
        ConnectionState.LOGGED_OUT: BlockedBy.SESSION_LOGGED_OUT,
        ConnectionState.BANNED_TEMPORARILY: BlockedBy.SESSION_BANNED_TEMPORARILY,
        ConnectionState.BLOCKED: BlockedBy.SESSION_BLOCKED,
        ConnectionState.REPLACED: BlockedBy.SESSION_REPLACED,
        ConnectionState.OUTDATED: BlockedBy.SESSION_OUTDATED,
        ConnectionState.FAILED: BlockedBy.SESSION_FAILED,
    }
)
"""Why a session can't send, for the states that end by a person or after long; others end soon."""

MANUAL_BLOCKS = frozenset(
    {
        BlockedBy.SESSION_DELETED,
        BlockedBy.SESSION_BANNED_TEMPORARILY,
        BlockedBy.SESSION_BLOCKED,
        BlockedBy.NUMBER_BANNED,
    }
)
"""Blocks that also stop sending by hand, which needs no connection but an unbanned number."""


def find_session_block(
    connection: ConnectionState, phone: PhoneState, sending: SendingState, *, has_number: bool
) -> BlockedBy | None:
    """Return why the messages of a session can't be sent, or None where they can, now or soon.

    ``has_number``: a phone was linked once. ``session_reply_only`` stops first contacts only.
    """
    # A stopped session whose phone was unlinked: "start it" would be the wrong advice.
    if (connection, phone) == (ConnectionState.STOPPED, PhoneState.UNLINKED) and has_number:
        return BlockedBy.SESSION_UNLINKED
    if (block := BLOCKING_STATES.get(connection)) is not None:
        return block
    return BlockedBy.SESSION_REPLY_ONLY if sending is SendingState.REPLY_ONLY else None


# WhatsApp unlinks a device whose phone was offline for about 14 days.
PHONE_WARNING_DAYS = (3, 7, 10)
PHONE_UNLINKED_AFTER_DAYS = 14

CONNECTION_DEADLINES: Mapping[ConnectionState, StateDeadline] = MappingProxyType(
    {
        ConnectionState.STARTING: StateDeadline(
            60, ConnectionEvent.DEADLINE_PASSED, "the worker showed neither a code nor a login"
        ),
        ConnectionState.AWAITING_SCAN: StateDeadline(
            PAIRING_WINDOW_SECONDS, ConnectionEvent.QR_EXHAUSTED, "all codes are used up"
        ),
        ConnectionState.PAIRING: StateDeadline(
            60,
            ConnectionEvent.DEADLINE_PASSED,
            "respawned; the login is stored, no new QR",
        ),
        ConnectionState.CONNECTING: StateDeadline(
            120,
            ConnectionEvent.DEADLINE_PASSED,
            "no connection (60 s after a pairing); respawned after a growing delay, no new QR",
        ),
        ConnectionState.SYNCING: StateDeadline(
            10, ConnectionEvent.DEADLINE_PASSED, "logged in; what is missed arrives later"
        ),
        ConnectionState.DEGRADED: StateDeadline(
            180, ConnectionEvent.DEADLINE_PASSED, "silent for too long; respawned"
        ),
        ConnectionState.BACKOFF: StateDeadline(
            None, ConnectionEvent.RETRY_DUE, "exponential with jitter, at most 15 minutes"
        ),
        ConnectionState.FAILED: StateDeadline(
            900, ConnectionEvent.RETRY_DUE, "one retry after a refusal, then a person"
        ),
        ConnectionState.BANNED_TEMPORARILY: StateDeadline(
            None, ConnectionEvent.BAN_EXPIRED, "the platform's expiry; then a person acknowledges"
        ),
    },
)

STREAM_ERROR_DEADLINE = StateDeadline(
    10, ConnectionEvent.DEADLINE_PASSED, "the socket is up but logged out; respawned"
)
"""Replaces the deadline of `degraded` after an unknown stream error."""


def _select_states(states: States, selected: Iterable[ConnectionState]) -> list[State]:
    """Return the library's states for a set of ours, in the order of declaration."""
    chosen = set(selected)
    return [states[place] for place, state in enumerate(ConnectionState) if state in chosen]


SENDING_DEADLINES: Mapping[SendingState, StateDeadline] = MappingProxyType(
    {
        SendingState.REPLY_ONLY: StateDeadline(
            None, SendingEvent.RESTRICTION_ENDED, "the end that the platform named, or a person's"
        ),
    },
)


class ConnectionMachine(StrictMachine[ConnectionState]):
    """The connection of a session: from stopped to ready, and every way in which it can end."""

    s = States.from_enum(ConnectionState, initial=ConnectionState.STOPPED, use_enum_instance=True)

    # A person's orders. What must be acknowledged cannot be got round by stop and start.
    start = s.STOPPED.to(s.STARTING)
    stop = s.STOPPED.from_(
        *_select_states(s, ACTIVE_STATES | NEEDS_PERSON_STATES - MUST_ACKNOWLEDGE_STATES)
    )
    restart = s.STARTING.from_(
        *_select_states(s, ACTIVE_STATES | NEEDS_PERSON_STATES - MUST_ACKNOWLEDGE_STATES)
    )
    acknowledge = s.STOPPED.from_(*_select_states(s, NEEDS_PERSON_STATES))

    # Linking a phone. A library may report the pairing without the scan that led to it.
    qr_issued = s.STARTING.to(s.AWAITING_SCAN) | s.AWAITING_SCAN.to.itself()
    qr_exhausted = s.AWAITING_SCAN.to(s.QR_EXPIRED)
    scanned = s.AWAITING_SCAN.to(s.PAIRING)
    paired = s.CONNECTING.from_(s.AWAITING_SCAN, s.PAIRING)
    pairing_failed = s.QR_EXPIRED.from_(s.STARTING, s.AWAITING_SCAN, s.PAIRING)
    passkey_requested = s.FAILED.from_(s.AWAITING_SCAN, s.PAIRING)

    # Logging in, and staying. Without a login (or after a restart, when nobody knows), only a new
    # login leads from degraded to ready, never a keep-alive.
    device_found = s.STARTING.to(s.CONNECTING)
    connected = s.SYNCING.from_(s.STARTING, s.PAIRING, s.CONNECTING, s.DEGRADED, s.BACKOFF)
    synced = s.SYNCING.to(s.READY)
    keepalive_lost = s.READY.to(s.DEGRADED)
    keepalive_restored = s.DEGRADED.to(s.READY, cond="login_held")
    stream_error_unknown = s.DEGRADED.from_(s.CONNECTING, s.SYNCING, s.READY, s.DEGRADED)
    disconnected = s.BACKOFF.from_(*_select_states(s, ACTIVE_STATES))
    worker_died = s.BACKOFF.from_(*_select_states(s, ACTIVE_STATES))
    crashed_too_often = s.FAILED.from_(*_select_states(s, ACTIVE_STATES))

    # The platform's verdicts. A ban or a block is accepted in every state: it must not get lost.
    replaced_by_other = s.REPLACED.from_(*_select_states(s, ACTIVE_STATES))
    logged_out_remotely = s.LOGGED_OUT.from_(*_select_states(s, ACTIVE_STATES))
    version_refused = s.OUTDATED.from_(*_select_states(s, ACTIVE_STATES))
    refused = s.FAILED.from_(*_select_states(s, ACTIVE_STATES))
    banned = s.BANNED_TEMPORARILY.from_(
        *_select_states(s, set(ConnectionState) - {ConnectionState.BLOCKED})
    )
    blocked_by_platform = s.BLOCKED.from_(*_select_states(s, ConnectionState))

    # Deadlines. `syncing` may end without the platform's word: what is missed arrives later.
    deadline_passed = (
        s.BACKOFF.from_(s.STARTING, s.CONNECTING)
        | s.STARTING.from_(s.PAIRING, s.DEGRADED)
        | s.SYNCING.to(s.READY)
    )
    retry_due = s.STARTING.from_(s.BACKOFF, s.FAILED)
    # The end of a ban is news, but no way out: a person acknowledges before anything is sent.
    ban_expired = s.BANNED_TEMPORARILY.to.itself()

    # Not stored: False after a restart, when it is unknown whether the login holds.
    login_held = False

    def on_keepalive_lost(self) -> None:
        """Note that the login holds, so that a keep-alive may lead back to `ready`."""
        self.login_held = True

    def on_stream_error_unknown(self) -> None:
        """Note that the login is lost: the socket is up, so a keep-alive proves nothing."""
        self.login_held = False


class PhoneMachine(StrictMachine[PhoneState]):
    """The phone of a session: unlinked until it is paired, then seen or unseen."""

    s = States.from_enum(PhoneState, initial=PhoneState.UNLINKED, use_enum_instance=True)

    phone_seen = s.SEEN.from_(s.UNLINKED, s.UNSEEN, s.SEEN)
    phone_missed = s.SEEN.to(s.UNSEEN)
    phone_unlinked = s.UNLINKED.from_(s.SEEN, s.UNSEEN)


class SendingMachine(StrictMachine[SendingState]):
    """What a number may send, by the platform's restriction signals."""

    s = States.from_enum(SendingState, initial=SendingState.ALL, use_enum_instance=True)

    # A restriction never widens: in `none` it changes nothing.
    restricted = s.REPLY_ONLY.from_(s.ALL, s.REPLY_ONLY) | s.NONE.to.itself()
    restriction_ended = s.REPLY_ONLY.to(s.ALL)
    silenced = s.NONE.from_(s.ALL, s.REPLY_ONLY, s.NONE)
    # From `none` to `all` only by way of replies.
    replies_allowed = s.NONE.to(s.REPLY_ONLY)
