"""`/v1/sign-in`: signs browsers in and out, returns the current user, makes one-time links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from aiohttp import web

from daemon.auth import ROLE_SCOPES, Principal, Role, SignInMethod
from daemon.auth.errors import (
    CsrfRefused,
    OriginRefused,
    PasswordRefused,
    ScopeMissing,
    SignInEnded,
    SignInFailed,
    SignInLinkSpent,
    SignInThrottled,
    Unauthorized,
)
from daemon.auth.identity import parse_scopes
from daemon.auth.sign_ins import IssuedSignIn, derive_csrf_token
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import get_auth, get_identity, identify_request
from daemon.http.bodies import (
    RequestBody,
    ResponseBody,
    SecretBody,
    SecretText,
    UserName,
    read_body,
    uncached_response,
)
from daemon.http.browser_session import (
    check_csrf,
    delete_session_cookie,
    get_session_secret,
    set_language_cookie,
    set_session_cookie,
)
from daemon.http.health import DAEMON_HEALTH
from daemon.http.openapi import operation
from daemon.http.proxy_headers import get_client_address
from daemon.http.v1.tokens import CreatedToken

routes = web.RouteTableDef()

PageLanguage: TypeAlias = Literal["en", "es"]
_TOKEN_LIFE: Final = timedelta(minutes=15)
_TOKEN_NAME: Final = "sign-in"  # noqa: S105 - what such tokens are listed as


class CredentialsBody(SecretBody, frozen=True):
    """A user's name and password."""

    user: UserName
    password: SecretText


class SignInTokenBody(CredentialsBody, frozen=True):
    """Credentials and the wanted scopes; without any, all that the role has."""

    scopes: tuple[str, ...] = ()


class LinkSignInBody(SecretBody, frozen=True):
    """The secret of a sign-in link: the part behind its #."""

    link: SecretText


class PasswordChangeBody(SecretBody, frozen=True):
    """The user's present password, and the new one."""

    current: SecretText
    new: SecretText


class LanguageBody(RequestBody, frozen=True):
    """The language of the caller's pages; null: as their browser asks."""

    language: PageLanguage | None


class UserLanguage(ResponseBody, frozen=True):
    """The language of a user's pages, in every browser that they sign in with."""

    user: str
    language: str | None


class SignInResult(ResponseBody, frozen=True):
    """A signed-in browser; its pages send `csrf` with every change."""

    user: str
    csrf: str
    ends_at: datetime


class SignOutResult(ResponseBody, frozen=True):
    """A browser that is signed out."""

    user: None = None


class CurrentUser(ResponseBody, frozen=True):
    """The caller of this request: who it is, how they signed in, and their scopes."""

    user: str
    who: str
    method: SignInMethod
    scopes: Sequence[str]
    csrf: str | None


@routes.get("/v1/sign-in")
@operation(CurrentUser, errors=(Unauthorized, SignInEnded))
async def get_current_user(request: web.Request) -> web.Response:
    """Return who is signed in and their scopes; pages send `csrf` with every change."""
    identity = await identify_request(request)
    secret = get_session_secret(request) if identity.method is SignInMethod.BROWSER else None
    return uncached_response(
        CurrentUser(
            user=identity.user,
            who=identity.who,
            method=identity.method,
            scopes=sorted(identity.scopes),
            csrf=derive_csrf_token(secret) if secret else None,
        )
    )


@routes.post("/v1/sign-in")
@operation(
    SignInResult, body=CredentialsBody, errors=(SignInFailed, OriginRefused, SignInThrottled)
)
async def sign_in_with_password(request: web.Request) -> web.Response:
    """Sign this browser in; 401 for a wrong name or password, 429 after too many of them."""
    given = await read_body(request, CredentialsBody)
    address = get_client_address(request)
    fresh = await get_auth(request).sign_ins.sign_in_with_password(
        given.user, given.password, address
    )
    return await _build_sign_in_response(request, fresh)


@routes.post("/v1/sign-in/link")
@operation(SignInResult, body=LinkSignInBody, errors=(SignInLinkSpent, OriginRefused))
async def sign_in_with_link(request: web.Request) -> web.Response:
    """Sign this browser in by a one-time link; 401 where the link was used before."""
    given = await read_body(request, LinkSignInBody)
    return await _build_sign_in_response(
        request,
        await get_auth(request).sign_ins.sign_in_with_link(given.link, get_client_address(request)),
    )


@routes.delete("/v1/sign-in")
@operation(SignOutResult, errors=(OriginRefused, CsrfRefused))
async def sign_out(request: web.Request) -> web.Response:
    """Sign this browser out; idempotent."""
    if (secret := get_session_secret(request)) is not None:
        check_csrf(request, secret)  # else any site could sign its visitors out
        await get_auth(request).sign_ins.sign_out(secret)
    return _build_sign_out_response(request)


@routes.post("/v1/sign-in/password")
@operation(
    SignOutResult,
    body=PasswordChangeBody,
    errors=(Unauthorized, SignInFailed, CsrfRefused, PasswordRefused, SignInThrottled),
)
async def change_password(request: web.Request) -> web.Response:
    """Change the caller's password; every browser of the user is signed out, this one too."""
    identity = await identify_request(request)
    if identity.method is not SignInMethod.BROWSER:
        raise BadRequest("A token can't change a password.", hint="Sign in in a browser.")
    given, auth = await read_body(request, PasswordChangeBody), get_auth(request)
    # Asked for again, so that a browser left open is not enough to take an account over.
    await auth.password_check.check(identity.user, given.current, get_client_address(request))
    await auth.users.set_password(identity.user, given.new, identity.who)
    return _build_sign_out_response(request)


@routes.post("/v1/sign-in/token")
@operation(
    CreatedToken,
    status=201,
    body=SignInTokenBody,
    errors=(SignInFailed, ScopeMissing, SignInThrottled),
)
async def create_sign_in_token(request: web.Request) -> web.Response:
    """Return a token for 15 minutes, for programs that ask a person for the password."""
    given, auth = await read_body(request, SignInTokenBody), get_auth(request)
    user = await auth.password_check.check(given.user, given.password, get_client_address(request))
    # Issued as by the user, so that no scope goes beyond the role.
    mine = ROLE_SCOPES[Role(user.role)]
    made = await auth.tokens.issue_token(
        Principal(user.name, user.name, mine, SignInMethod.BROWSER),
        user.name,
        _TOKEN_NAME,
        parse_scopes(given.scopes) or mine,
        _TOKEN_LIFE,
    )
    return uncached_response(CreatedToken(made.token, made.record), status=201)


@routes.post("/v1/sign-in/language")
@operation(UserLanguage, body=LanguageBody, errors=(Unauthorized, CsrfRefused, Conflict))
async def set_own_language(request: web.Request) -> web.Response:
    """Store the language of the caller's pages, and set this browser to it."""
    identity = await identify_request(request)
    chosen = (await read_body(request, LanguageBody)).language
    if not identity.user:
        raise Conflict("Only a user of LeadMaster has a language.", hint="Sign in in a browser.")
    user = await get_auth(request).users.set_language(identity.user, chosen, identity.who)
    response = uncached_response(UserLanguage(user.name, user.language))
    set_language_cookie(request, response, user.language)
    return response


async def _build_sign_in_response(request: web.Request, fresh: IssuedSignIn) -> web.Response:
    user = await get_auth(request).users.get_user(fresh.user)
    response = uncached_response(SignInResult(fresh.user, fresh.csrf, fresh.ends_at))
    set_session_cookie(request, response, fresh.secret, fresh.lasts)
    if user.language:
        set_language_cookie(request, response, user.language)
    return response


def _build_sign_out_response(request: web.Request) -> web.Response:
    response = uncached_response(SignOutResult())
    delete_session_cookie(request, response)
    return response


class NewSignInLinkBody(RequestBody, frozen=True):
    """The user to sign in."""

    user: UserName


class SignInLink(ResponseBody, frozen=True):
    """A link that signs in the first person who opens it."""

    user: str
    url: str
    expires_at: datetime


@routes.post("/v1/sign-in-links")
@operation(SignInLink, status=201, body=NewSignInLinkBody, errors=(NotFound,))
async def create_sign_in_link(request: web.Request) -> web.Response:
    """Return a link that signs a user in once, within ten minutes."""
    given, auth = await read_body(request, NewSignInLinkBody), get_auth(request)
    link = await auth.sign_ins.create_link(given.user, get_identity(request).who)
    base = auth.public_url or request.app[DAEMON_HEALTH].addresses.get("http", "")
    # Behind the #, which browsers send to no server: it appears in no proxy's log. The page posts
    # it.
    url = f"{base}/sign-in#{link.secret}"
    return uncached_response(SignInLink(link.user, url, link.expires_at), status=201)
