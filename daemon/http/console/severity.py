"""The one map from a state to its severity, and so to its colour and its icon."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from daemon.gate.consent import Permission
from daemon.sessions.status import SessionView
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState, PhoneState, SendingState


class Severity(StrEnum):
    """What a state means to a person. Never shown alone: an icon and a word stand beside it."""

    READY = "ready"
    WAITING = "waiting"
    NEEDS_YOU = "needs_you"
    STOPPED = "stopped"
    OFF = "off"


_C, _M = ConnectionState, MessageState

CONNECTION_SEVERITY: Mapping[ConnectionState, Severity] = MappingProxyType(
    {
        _C.READY: Severity.READY,
        **dict.fromkeys(
            (_C.STARTING, _C.PAIRING, _C.CONNECTING, _C.SYNCING, _C.DEGRADED, _C.BACKOFF),
            Severity.WAITING,
        ),
        **dict.fromkeys((_C.AWAITING_SCAN, _C.QR_EXPIRED), Severity.NEEDS_YOU),
        **dict.fromkeys(
            (
                _C.LOGGED_OUT,
                _C.BANNED_TEMPORARILY,
                _C.BLOCKED,
                _C.REPLACED,
                _C.OUTDATED,
                _C.FAILED,
            ),
            Severity.STOPPED,
        ),
        _C.STOPPED: Severity.OFF,
    }
)
MESSAGE_SEVERITY: Mapping[MessageState, Severity] = MappingProxyType(
    {
        **dict.fromkeys(
            (_M.CLEARED, _M.SENT, _M.DELIVERED, _M.READ, _M.CONFIRMED_BY_HAND), Severity.READY
        ),
        **dict.fromkeys(
            (_M.QUEUED, _M.DEFERRED, _M.SENDING, _M.TAKEN, _M.REVEALED), Severity.WAITING
        ),
        **dict.fromkeys((_M.HELD, _M.IN_DOUBT), Severity.NEEDS_YOU),
        **dict.fromkeys((_M.BLOCKED, _M.FAILED), Severity.STOPPED),
        **dict.fromkeys((_M.CANCELLED, _M.EXPIRED), Severity.OFF),
    }
)
VERDICT_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "allow": Severity.READY,
        "review": Severity.NEEDS_YOU,
        "route": Severity.NEEDS_YOU,
        "defer": Severity.WAITING,
        "block": Severity.STOPPED,
    }
)
SENDING_SEVERITY: Mapping[SendingState, Severity] = MappingProxyType(
    {
        SendingState.ALL: Severity.READY,
        SendingState.REPLY_ONLY: Severity.WAITING,
        SendingState.NONE: Severity.STOPPED,
    }
)
PHONE_SEVERITY: Mapping[PhoneState, Severity] = MappingProxyType(
    {
        PhoneState.SEEN: Severity.READY,
        PhoneState.UNSEEN: Severity.NEEDS_YOU,
        PhoneState.UNLINKED: Severity.OFF,
    }
)

VALIDATION_SEVERITY: Mapping[ValidationState, Severity] = MappingProxyType(
    {
        ValidationState.UNCHECKED: Severity.OFF,
        ValidationState.CHECKING: Severity.WAITING,
        ValidationState.VALIDATED: Severity.READY,
        ValidationState.NOT_REACHABLE: Severity.STOPPED,
        ValidationState.EXPIRED: Severity.NEEDS_YOU,
        ValidationState.ERASED: Severity.OFF,
    }
)
PERMISSION_SEVERITY: Mapping[Permission, Severity] = MappingProxyType(
    {
        **dict.fromkeys(
            (Permission.CONVERSATION, Permission.OPTED_IN, Permission.RELATIONSHIP), Severity.READY
        ),
        Permission.PUBLIC_SOURCE: Severity.NEEDS_YOU,
        **dict.fromkeys((Permission.NONE, Permission.REFUSED), Severity.STOPPED),
    }
)


def get_session_severity(view: SessionView) -> Severity:
    """Return a session's tone: a ready one that may only reply waits, or needs a person."""
    if view.state is ConnectionState.READY and view.user_action != "none":
        return Severity.WAITING if view.user_action == "wait_until" else Severity.NEEDS_YOU
    return CONNECTION_SEVERITY[view.state]


EFFECT_SEVERITY: Final = {
    "block": Severity.STOPPED,
    "route": Severity.NEEDS_YOU,
    "defer": Severity.WAITING,
    "hold": Severity.NEEDS_YOU,
}
