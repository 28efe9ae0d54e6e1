"""Five tones for every state: the one map from a state to its colour and its icon."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from daemon.consent import Permission
from daemon.sessions.view import SessionView
from statemachines.message import MessageState
from statemachines.prospect import Validation
from statemachines.session import Connection, Phone, Sending


class Tone(StrEnum):
    """What a state means to a person. Never shown alone: an icon and a word stand beside it."""

    READY = "ready"
    WAITING = "waiting"
    NEEDS_YOU = "needs_you"
    STOPPED = "stopped"
    OFF = "off"


_C, _M = Connection, MessageState

CONNECTIONS: Mapping[Connection, Tone] = MappingProxyType(
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
SENDING: Mapping[Sending, Tone] = MappingProxyType(
    {Sending.ALL: Tone.READY, Sending.REPLY_ONLY: Tone.WAITING, Sending.NONE: Tone.STOPPED}
)
PHONES: Mapping[Phone, Tone] = MappingProxyType(
    {Phone.SEEN: Tone.READY, Phone.UNSEEN: Tone.NEEDS_YOU, Phone.UNLINKED: Tone.OFF}
)

VALIDATIONS: Mapping[Validation, Tone] = MappingProxyType(
    {
        Validation.UNCHECKED: Tone.OFF,
        Validation.CHECKING: Tone.WAITING,
        Validation.VALIDATED: Tone.READY,
        Validation.NOT_REACHABLE: Tone.STOPPED,
        Validation.EXPIRED: Tone.NEEDS_YOU,
        Validation.ERASED: Tone.OFF,
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
    if view.state is Connection.READY and view.user_action != "none":
        return Tone.WAITING if view.user_action == "wait_until" else Tone.NEEDS_YOU
    return CONNECTIONS[view.state]
