"""`/v1/sign-in-links`, on the control socket alone: one-time links that sign somebody in."""

from __future__ import annotations

from aiohttp import web

from daemon.http.auth.bodies import Name, private
from daemon.http.auth.identify import auth_of, identity_of
from daemon.http.bodies import Body, body
from daemon.http.vitals import VITALS

routes = web.RouteTableDef()


class Whose(Body, frozen=True):
    """Whom the link signs in."""

    user: Name


@routes.post("/v1/sign-in-links")
async def make(request: web.Request) -> web.Response:
    """Return a link that signs in once, within ten minutes.

    Its secret stands behind the #, which browsers send to nobody; the page there posts it.
    """
    given, auth = await body(request, Whose), auth_of(request)
    link = await auth.sign_ins.make_link(given.user, identity_of(request).who)
    base = auth.public_url or request.app[VITALS].doors.get("http", "")
    return private(
        {
            "user": link.user,
            "url": f"{base}/sign-in#{link.secret}",
            "expires_at": link.expires_at,
        },
        status=201,
    )
