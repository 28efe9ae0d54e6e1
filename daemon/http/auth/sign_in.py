"""`/v1/sign-in`: signing in with a password or a link, looking who one is, signing out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from daemon.auth import ROLE_SCOPES, Identity, Role, SignInMethod
from daemon.auth.refusals import (
    CsrfRefused,
    LinkSpent,
    OriginRefused,
    PasswordRefused,
    ScopeMissing,
    SignInFailed,
    SignInOver,
    Throttled,
    Unauthorized,
)
from daemon.auth.scopes import parse_scopes
from daemon.auth.secret import csrf_token
from daemon.auth.sign_ins import NewSignIn
from daemon.errors import BadRequest
from daemon.http.auth.bodies import Name, Secret, SecretBody, private
from daemon.http.auth.cookies import give, secret_of, take_back
from daemon.http.auth.forgery import refuse_forged
from daemon.http.auth.identify import auth_of, identify
from daemon.http.auth.peer import address_of
from daemon.http.auth.tokens import CreatedToken
from daemon.http.bodies import Answer, body
from daemon.http.openapi import operation

routes = web.RouteTableDef()

_TOKEN_LIFE: Final = timedelta(minutes=15)
_TOKEN_NAME: Final = "sign-in"  # noqa: S105 - what such tokens are listed as


class CredentialsBody(SecretBody, frozen=True):
    """A user's name and password."""

    user: Name
    password: Secret


class SignInTokenBody(CredentialsBody, frozen=True):
    """Credentials, and the scopes that are wanted; none: all that the role has."""

    scopes: tuple[str, ...] = ()


class LinkSignInBody(SecretBody, frozen=True):
    """What stood behind the # of a sign-in link."""

    link: Secret


class PasswordChangeBody(SecretBody, frozen=True):
    """One's own password, and the one to come."""

    current: Secret
    new: Secret


class SignInResult(Answer, frozen=True):
    """A browser that is signed in; its pages send `csrf` along with every change."""

    user: str
    csrf: str
    ends_at: datetime


class SignOutResult(Answer, frozen=True):
    """A browser that is nobody's."""

    user: None = None


class CurrentUser(Answer, frozen=True):
    """Who makes this request, how they came in, and what they may do."""

    user: str
    who: str
    way: SignInMethod
    scopes: Sequence[str]
    csrf: str | None


@routes.get("/v1/sign-in")
@operation(CurrentUser, refuses=(Unauthorized, SignInOver))
async def who_am_i(request: web.Request) -> web.Response:
    """Return who is signed in, with what scopes; `csrf` is what pages send along with changes."""
    identity = await identify(request)
    secret = secret_of(request) if identity.way is SignInMethod.BROWSER else None
    return private(
        CurrentUser(
            user=identity.user,
            who=identity.who,
            way=identity.way,
            scopes=sorted(identity.scopes),
            csrf=csrf_token(secret) if secret else None,
        )
    )


@routes.post("/v1/sign-in")
@operation(SignInResult, body=CredentialsBody, refuses=(SignInFailed, OriginRefused, Throttled))
async def sign_in(request: web.Request) -> web.Response:
    """Sign this browser in; 401 for a wrong name or password, 429 after too many of them."""
    given = await body(request, CredentialsBody)
    address = address_of(request)
    fresh = await auth_of(request).sign_ins.by_password(given.user, given.password, address)
    return _signed_in(request, fresh)


@routes.post("/v1/sign-in/link")
@operation(SignInResult, body=LinkSignInBody, refuses=(LinkSpent, OriginRefused))
async def sign_in_by_link(request: web.Request) -> web.Response:
    """Spend a one-time link and sign this browser in; 401 where it was spent before."""
    given = await body(request, LinkSignInBody)
    return _signed_in(
        request, await auth_of(request).sign_ins.by_link(given.link, address_of(request))
    )


@routes.delete("/v1/sign-in")
@operation(SignOutResult, refuses=(OriginRefused, CsrfRefused))
async def sign_out(request: web.Request) -> web.Response:
    """Sign this browser out; idempotent."""
    if (secret := secret_of(request)) is not None:
        refuse_forged(request, secret)
        await auth_of(request).sign_ins.end(secret)
    return _signed_out(request)


@routes.post("/v1/sign-in/password")
@operation(
    SignOutResult,
    body=PasswordChangeBody,
    refuses=(Unauthorized, SignInFailed, CsrfRefused, PasswordRefused, Throttled),
)
async def change_password(request: web.Request) -> web.Response:
    """Change one's own password; every browser of the user is signed out, this one too."""
    identity = await identify(request)
    if identity.way is not SignInMethod.BROWSER:
        raise BadRequest("A token can't change a password.", hint="Sign in in a browser.")
    given, auth = await body(request, PasswordChangeBody), auth_of(request)
    await auth.guard.check(identity.user, given.current, address_of(request))
    await auth.users.set_password(identity.user, given.new, identity.who)
    return _signed_out(request)


@routes.post("/v1/sign-in/token")
@operation(
    CreatedToken, status=201, body=SignInTokenBody, refuses=(SignInFailed, ScopeMissing, Throttled)
)
async def token(request: web.Request) -> web.Response:
    """Return a token that lives for a quarter of an hour, for programs that ask a person."""
    given, auth = await body(request, SignInTokenBody), auth_of(request)
    user = await auth.guard.check(given.user, given.password, address_of(request))
    mine = ROLE_SCOPES[Role(user.role)]
    made = await auth.tokens.make(
        Identity(user.name, user.name, mine, SignInMethod.BROWSER),
        user.name,
        _TOKEN_NAME,
        parse_scopes(given.scopes) or mine,
        _TOKEN_LIFE,
    )
    return private(CreatedToken(made.token, made.record), status=201)


def _signed_in(request: web.Request, fresh: NewSignIn) -> web.Response:
    response = private(SignInResult(fresh.user, fresh.csrf, fresh.ends_at))
    give(request, response, fresh.secret, fresh.lasts)
    return response


def _signed_out(request: web.Request) -> web.Response:
    response = private(SignOutResult())
    take_back(request, response)
    return response
