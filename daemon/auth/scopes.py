"""The closed list of scopes, and the roles, which are sets of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from daemon.errors import BadRequest


class Scope(StrEnum):
    """One right. There are no others, and none contains another."""

    SESSIONS_READ = "sessions:read"
    SESSIONS_PAIR = "sessions:pair"
    SESSIONS_WRITE = "sessions:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    PROSPECTS_READ = "prospects:read"
    PROSPECTS_WRITE = "prospects:write"
    REVIEW_WRITE = "review:write"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    EVENTS_READ = "events:read"
    METRICS_READ = "metrics:read"
    ADMIN = "admin"


class Role(StrEnum):
    """What a user is: each role may do what the one before it may, and more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


ALL_SCOPES: Final = frozenset(Scope)
_VIEWER_SCOPES: Final = frozenset(
    {
        Scope.SESSIONS_READ,
        Scope.MESSAGES_READ,
        Scope.PROSPECTS_READ,
        Scope.RULES_READ,
        Scope.CAMPAIGNS_READ,
        Scope.EVENTS_READ,
        Scope.METRICS_READ,
    }
)
ROLE_SCOPES: Final = {
    Role.VIEWER: _VIEWER_SCOPES,
    Role.OPERATOR: ALL_SCOPES - {Scope.RULES_WRITE, Scope.ADMIN},
    Role.ADMIN: ALL_SCOPES,
}


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Return scopes by their words; raise :class:`BadRequest` naming those that are none."""
    wanted = frozenset(words)
    if unknown := wanted - ALL_SCOPES:
        raise BadRequest(
            f"scopes: there is no {', '.join(sorted(unknown))}.",
            hint=f"The scopes are: {', '.join(Scope)}.",
        )
    return frozenset(Scope(word) for word in wanted)
