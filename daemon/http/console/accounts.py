"""The `/users` and `/tokens` pages, with their dialogs: who may come in, and which programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.auth import ROLE_SCOPES, Role, Scope
from daemon.errors import NotFound
from daemon.http.authentication import get_identity
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from storage.tokens import TokenRecord
from storage.users import UserRecord

routes = web.RouteTableDef()

USER_DIALOGS: Final = ("role", "phone", "link", "disable")
_MOST_TOKENS: Final = 500
_TOKEN_DAYS: Final = (1, 7, 30, 90, 365)


class TokenRow(Struct, frozen=True):
    """A token as the page shows it: what it may do by its user's present role, and what no more."""

    record: TokenRecord
    allowed: Sequence[str]
    lost: Sequence[str]
    is_over: bool
    uses_today: int


@routes.get("/users")
@render_errors
async def show_users_page(request: web.Request) -> web.StreamResponse:
    """Show every user: what they may do, and when they were last seen, from where."""
    found = await get_services(request).auth.users.list_users()
    admins = [user.name for user in found if user.role == Role.ADMIN and not user.disabled_at]
    return await render_page(
        request, "users.html", active_page="users", users=found, last_admin=_get_only(admins)
    )


@routes.get("/pieces/users/new")
@render_errors
async def show_new_user_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that adds a user, who signs in by link first."""
    return render_piece(request, "pieces/new_user.html", roles=tuple(Role))


@routes.get("/pieces/users/{name}/{action}")
@render_errors
async def show_user_dialog(request: web.Request) -> web.StreamResponse:
    """Show a dialog about one user: role, own number, sign-in link, or disabling."""
    action = request.match_info["action"]
    if action not in USER_DIALOGS:
        raise NotFound(f"There is nothing to {action} about a user.")
    auth = get_services(request).auth
    user = await auth.users.get_user(request.match_info["name"])
    found = await auth.tokens.list_tokens(after="", limit=_MOST_TOKENS)
    active = [token for token in found if token.user == user.name and not token.revoked_at]
    return render_piece(
        request, f"pieces/user_{action}.html", user=user, roles=tuple(Role), tokens=len(active)
    )


@routes.get("/tokens")
@render_errors
async def show_tokens_page(request: web.Request) -> web.StreamResponse:
    """Show the tokens of programs, the latest first, with their last use."""
    services = get_services(request)
    users = {user.name: user for user in await services.auth.users.list_users()}
    found = await services.auth.tokens.list_tokens(after="", limit=_MOST_TOKENS)
    rows = [_build_row(token, users[token.user], request) for token in reversed(found)]
    return await render_page(request, "tokens.html", active_page="tokens", rows=rows)


@routes.get("/pieces/tokens/new")
@render_errors
async def show_new_token_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that makes a token; its value is shown once, in the dialog."""
    services, identity = get_services(request), get_identity(request)
    users = [user for user in await services.auth.users.list_users() if not user.disabled_at]
    longest = timedelta(days=services.settings.auth.token_days)
    return render_piece(
        request,
        "pieces/new_token.html",
        users=users,
        own=identity.user,
        scopes=[scope for scope in Scope if scope in identity.scopes],
        days=[days for days in _TOKEN_DAYS if timedelta(days=days) <= longest],
    )


@routes.get("/pieces/tokens/{id}/revoke")
@render_errors
async def show_revoke_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that revokes a token, with how often it was used today."""
    services, token_id = get_services(request), request.match_info["id"]
    found = await services.auth.tokens.list_tokens(after="", limit=_MOST_TOKENS)
    token = next((each for each in found if each.id == token_id), None)
    if token is None:
        raise NotFound(f"There is no token {token_id[:40]}.")
    row = _build_row(token, await services.auth.users.get_user(token.user), request)
    return render_piece(request, "pieces/revoke_token.html", row=row)


def _build_row(token: TokenRecord, user: UserRecord, request: web.Request) -> TokenRow:
    services = get_services(request)
    now, present = services.clock.now(), ROLE_SCOPES[Role(user.role)]
    today = services.auth.tokens.get_day(now)
    return TokenRow(
        record=token,
        allowed=[scope for scope in token.scopes if scope in present],
        lost=[scope for scope in token.scopes if scope not in present],
        is_over=token.revoked_at is not None or token.expires_at <= now,
        uses_today=token.uses if token.uses_on == today else 0,
    )


def _get_only(names: Sequence[str]) -> str:
    """Return the only name of a list; empty where there are none or several."""
    return names[0] if len(names) == 1 else ""
