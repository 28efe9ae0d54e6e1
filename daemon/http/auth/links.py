"""`/v1/sign-in-links`, on the control socket alone: one-time links that sign somebody in."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.auth.bodies import Name, private
from daemon.http.auth.identify import auth_of, identity_of
from daemon.http.bodies import Answer, Body, body
from daemon.http.openapi import operation
from daemon.http.vitals import VITALS

routes = web.RouteTableDef()


class NewSignInLinkBody(Body, frozen=True):
    """Whom the link signs in."""

    user: Name


class SignInLink(Answer, frozen=True):
    """An address that signs in whoever opens it first."""

    user: str
    url: str
    expires_at: datetime


@routes.post("/v1/sign-in-links")
@operation(SignInLink, status=201, body=NewSignInLinkBody, refuses=(NotFound,))
async def make(request: web.Request) -> web.Response:
    """Return a link that signs in once, within ten minutes.

    Its secret stands behind the #, which browsers send to nobody; the page there posts it.
    """
    given, auth = await body(request, NewSignInLinkBody), auth_of(request)
    link = await auth.sign_ins.make_link(given.user, identity_of(request).who)
    base = auth.public_url or request.app[VITALS].doors.get("http", "")
    url = f"{base}/sign-in#{link.secret}"
    return private(SignInLink(link.user, url, link.expires_at), status=201)
