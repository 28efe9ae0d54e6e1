"""`/v1/sign-in-links`, on the control socket alone: one-time links that sign somebody in."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.auth.bodies import UserName, uncached_response
from daemon.http.auth.identify import get_auth, get_identity
from daemon.http.bodies import RequestBody, ResponseBody, read_body
from daemon.http.openapi import operation
from daemon.http.vitals import DAEMON_HEALTH

control_routes = web.RouteTableDef()


class NewSignInLinkBody(RequestBody, frozen=True):
    """Whom the link signs in."""

    user: UserName


class SignInLink(ResponseBody, frozen=True):
    """An address that signs in whoever opens it first."""

    user: str
    url: str
    expires_at: datetime


@control_routes.post("/v1/sign-in-links")
@operation(SignInLink, status=201, body=NewSignInLinkBody, errors=(NotFound,))
async def create_sign_in_link(request: web.Request) -> web.Response:
    """Return a link that signs in once, within ten minutes.

    Its secret stands behind the #, which browsers send to nobody; the page there posts it.
    """
    given, auth = await read_body(request, NewSignInLinkBody), get_auth(request)
    link = await auth.sign_ins.create_link(given.user, get_identity(request).who)
    base = auth.public_url or request.app[DAEMON_HEALTH].addresses.get("http", "")
    url = f"{base}/sign-in#{link.secret}"
    return uncached_response(SignInLink(link.user, url, link.expires_at), status=201)
