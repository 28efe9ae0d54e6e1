"""Five tones for every state: the one map from a state to its colour and its icon."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from daemon.consent import Permission
from daemon.sessions.view import SessionView
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState, PhoneState, SendingState


class Tone(StrEnum):
    """What a state means to a person. Never shown alone: an icon and a word stand beside it."""

    READY = "ready"
    WAITING = "waiting"
    NEEDS_YOU = "needs_you"
    STOPPED = "stopped"
    OFF = "off"


_C, _M = ConnectionState, MessageState

CONNECTIONS: Mapping[ConnectionState, Tone] = MappingProxyType(
    {
        _C.READY: Tone.READY,
        **dict.fromkeys(
            (_C.STARTING, _C.PAIRING, _C.CONNECTING, _C.SYNCING, _C.DEGRADED, _C.BACKOFF),
            Tone.WAITING,
        ),
        **dict.fromkeys((_C.AWAITING_SCAN, _C.QR_EXPIRED), Tone.NEEDS_YOU),
        **dict.fromkeys(
            (
                _C.LOGGED_OUT,
                _C.BANNED_TEMPORARILY,
                _C.BLOCKED,
                _C.REPLACED,
                _C.OUTDATED,
                _C.FAILED,
            ),
            Tone.STOPPED,
        ),
        _C.STOPPED: Tone.OFF,
    }
)
MESSAGES: Mapping[MessageState, Tone] = MappingProxyType(
    {
        **dict.fromkeys(
            (_M.CLEARED, _M.SENT, _M.DELIVERED, _M.READ, _M.CONFIRMED_BY_HAND), Tone.READY
        ),
        **dict.fromkeys((_M.QUEUED, _M.DEFERRED, _M.SENDING, _M.TAKEN, _M.REVEALED), Tone.WAITING),
        **dict.fromkeys((_M.HELD, _M.IN_DOUBT), Tone.NEEDS_YOU),
        **dict.fromkeys((_M.BLOCKED, _M.FAILED), Tone.STOPPED),
        **dict.fromkeys((_M.CANCELLED, _M.EXPIRED), Tone.OFF),
    }
)
VERDICTS: Mapping[str, Tone] = MappingProxyType(
    {
        "allow": Tone.READY,
        "review": Tone.NEEDS_YOU,
        "route": Tone.NEEDS_YOU,
        "defer": Tone.WAITING,
        "block": Tone.STOPPED,
    }
)
SENDING: Mapping[SendingState, Tone] = MappingProxyType(
    {
        SendingState.ALL: Tone.READY,
        SendingState.REPLY_ONLY: Tone.WAITING,
        SendingState.NONE: Tone.STOPPED,
    }
)
PHONES: Mapping[PhoneState, Tone] = MappingProxyType(
    {PhoneState.SEEN: Tone.READY, PhoneState.UNSEEN: Tone.NEEDS_YOU, PhoneState.UNLINKED: Tone.OFF}
)

VALIDATIONS: Mapping[ValidationState, Tone] = MappingProxyType(
    {
        ValidationState.UNCHECKED: Tone.OFF,
        ValidationState.CHECKING: Tone.WAITING,
        ValidationState.VALIDATED: Tone.READY,
        ValidationState.NOT_REACHABLE: Tone.STOPPED,
        ValidationState.EXPIRED: Tone.NEEDS_YOU,
        ValidationState.ERASED: Tone.OFF,
    }
)
PERMISSIONS: Mapping[Permission, Tone] = MappingProxyType(
    {
        **dict.fromkeys(
            (Permission.CONVERSATION, Permission.OPTED_IN, Permission.RELATIONSHIP), Tone.READY
        ),
        Permission.PUBLIC_SOURCE: Tone.NEEDS_YOU,
        **dict.fromkeys((Permission.NONE, Permission.REFUSED), Tone.STOPPED),
    }
)


def of_session(view: SessionView) -> Tone:
    """Return a session's tone: a ready one that may only reply waits, or needs a person."""
    if view.state is ConnectionState.READY and view.user_action != "none":
        return Tone.WAITING if view.user_action == "wait_until" else Tone.NEEDS_YOU
    return CONNECTIONS[view.state]
