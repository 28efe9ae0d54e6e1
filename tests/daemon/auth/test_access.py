"""The table of scopes: every door and every topic has its row, and no row is for nothing."""

from __future__ import annotations

import pytest
from aiohttp import web

from daemon.auth.access import (
    ROUTE_SCOPES,
    TOPIC_SCOPES,
    get_required_scope,
    list_readable_topics,
    normalise_path_template,
)
from daemon.auth.identity import ALL_SCOPES, ROLE_SCOPES, Role, Scope, parse_scopes
from daemon.errors import BadRequest
from daemon.events import EVENT_CLASSES
from daemon.http import console, health, v1
from daemon.http.openapi import docs_page

ROUTES = [
    (route.method, normalise_path_template(route.path))
    for route in (
        *health.routes,
        *v1.RESOURCE_ROUTES,
        *v1.ACCOUNT_ROUTES,
        *docs_page.routes,
        *console.routes,
    )
    if isinstance(route, web.RouteDef)
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_has_a_row(method: str, path: str) -> None:
    """A route that nobody gave a scope fails here, before it is served to nobody."""
    assert (method, path) in ROUTE_SCOPES


def test_no_row_is_left_over() -> None:
    """A row whose route is gone would be documented for nothing."""
    assert set(ROUTE_SCOPES) - set(ROUTES) == set()


def test_only_health_and_signing_in_are_open() -> None:
    """Everything else asks who comes; the page to sign in on needs its stylesheet."""
    open_ = {path for (_, path), scope in ROUTE_SCOPES.items() if scope is None}
    assert {path for path in open_ if path.split("/")[:3] != ["", "v1", "sign-in"]} == {
        "/health",
        "/sign-in",
        "/static/{version}/{name}",
    }


def test_every_topic_has_a_row() -> None:
    """An event that nobody gave a scope would reach everybody or nobody."""
    assert set(TOPIC_SCOPES) == set(EVENT_CLASSES)


def test_pairing_codes_are_for_those_who_may_pair() -> None:
    """To read sessions is not to take one over."""
    assert "session.qr_shown" not in list_readable_topics(ROLE_SCOPES[Role.VIEWER])
    assert "session.qr_shown" in list_readable_topics(frozenset({Scope.SESSIONS_PAIR}))


def test_a_route_without_a_row_is_not_open() -> None:
    """What the table does not know is an error, not a yes."""
    with pytest.raises(LookupError):
        get_required_scope("GET", "/v1/forgotten")


def test_patterns_in_paths_do_not_matter() -> None:
    """A path is found as its handler wrote it, and as the router names it."""
    written = "/v1/sessions/{name}/{command:start|stop}"
    assert get_required_scope("POST", written) is get_required_scope(
        "POST", "/v1/sessions/{name}/{command}"
    )
    assert get_required_scope("HEAD", "/v1/rules") is Scope.RULES_READ


def test_each_role_has_more_than_the_one_before() -> None:
    """Viewer, operator, admin: each is a larger set."""
    viewer, operator, admin = (ROLE_SCOPES[role] for role in Role)
    assert viewer < operator < admin == ALL_SCOPES
    assert {scope for scope in viewer if not scope.endswith(":read")} == set()


def test_unknown_scopes_are_named() -> None:
    """A misspelt scope is refused with the list of those there are."""
    with pytest.raises(BadRequest, match="rules:rite") as caught:
        parse_scopes(["rules:read", "rules:rite"])
    assert "rules:write" in caught.value.hint
