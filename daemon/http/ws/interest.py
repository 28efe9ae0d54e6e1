"""What a client wants to hear, and from where on: checked against what it may hear."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import msgspec

from daemon.auth import Scope
from daemon.auth.access import TOPIC_SCOPES, list_readable_topics
from daemon.auth.refusals import ScopeMissing
from daemon.errors import BadRequest

LogPosition = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
NameList = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=1000)
]


class SubscriptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A client's own words; what it leaves out is everything, and from now on."""

    topics: NameList | None = None
    sessions: NameList | None = None
    after: LogPosition | None = None
    epoch: LogPosition | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a client is told: of these topics, and where about a session, of these."""

    topics: frozenset[str]
    sessions: frozenset[str] | None = None

    def matches(self, topic: str, session: str | None) -> bool:
        """Whether an event of this topic, about this session or none, is told."""
        if topic not in self.topics:
            return False
        return self.sessions is None or session is None or session in self.sessions

    def is_subset_of(self, other: EventFilter) -> bool:
        """Whether `other` hears everything that this one does."""
        if not self.topics <= other.topics:
            return False
        if other.sessions is None:
            return True
        return self.sessions is not None and self.sessions <= other.sessions


@dataclass(frozen=True, slots=True)
class StreamStart:
    """How a stream begins: after an event that the client has, else with a snapshot."""

    event_filter: EventFilter
    after: int | None = None
    epoch: int | None = None


def check_subscription(subscription: SubscriptionRequest, scopes: Collection[Scope]) -> StreamStart:
    """Return what is wanted where these scopes allow it.

    Raises :class:`BadRequest` naming the field, or :class:`ScopeMissing`.
    """
    if (subscription.after is None) != (subscription.epoch is None):
        raise BadRequest(
            "after and epoch: only the two together name a place in the log.",
            hint="Send both, as the last frame that you have says them, or neither.",
        )
    sessions = None if subscription.sessions is None else frozenset(subscription.sessions)
    interest = EventFilter(_check_topics(subscription.topics, frozenset(scopes)), sessions)
    return StreamStart(interest, subscription.after, subscription.epoch)


def _check_topics(named: Collection[str] | None, scopes: frozenset[Scope]) -> frozenset[str]:
    allowed = list_readable_topics(scopes)
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
