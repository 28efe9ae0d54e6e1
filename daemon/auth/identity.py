"""The identity behind a request: scopes, roles, and the method of signing in."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.auth.errors import ScopeMissing
from daemon.errors import BadRequest


class Scope(StrEnum):
    """One right. No scope contains another."""

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
    """A user's role; each has the scopes of the one before it, and more."""

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
    """Return scopes by name; raise :class:`BadRequest` with the unknown ones."""
    wanted = frozenset(words)
    if unknown := wanted - ALL_SCOPES:
        raise BadRequest(
            f"scopes: there is no {', '.join(sorted(unknown))}.",
            hint=f"The scopes are: {', '.join(Scope)}.",
        )
    return frozenset(Scope(word) for word in wanted)


class SignInMethod(StrEnum):
    """How a person or program authenticated."""

    TOKEN = "token"  # noqa: S105 - a word, no secret
    BROWSER = "browser"
    CONTROL = "control"


class Principal(Struct, frozen=True):
    """An authenticated caller. `who` is for the audit; `key` is the id of token or sign-in."""

    who: str
    user: str
    scopes: frozenset[Scope]
    method: SignInMethod
    key: str = ""

    def require(self, scope: Scope) -> None:
        """Raise :class:`ScopeMissing` unless the caller has this scope."""
        if scope not in self.scopes:
            raise ScopeMissing(f"This needs the scope {scope}, which {self.who} does not have.")
