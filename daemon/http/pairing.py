"""`/v1/sessions/{name}/qr` and `/pairing`: the code that a phone scans. It is a secret."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import segno
from aiohttp import web

from daemon.bus import Lagged, Subscription
from daemon.errors import NotFound
from daemon.events import SessionChanged, SessionQrShown
from daemon.http.bodies import Answer, Query, answer, query
from daemon.http.house import House
from daemon.http.openapi import LINES, operation
from daemon.http.streams import endless, listening, send_lines
from daemon.http.vitals import house_of

routes = web.RouteTableDef()

_SCALE: Final = 6
_BORDER: Final = 4
"""Modules of white around a code; scanners need four."""


class QrCodeQuery(Query, frozen=True, rename={"form": "as"}):
    """In which form the code is wanted."""

    form: Literal["json", "png", "svg", "text"] = "json"


class QrCode(Answer, frozen=True):
    """A pairing code on show, and for how long still."""

    code: str
    index: int
    maximum: int
    expires_at: datetime
    seconds_left: float


@routes.get("/v1/sessions/{name}/qr")
@operation(
    QrCode,
    query=QrCodeQuery,
    refuses=(NotFound,),
    gives=("application/json", "image/png", "image/svg+xml", "text/plain"),
)
async def qr(request: web.Request) -> web.Response:
    """Return the pairing code on show, as data or drawn; 404 while there is none."""
    name, house, wanted = request.match_info["name"], house_of(request), query(request, QrCodeQuery)
    house.sessions.view(name)
    shown = house.sessions.qr(name)
    if shown is None:
        raise NotFound(
            f"The session {name} shows no code just now.",
            hint=f"Start it with: leadmaster sessions start {name}",
        )
    response = _FORMS[wanted.form](shown) if wanted.form != "json" else answer(_code(shown, house))
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/v1/sessions/{name}/pairing")
@operation(dict[str, Any], refuses=(NotFound,), gives=(LINES,))
@endless
async def pairing(request: web.Request) -> web.StreamResponse:
    """Stream a pairing: the state and the code as they are, then each change."""
    name, house = request.match_info["name"], house_of(request)
    house.sessions.view(name)
    async with listening(request, house.bus) as subscription:
        return await send_lines(request, subscription, _pairing(house, name, subscription))


async def _pairing(
    house: House, name: str, subscription: Subscription
) -> AsyncIterator[dict[str, Any]]:
    yield {"type": SessionChanged.word, "data": house.sessions.view(name)}
    if shown := house.sessions.qr(name):
        yield {"type": SessionQrShown.word, "data": _code(shown, house)}
    try:
        async for published in subscription:
            event = published.event
            if event.subject != name:
                continue
            if isinstance(event, SessionQrShown):
                yield {"type": event.type, "data": _code(event, house)}
            elif isinstance(event, SessionChanged):
                yield {"type": event.type, "data": event.data}
    except Lagged:
        return


def _code(shown: SessionQrShown, house: House) -> QrCode:
    left = (shown.expires_at - house.clock.now()).total_seconds()
    return msgspec.convert({**shown.data, "seconds_left": max(0.0, round(left, 1))}, QrCode)


def _drawn(shown: SessionQrShown) -> segno.QRCode:
    return segno.make(shown.code, error="l", micro=False)


def _png(shown: SessionQrShown) -> web.Response:
    out = io.BytesIO()
    _drawn(shown).save(out, kind="png", scale=_SCALE, border=_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/png")


def _svg(shown: SessionQrShown) -> web.Response:
    out = io.BytesIO()
    _drawn(shown).save(out, kind="svg", scale=_SCALE, border=_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/svg+xml")


def _text(shown: SessionQrShown) -> web.Response:
    out = io.StringIO()
    _drawn(shown).terminal(out, compact=True, border=2)
    return web.Response(text=out.getvalue())


_FORMS: Final[Mapping[str, Callable[[SessionQrShown], web.Response]]] = {
    "png": _png,
    "svg": _svg,
    "text": _text,
}
