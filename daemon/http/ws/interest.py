"""What a client wants to hear, and from where on: checked against what it may hear."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import msgspec

from daemon.auth import Scope
from daemon.auth.access import TOPIC_SCOPES, readable
from daemon.auth.refusals import ScopeMissing
from daemon.errors import BadRequest

Place = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Names = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=1000)
]


class SubscriptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A client's own words; what it leaves out is everything, and from now on."""

    topics: Names | None = None
    sessions: Names | None = None
    after: Place | None = None
    epoch: Place | None = None


@dataclass(frozen=True, slots=True)
class Interest:
    """Which events a client is told: of these topics, and where about a session, of these."""

    topics: frozenset[str]
    sessions: frozenset[str] | None = None

    def takes(self, topic: str, session: str | None) -> bool:
        """Whether an event of this topic, about this session or none, is told."""
        if topic not in self.topics:
            return False
        return self.sessions is None or session is None or session in self.sessions

    def within(self, other: Interest) -> bool:
        """Whether `other` hears everything that this one does."""
        if not self.topics <= other.topics:
            return False
        if other.sessions is None:
            return True
        return self.sessions is not None and self.sessions <= other.sessions


@dataclass(frozen=True, slots=True)
class Start:
    """How a stream begins: after an event that the client has, else with a snapshot."""

    interest: Interest
    after: int | None = None
    epoch: int | None = None


def start_of(wanted: SubscriptionRequest, scopes: Collection[Scope]) -> Start:
    """Return what is wanted where these scopes allow it.

    Raises :class:`BadRequest` naming the field, or :class:`ScopeMissing`.
    """
    if (wanted.after is None) != (wanted.epoch is None):
        raise BadRequest(
            "after and epoch: only the two together name a place in the log.",
            hint="Send both, as the last frame that you have says them, or neither.",
        )
    sessions = None if wanted.sessions is None else frozenset(wanted.sessions)
    interest = Interest(_topics(wanted.topics, frozenset(scopes)), sessions)
    return Start(interest, wanted.after, wanted.epoch)


def _topics(named: Collection[str] | None, scopes: frozenset[Scope]) -> frozenset[str]:
    allowed = readable(scopes)
    if named is None:
        return allowed
    topics = frozenset(named)
    if unknown := topics - TOPIC_SCOPES.keys():
        raise BadRequest(
            f"topics: there is no event {', '.join(sorted(unknown))}.",
            hint=f"The topics are: {', '.join(sorted(TOPIC_SCOPES))}.",
        )
    if missing := topics - allowed:
        needed = sorted({TOPIC_SCOPES[topic] for topic in missing})
        raise ScopeMissing(f"To hear {', '.join(sorted(missing))} needs {', '.join(needed)}.")
    return topics
