"""The severity of each state, which decides its colour in the console and the command line.

It imports nothing but the standard library, so that the command line starts fast;
`tests/daemon/test_severity.py` compares the words with the state machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol


class Severity(StrEnum):
    """What a state means to a person; shown as a colour with an icon and a word."""

    READY = "ready"
    WAITING = "waiting"
    NEEDS_YOU = "needs_you"
    STOPPED = "stopped"
    OFF = "off"


class SessionStatus(Protocol):
    """What a session's severity depends on."""

    @property
    def state(self) -> str:
        """The state of its connection."""
        ...

    @property
    def user_action(self) -> str:
        """What a person should do now."""
        ...


CONNECTION_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "ready": Severity.READY,
        **dict.fromkeys(
            ("starting", "pairing", "connecting", "syncing", "degraded", "backoff"),
            Severity.WAITING,
        ),
        **dict.fromkeys(("awaiting_scan", "qr_expired"), Severity.NEEDS_YOU),
        **dict.fromkeys(
            ("logged_out", "banned_temporarily", "blocked", "replaced", "outdated", "failed"),
            Severity.STOPPED,
        ),
        "stopped": Severity.OFF,
    }
)
MESSAGE_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        **dict.fromkeys(
            ("cleared", "sent", "delivered", "read", "confirmed_by_hand"), Severity.READY
        ),
        **dict.fromkeys(("queued", "deferred", "sending", "taken", "revealed"), Severity.WAITING),
        **dict.fromkeys(("held", "in_doubt"), Severity.NEEDS_YOU),
        **dict.fromkeys(("blocked", "failed"), Severity.STOPPED),
        **dict.fromkeys(("cancelled", "expired"), Severity.OFF),
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
OUTLOOK_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "now": Severity.READY,
        "later": Severity.WAITING,
        **dict.fromkeys(("approval", "by_hand"), Severity.NEEDS_YOU),
        "no": Severity.STOPPED,
    }
)
"""By what would become of a message if it were sent now."""
CAMPAIGN_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        **dict.fromkeys(("draft", "finished", "cancelled"), Severity.OFF),
        "running": Severity.READY,
        "paused": Severity.NEEDS_YOU,
    }
)
"""By the state of a campaign."""
EFFECT_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        **{effect: VERDICT_SEVERITY[effect] for effect in ("block", "route", "defer")},
        "hold": VERDICT_SEVERITY["review"],
    }
)
"""By effect of a veto or an opinion: the severity of the verdict that it leads to."""
SENDING_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {"all": Severity.READY, "reply_only": Severity.WAITING, "none": Severity.STOPPED}
)
PHONE_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {"seen": Severity.READY, "unseen": Severity.NEEDS_YOU, "unlinked": Severity.OFF}
)
VALIDATION_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "unchecked": Severity.OFF,
        "checking": Severity.WAITING,
        "validated": Severity.READY,
        "not_reachable": Severity.STOPPED,
        "expired": Severity.NEEDS_YOU,
        "erased": Severity.OFF,
    }
)
PERMISSION_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        **dict.fromkeys(("conversation", "opted_in", "relationship"), Severity.READY),
        "public_source": Severity.NEEDS_YOU,
        **dict.fromkeys(("none", "refused"), Severity.STOPPED),
    }
)
PHASE_SEVERITY: Mapping[str, Severity] = MappingProxyType(
    {
        "closed": Severity.READY,
        "active": Severity.WAITING,
        "planned": Severity.OFF,
        "deferred": Severity.OFF,
    }
)


def get_session_severity(session: SessionStatus) -> Severity:
    """Return a session's severity; one that is ready but restricted waits or needs a person."""
    if session.state == "ready" and session.user_action != "none":
        return Severity.WAITING if session.user_action == "wait_until" else Severity.NEEDS_YOU
    return CONNECTION_SEVERITY[session.state]
