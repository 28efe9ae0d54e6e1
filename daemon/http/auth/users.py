"""`/v1/users`: who may come in, for administrators."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from daemon.auth import Role
from daemon.auth.refusals import PasswordRefused
from daemon.errors import Conflict, NotFound
from daemon.http.auth.bodies import Name, Secret, SecretBody
from daemon.http.auth.identify import auth_of, identity_of
from daemon.http.bodies import Body, ResultPage, answer, body, whole
from daemon.http.openapi import operation
from storage.users import UserRecord

routes = web.RouteTableDef()


class UserView(msgspec.Struct, frozen=True):
    """A user as others see them; `has_password` is false for who comes in by link only."""

    name: str
    role: str
    has_password: bool
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None


class NewUserBody(SecretBody, frozen=True):
    """A user to add; without a password they come in by link."""

    name: Name
    role: Role
    password: Secret | None = None


class NewPasswordBody(SecretBody, frozen=True):
    """A password that an administrator sets."""

    password: Secret


class NewRoleBody(Body, frozen=True):
    """What a user shall be."""

    role: Role


@routes.get("/v1/users")
@operation(ResultPage[UserView])
async def list_(request: web.Request) -> web.Response:
    """Return every user, the disabled ones too."""
    found = await auth_of(request).users.list()
    return whole([_view(user) for user in found])


@routes.post("/v1/users")
@operation(UserView, status=201, body=NewUserBody, refuses=(Conflict, PasswordRefused))
async def create(request: web.Request) -> web.Response:
    """Add a user. The first one is made over the control socket: nobody else has the scope."""
    asked = await body(request, NewUserBody)
    made = await auth_of(request).users.create(
        asked.name, asked.role, _who(request), password=asked.password
    )
    return answer(_view(made), status=201)


@routes.post("/v1/users/{name}/password")
@operation(UserView, body=NewPasswordBody, refuses=(NotFound, PasswordRefused))
async def set_password(request: web.Request) -> web.Response:
    """Set a user's password and sign them out everywhere; their tokens stay."""
    asked = await body(request, NewPasswordBody)
    users = auth_of(request).users
    return answer(_view(await users.set_password(_name(request), asked.password, _who(request))))


@routes.post("/v1/users/{name}/role")
@operation(UserView, body=NewRoleBody, refuses=(NotFound, Conflict))
async def set_role(request: web.Request) -> web.Response:
    """Give a user another role; 409 where nobody would be administrator."""
    asked = await body(request, NewRoleBody)
    users = auth_of(request).users
    return answer(_view(await users.set_role(_name(request), asked.role, _who(request))))


@routes.post("/v1/users/{name}/disable")
@operation(UserView, refuses=(NotFound, Conflict))
async def disable(request: web.Request) -> web.Response:
    """Shut a user out at once; idempotent; 409 where nobody would be administrator."""
    return answer(_view(await auth_of(request).users.disable(_name(request), _who(request))))


@routes.post("/v1/users/{name}/enable")
@operation(UserView, refuses=(NotFound,))
async def enable(request: web.Request) -> web.Response:
    """Let a user come in again; what was revoked stays revoked."""
    return answer(_view(await auth_of(request).users.enable(_name(request), _who(request))))


@routes.post("/v1/users/{name}/revoke")
@operation(UserView, refuses=(NotFound,))
async def revoke(request: web.Request) -> web.Response:
    """Revoke all of a user's tokens and sign them out everywhere."""
    return answer(_view(await auth_of(request).users.revoke(_name(request), _who(request))))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _who(request: web.Request) -> str:
    return identity_of(request).who


def _view(user: UserRecord) -> UserView:
    return UserView(
        name=user.name,
        role=user.role,
        has_password=user.password_hash is not None,
        created_at=user.created_at,
        signed_in_at=user.signed_in_at,
        disabled_at=user.disabled_at,
    )
