"""The messages that a client may send, and the event filter that its scopes allow."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon import validation_errors
from daemon.auth import Scope
from daemon.auth.access import TOPIC_SCOPES, list_readable_topics
from daemon.auth.errors import ScopeMissing
from daemon.errors import BadRequest

LogPosition = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
NameList = Annotated[
    tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=1000)
]


class SubscriptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client asks for; a field left out means all topics, all sessions, from now on."""

    topics: NameList | None = None
    sessions: NameList | None = None
    after: LogPosition | None = None
    epoch: LogPosition | None = None


class EventFilter(Struct, frozen=True):
    """The events that a client gets: of these topics, and where about a session, of these."""

    topics: frozenset[str]
    sessions: frozenset[str] | None = None

    def matches(self, topic: str, session: str | None) -> bool:
        """Whether an event of this topic, about this session or none, passes."""
        if topic not in self.topics:
            return False
        return self.sessions is None or session is None or session in self.sessions

    def is_subset_of(self, other: EventFilter) -> bool:
        """Whether `other` passes every event that this one passes."""
        if not self.topics <= other.topics:
            return False
        if other.sessions is None:
            return True
        return self.sessions is not None and self.sessions <= other.sessions


class StreamStart(Struct, frozen=True):
    """How a stream begins: after an event that the client has, or else with a snapshot."""

    event_filter: EventFilter
    after: int | None = None
    epoch: int | None = None


def check_subscription(subscription: SubscriptionRequest, scopes: Collection[Scope]) -> StreamStart:
    """Return the start of a subscription that these scopes allow.

    Raises :class:`BadRequest` naming the field, or :class:`ScopeMissing`.
    """
    if (subscription.after is None) != (subscription.epoch is None):
        raise BadRequest(
            "after and epoch: only the two together name a place in the log.",
            hint="Send both, as the last frame that you have says them, or neither.",
        )
    sessions = None if subscription.sessions is None else frozenset(subscription.sessions)
    event_filter = EventFilter(_check_topics(subscription.topics, frozenset(scopes)), sessions)
    return StreamStart(event_filter, subscription.after, subscription.epoch)


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


class SignInFrame(SubscriptionRequest, frozen=True, tag_field="frame", tag="sign_in"):
    """The first message of a client without credentials: its token and its subscription."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return "SignIn(…)"


class SubscribeFrame(SubscriptionRequest, frozen=True, tag_field="frame", tag="subscribe"):
    """A new subscription in place of the present one."""


_DECODER: Final[msgspec.json.Decoder[SignInFrame | SubscribeFrame]] = msgspec.json.Decoder(
    SignInFrame | SubscribeFrame
)


def parse_client_frame(data: object) -> SignInFrame | SubscribeFrame:
    """Return a client's message; raise :class:`BadRequest` for anything else."""
    if not isinstance(data, str):
        raise BadRequest("The message is not text.", hint="Send one JSON object a message.")
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise BadRequest(
            validation_errors.format_validation_error(
                error, SignInFrame | SubscribeFrame, value_name="message"
            ),
            hint='Send {"frame": "subscribe", "topics": […], "sessions": […]}.',
        ) from error


def read_subscription_query(request: web.Request) -> SubscriptionRequest:
    """Return the subscription in the address; lists are separated by commas.

    Raises :class:`BadRequest`.
    """
    # A token in an address would appear in logs: the type has no field for it, so it is refused.
    given: dict[str, object] = dict(request.query)
    for name in ("topics", "sessions"):
        if name in request.query:
            given[name] = tuple(each for each in request.query[name].split(",") if each)
    try:
        return msgspec.convert(given, SubscriptionRequest, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(
            validation_errors.format_validation_error(
                error, SubscriptionRequest, value_name="query"
            )
        ) from error
