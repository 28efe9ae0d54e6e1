"""The scope that each route and event topic needs: one table for checks, tests and docs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeAlias

from daemon.auth.identity import Scope

_PARAMETER_PATTERN: Final = re.compile(r"\{(\w+):[^{}]*\}")


class AccessLevel(Enum):
    """What a route may require in place of a scope."""

    SIGNED_IN = "signed in"


RequiredAccess: TypeAlias = Scope | AccessLevel | None
"""A scope, any signed-in user, or None for a route that is open to anybody."""

ROUTE_SCOPES: Final[Mapping[tuple[str, str], RequiredAccess]] = MappingProxyType(
    {
        ("GET", "/health"): None,
        ("GET", "/ready"): Scope.METRICS_READ,
        ("GET", "/metrics"): Scope.METRICS_READ,
        ("GET", "/openapi.json"): AccessLevel.SIGNED_IN,
        ("GET", "/docs"): AccessLevel.SIGNED_IN,
        # The console: pages, and pieces of them. They only read; what they offer is under /v1.
        ("GET", "/static/{version}/{name}"): None,
        ("GET", "/sign-in"): None,
        ("GET", "/"): Scope.SESSIONS_READ,
        ("GET", "/pieces/today"): Scope.SESSIONS_READ,
        ("GET", "/pieces/halt-banner"): Scope.SESSIONS_READ,
        ("GET", "/pieces/halt"): Scope.MESSAGES_WRITE,
        ("GET", "/sessions"): Scope.SESSIONS_READ,
        ("GET", "/sessions/{name}"): Scope.SESSIONS_READ,
        ("GET", "/pieces/sessions/{name}"): Scope.SESSIONS_READ,
        ("GET", "/pieces/sessions/new"): Scope.SESSIONS_WRITE,
        ("GET", "/pieces/sessions/{name}/{action}"): Scope.SESSIONS_WRITE,
        ("GET", "/messages"): Scope.MESSAGES_READ,
        ("GET", "/messages/{id}"): Scope.MESSAGES_READ,
        ("GET", "/pieces/messages/{id}"): Scope.MESSAGES_READ,
        ("GET", "/pieces/messages/{id}/cancel"): Scope.MESSAGES_WRITE,
        # A whole number is enough to write to somebody outside of LeadMaster.
        ("POST", "/reveal"): Scope.MESSAGES_WRITE,
        ("GET", "/pieces/sessions/{name}/timeline"): Scope.SESSIONS_READ,
        ("GET", "/pieces/sessions/{name}/pairing-code"): Scope.SESSIONS_PAIR,
        ("GET", "/pieces/sessions/{name}/linking-answers"): Scope.SESSIONS_PAIR,
        ("GET", "/review"): Scope.MESSAGES_READ,
        ("GET", "/review/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/review/meanings"): Scope.PROSPECTS_READ,
        ("GET", "/review/meanings/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/review/tabs"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/review/meanings/queue"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/review/meanings/cases/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/review/meanings/cases/{id}/{meaning}"): Scope.REVIEW_WRITE,
        ("GET", "/pieces/review/queue"): Scope.MESSAGES_READ,
        ("GET", "/pieces/review/cases/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/review/cases/{id}/{decision}"): Scope.REVIEW_WRITE,
        ("GET", "/manual"): Scope.MESSAGES_READ,
        ("GET", "/pieces/manual"): Scope.MESSAGES_READ,
        ("GET", "/pieces/manual/{id}/not-sent"): Scope.MESSAGES_WRITE,
        ("GET", "/pieces/messages/{id}/settle"): Scope.MESSAGES_WRITE,
        ("GET", "/quarantine"): Scope.MESSAGES_READ,
        ("GET", "/pieces/quarantine"): Scope.MESSAGES_READ,
        ("GET", "/pieces/quarantine/{id}/settle"): Scope.REVIEW_WRITE,
        ("GET", "/prospects"): Scope.PROSPECTS_READ,
        ("GET", "/prospects/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/prospects/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/pieces/prospects/new"): Scope.PROSPECTS_WRITE,
        ("GET", "/pieces/prospects/{id}/validate"): Scope.REVIEW_WRITE,
        ("GET", "/pieces/prospects/{id}/consent"): Scope.REVIEW_WRITE,
        ("GET", "/pieces/prospects/{id}/given"): Scope.REVIEW_WRITE,
        ("GET", "/pieces/prospects/{id}/withdraw/{record}"): Scope.REVIEW_WRITE,
        ("GET", "/pieces/prospects/{id}/correct"): Scope.PROSPECTS_WRITE,
        ("GET", "/pieces/contacts/{id}/{action}"): Scope.PROSPECTS_WRITE,
        ("GET", "/prospects/import"): Scope.PROSPECTS_WRITE,
        ("GET", "/pieces/imports/preview"): Scope.PROSPECTS_WRITE,
        ("GET", "/prospects/imports/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/prospects/imports/{id}/rejects.csv"): Scope.PROSPECTS_READ,
        ("GET", "/rules"): Scope.RULES_READ,
        ("GET", "/pieces/rules/change/{target}"): Scope.RULES_WRITE,
        ("GET", "/pieces/rules/preview"): Scope.RULES_WRITE,
        ("GET", "/pieces/rules/accept"): Scope.RULES_WRITE,
        ("GET", "/pieces/rules/rollback/{hash}"): Scope.RULES_WRITE,
        ("GET", "/audit"): Scope.ADMIN,
        # None here: these handlers authenticate by themselves, with a password, a link or a cookie.
        # Signing in, and what one may do with one's own sign-in.
        ("GET", "/v1/sign-in"): None,
        ("POST", "/v1/sign-in"): None,
        ("DELETE", "/v1/sign-in"): None,
        ("POST", "/v1/sign-in/link"): None,
        ("POST", "/v1/sign-in/password"): None,
        ("POST", "/v1/sign-in/token"): None,
        ("POST", "/v1/sign-in-links"): Scope.ADMIN,
        ("GET", "/v1/users"): Scope.ADMIN,
        ("POST", "/v1/users"): Scope.ADMIN,
        ("POST", "/v1/users/{name}/password"): Scope.ADMIN,
        ("POST", "/v1/users/{name}/role"): Scope.ADMIN,
        ("POST", "/v1/users/{name}/disable"): Scope.ADMIN,
        ("POST", "/v1/users/{name}/enable"): Scope.ADMIN,
        ("POST", "/v1/users/{name}/revoke"): Scope.ADMIN,
        ("GET", "/v1/tokens"): Scope.ADMIN,
        ("POST", "/v1/tokens"): Scope.ADMIN,
        ("DELETE", "/v1/tokens/{id}"): Scope.ADMIN,
        ("POST", "/v1/keys/rotate"): Scope.ADMIN,
        ("GET", "/v1/status"): Scope.SESSIONS_READ,
        ("GET", "/v1/stats"): Scope.MESSAGES_READ,
        ("GET", "/v1/audit"): Scope.ADMIN,
        ("GET", "/v1/events"): Scope.EVENTS_READ,
        ("GET", "/v1/halt"): Scope.SESSIONS_READ,
        ("POST", "/v1/halt"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/resume"): Scope.MESSAGES_WRITE,
        ("GET", "/v1/sessions"): Scope.SESSIONS_READ,
        ("POST", "/v1/sessions"): Scope.SESSIONS_WRITE,
        ("GET", "/v1/sessions/{name}"): Scope.SESSIONS_READ,
        ("DELETE", "/v1/sessions/{name}"): Scope.SESSIONS_WRITE,
        ("GET", "/v1/sessions/{name}/history"): Scope.SESSIONS_READ,
        ("POST", "/v1/sessions/{name}/{command}"): Scope.SESSIONS_WRITE,
        ("GET", "/v1/sessions/{name}/linking-answers"): Scope.SESSIONS_READ,
        ("POST", "/v1/sessions/{name}/linking-answers"): Scope.SESSIONS_PAIR,
        ("GET", "/v1/sessions/{name}/qr"): Scope.SESSIONS_PAIR,
        ("GET", "/v1/sessions/{name}/pairing"): Scope.SESSIONS_PAIR,
        ("GET", "/v1/sessions/{name}/pairing-code"): Scope.SESSIONS_PAIR,
        ("POST", "/v1/sessions/{name}/pairing-code"): Scope.SESSIONS_PAIR,
        ("GET", "/v1/messages"): Scope.MESSAGES_READ,
        ("POST", "/v1/messages"): Scope.MESSAGES_WRITE,
        ("GET", "/v1/messages/{id}"): Scope.MESSAGES_READ,
        ("GET", "/v1/messages/{id}/explain"): Scope.MESSAGES_READ,
        ("POST", "/v1/messages/{id}/cancel"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/messages/{id}/settle"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/inbound/{id}/classify"): Scope.REVIEW_WRITE,
        ("GET", "/v1/inbound"): Scope.MESSAGES_READ,
        ("GET", "/v1/quarantine"): Scope.MESSAGES_READ,
        ("POST", "/v1/quarantine/{id}/settle"): Scope.REVIEW_WRITE,
        ("GET", "/v1/decisions"): Scope.MESSAGES_READ,
        ("GET", "/v1/decisions/{id}"): Scope.MESSAGES_READ,
        ("GET", "/v1/review"): Scope.MESSAGES_READ,
        ("GET", "/v1/review/inbound"): Scope.PROSPECTS_READ,
        ("GET", "/v1/review/numbers"): Scope.PROSPECTS_READ,
        ("GET", "/v1/review/prospects"): Scope.PROSPECTS_READ,
        ("POST", "/v1/review/prospects/{id}/approve"): Scope.REVIEW_WRITE,
        ("POST", "/v1/review/prospects/{id}/reject"): Scope.REVIEW_WRITE,
        ("POST", "/v1/review/{id}/take"): Scope.REVIEW_WRITE,
        ("POST", "/v1/review/{id}/return"): Scope.REVIEW_WRITE,
        ("POST", "/v1/review/{id}/approve"): Scope.REVIEW_WRITE,
        ("POST", "/v1/review/{id}/reject"): Scope.REVIEW_WRITE,
        ("GET", "/v1/manual"): Scope.MESSAGES_READ,
        ("POST", "/v1/manual/{id}/take"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/manual/{id}/reveal"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/manual/{id}/confirm"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/manual/{id}/cancel"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/manual/{id}/return"): Scope.MESSAGES_WRITE,
        ("POST", "/v1/uploads"): Scope.PROSPECTS_WRITE,
        ("POST", "/v1/imports/preview"): Scope.PROSPECTS_WRITE,
        ("POST", "/v1/imports"): Scope.PROSPECTS_WRITE,
        ("GET", "/v1/imports/{id}"): Scope.PROSPECTS_READ,
        ("GET", "/v1/imports/{id}/rejects"): Scope.PROSPECTS_READ,
        ("GET", "/v1/prospects"): Scope.PROSPECTS_READ,
        ("POST", "/v1/prospects"): Scope.PROSPECTS_WRITE,
        ("GET", "/v1/prospects/{id}"): Scope.PROSPECTS_READ,
        ("PATCH", "/v1/prospects/{id}"): Scope.PROSPECTS_WRITE,
        ("POST", "/v1/prospects/{id}/check"): Scope.PROSPECTS_WRITE,
        ("POST", "/v1/prospects/{id}/validate"): Scope.REVIEW_WRITE,
        ("POST", "/v1/prospects/{id}/consent"): Scope.REVIEW_WRITE,
        ("POST", "/v1/prospects/{id}/given-as-whatsapp"): Scope.REVIEW_WRITE,
        ("POST", "/v1/prospects/{id}/evidence/{record}/withdraw"): Scope.REVIEW_WRITE,
        ("GET", "/v1/suppressions"): Scope.PROSPECTS_READ,
        ("GET", "/v1/suppressions/check"): Scope.PROSPECTS_READ,
        ("POST", "/v1/suppressions/import"): Scope.PROSPECTS_WRITE,
        ("GET", "/v1/do-not-call"): Scope.PROSPECTS_READ,
        ("POST", "/v1/do-not-call"): Scope.PROSPECTS_WRITE,
        ("GET", "/v1/exports/prospects.csv"): Scope.PROSPECTS_READ,
        ("GET", "/v1/exports/suppressions.csv"): Scope.PROSPECTS_READ,
        ("POST", "/v1/suppressions"): Scope.PROSPECTS_WRITE,
        ("POST", "/v1/suppressions/lift"): Scope.PROSPECTS_WRITE,
        ("GET", "/v1/rules"): Scope.RULES_READ,
        ("GET", "/v1/rules/history"): Scope.RULES_READ,
        ("GET", "/v1/rules/sets/{hash}"): Scope.RULES_READ,
        ("GET", "/v1/rules/shadow"): Scope.RULES_READ,
        ("GET", "/v1/rules/explain/{subject}"): Scope.MESSAGES_READ,
        ("POST", "/v1/rules/reload"): Scope.RULES_WRITE,
        ("POST", "/v1/rules/change"): Scope.RULES_WRITE,
        ("POST", "/v1/rules/accept"): Scope.RULES_WRITE,
        ("POST", "/v1/rules/rollback"): Scope.RULES_WRITE,
        # It changes nothing, and its report names prospects.
        ("POST", "/v1/rules/backtest"): Scope.PROSPECTS_READ,
    }
)
"""The required access of each route, by method and path template.

A route without a row is refused to everybody.
"""

TOPIC_SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "session.changed": Scope.SESSIONS_READ,
        "session.deleted": Scope.SESSIONS_READ,
        "session.qr_shown": Scope.SESSIONS_PAIR,
        "session.pairing_code_shown": Scope.SESSIONS_PAIR,
        "message.changed": Scope.MESSAGES_READ,
        "message.expiry_announced": Scope.MESSAGES_READ,
        "gate.faulted": Scope.MESSAGES_READ,
        "inbound.received": Scope.MESSAGES_READ,
        "inbound.classified": Scope.MESSAGES_READ,
        "signal.quarantined": Scope.MESSAGES_READ,
        "signal.settled": Scope.MESSAGES_READ,
        "contact.suppressed": Scope.PROSPECTS_READ,
        "contact.reopened": Scope.PROSPECTS_READ,
        "prospect.changed": Scope.PROSPECTS_READ,
        "import.finished": Scope.PROSPECTS_READ,
        "sending.halted": Scope.EVENTS_READ,
        "sending.resumed": Scope.EVENTS_READ,
        "clock.stepped": Scope.EVENTS_READ,
        "plugin.failed": Scope.EVENTS_READ,
        "rules.loaded": Scope.RULES_READ,
        "rules.rejected": Scope.RULES_READ,
        "rules.awaiting_acceptance": Scope.RULES_READ,
    }
)
"""The scope that a client needs to get an event, by the event's type."""


def normalise_path_template(path: str) -> str:
    """Return a path as in the table: `{command:start|stop}` becomes `{command}`."""
    return _PARAMETER_PATTERN.sub(r"{\1}", path)


def get_required_scope(method: str, path: str) -> RequiredAccess:
    """Return the required access of a route.

    Raises LookupError for a route without a row, which is then refused.
    """
    return ROUTE_SCOPES["GET" if method == "HEAD" else method, normalise_path_template(path)]


def list_readable_topics(scopes: frozenset[Scope]) -> frozenset[str]:
    """Return the types of events that these scopes may read."""
    return frozenset(topic for topic, scope in TOPIC_SCOPES.items() if scope in scopes)
