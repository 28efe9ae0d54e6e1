"""`/v1/users`: administrators list, create, disable and change users."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.auth import Role
from daemon.auth.errors import PasswordRefused
from daemon.errors import Conflict, NotFound, NumberRejected
from daemon.http.authentication import get_auth, get_identity
from daemon.http.bodies import (
    RequestBody,
    ResultPage,
    SecretBody,
    SecretText,
    UserName,
    json_response,
    list_response,
    read_body,
)
from daemon.http.openapi import operation
from storage.users import UserRecord

routes = web.RouteTableDef()


class UserView(msgspec.Struct, frozen=True):
    """A user; `has_password` is false for one who signs in by link only.

    `seen_at` and `seen_from` are of the browser that they used last; `phone` is their own number,
    for tests and alerts. `language` null: pages are in the language that their browser asks for.
    """

    name: str
    role: str
    has_password: bool
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None
    phone: str | None = None
    language: str | None = None
    seen_at: datetime | None = None
    seen_from: str = ""


class NewUserBody(SecretBody, frozen=True):
    """A user to add; without a password they sign in by link."""

    name: UserName
    role: Role
    password: SecretText | None = None


class NewPasswordBody(SecretBody, frozen=True):
    """A password that an administrator sets."""

    password: SecretText


class UserPhoneBody(RequestBody, frozen=True):
    """A user's own number in international form; null or empty: none."""

    phone: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class NewRoleBody(RequestBody, frozen=True):
    """A user's new role."""

    role: Role


@routes.get("/v1/users")
@operation(ResultPage[UserView])
async def list_users(request: web.Request) -> web.Response:
    """Return every user, the disabled ones too."""
    found = await get_auth(request).users.list_users()
    return list_response([_build_user_view(user) for user in found])


@routes.post("/v1/users")
@operation(UserView, status=201, body=NewUserBody, errors=(Conflict, PasswordRefused))
async def create_user(request: web.Request) -> web.Response:
    """Add a user. The first one is added over the control socket, where no scope is needed."""
    asked = await read_body(request, NewUserBody)
    made = await get_auth(request).users.create_user(
        asked.name, asked.role, _get_actor(request), password=asked.password
    )
    return json_response(_build_user_view(made), status=201)


@routes.post("/v1/users/{name}/password")
@operation(UserView, body=NewPasswordBody, errors=(NotFound, PasswordRefused))
async def set_user_password(request: web.Request) -> web.Response:
    """Set a user's password and sign them out everywhere; their tokens stay valid."""
    asked = await read_body(request, NewPasswordBody)
    users = get_auth(request).users
    return json_response(
        _build_user_view(
            await users.set_password(_get_user_name(request), asked.password, _get_actor(request))
        )
    )


@routes.post("/v1/users/{name}/role")
@operation(UserView, body=NewRoleBody, errors=(NotFound, Conflict))
async def set_user_role(request: web.Request) -> web.Response:
    """Give a user another role; 409 where no administrator would be left."""
    asked = await read_body(request, NewRoleBody)
    users = get_auth(request).users
    return json_response(
        _build_user_view(
            await users.set_role(_get_user_name(request), asked.role, _get_actor(request))
        )
    )


@routes.post("/v1/users/{name}/phone")
@operation(UserView, body=UserPhoneBody, errors=(NotFound, NumberRejected))
async def set_user_phone(request: web.Request) -> web.Response:
    """Store a user's own number, which tests and alerts may go to."""
    asked = await read_body(request, UserPhoneBody)
    users = get_auth(request).users
    return json_response(
        _build_user_view(
            await users.set_phone(_get_user_name(request), asked.phone, _get_actor(request))
        )
    )


@routes.post("/v1/users/{name}/disable")
@operation(UserView, errors=(NotFound, Conflict))
async def disable_user(request: web.Request) -> web.Response:
    """Disable a user at once; idempotent; 409 for the last administrator, and for the caller."""
    identity, users = get_identity(request), get_auth(request).users
    return json_response(
        _build_user_view(
            await users.disable(_get_user_name(request), identity.who, by_user=identity.user)
        )
    )


@routes.post("/v1/users/{name}/enable")
@operation(UserView, errors=(NotFound,))
async def enable_user(request: web.Request) -> web.Response:
    """Enable a user again; revoked tokens stay revoked."""
    return json_response(
        _build_user_view(
            await get_auth(request).users.enable(_get_user_name(request), _get_actor(request))
        )
    )


@routes.post("/v1/users/{name}/revoke")
@operation(UserView, errors=(NotFound,))
async def revoke_user_tokens(request: web.Request) -> web.Response:
    """Revoke all of a user's tokens and sign them out everywhere."""
    return json_response(
        _build_user_view(
            await get_auth(request).users.revoke_access(
                _get_user_name(request), _get_actor(request)
            )
        )
    )


def _get_user_name(request: web.Request) -> str:
    return request.match_info["name"]


def _get_actor(request: web.Request) -> str:
    return get_identity(request).who


def _build_user_view(user: UserRecord) -> UserView:
    return UserView(
        name=user.name,
        role=user.role,
        # The hash itself is never shown.
        has_password=user.password_hash is not None,
        created_at=user.created_at,
        signed_in_at=user.signed_in_at,
        disabled_at=user.disabled_at,
        phone=user.phone,
        language=user.language,
        seen_at=user.seen_at,
        seen_from=user.seen_from,
    )
