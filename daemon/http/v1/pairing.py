"""`/v1/sessions/{name}/qr` and `/pairing`: the QR code that links a phone. It is a secret."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import segno
from aiohttp import web

from daemon.bus import EventSubscription, SubscriberLagged
from daemon.errors import NotFound
from daemon.events import SessionChanged, SessionQrShown
from daemon.http.bodies import RequestQuery, ResponseBody, json_response, read_query
from daemon.http.health import get_services
from daemon.http.openapi import NDJSON, operation
from daemon.http.streaming import no_time_limit, open_subscription, send_ndjson
from daemon.services import Services
from statemachines.qr import QrState

routes = web.RouteTableDef()

_QR_SCALE: Final = 6
_QR_BORDER: Final = 4
"""Width of the white border in modules; the standard asks for four."""


class QrCodeQuery(RequestQuery, frozen=True, rename={"form": "as"}):
    """The format of the code."""

    form: Literal["json", "png", "svg", "text"] = "json"


class QrCode(ResponseBody, frozen=True):
    """The pairing code that can be scanned now, the seconds left, and the attempt's state."""

    code: str
    index: int
    maximum: int
    expires_at: datetime
    seconds_left: float
    pairing: QrState


@routes.get("/v1/sessions/{name}/qr")
@operation(
    QrCode,
    query=QrCodeQuery,
    errors=(NotFound,),
    media_types=("application/json", "image/png", "image/svg+xml", "text/plain"),
)
async def get_qr_code(request: web.Request) -> web.Response:
    """Return the pairing code that can be scanned now, as data or as a picture; 404 for none."""
    name, services, query = (
        request.match_info["name"],
        get_services(request),
        read_query(request, QrCodeQuery),
    )
    view = services.sessions.view(name)
    shown = services.sessions.qr(name)
    if shown is None:
        raise NotFound(
            f"The session {name} shows no code now; its pairing is: {view.pairing}.",
            hint=f"Start it with: leadmaster sessions start {name}",
        )
    response = (
        _RENDERERS[query.form](shown)
        if query.form != "json"
        else json_response(_build_qr_code(shown, services))
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/v1/sessions/{name}/pairing")
@operation(dict[str, Any], errors=(NotFound,), media_types=(NDJSON,))
@no_time_limit
async def stream_pairing(request: web.Request) -> web.StreamResponse:
    """Stream a pairing: the present state and code, then each change."""
    name, services = request.match_info["name"], get_services(request)
    services.sessions.view(name)  # an unknown name is a 404 before the stream begins
    async with open_subscription(request, services.bus) as subscription:
        return await send_ndjson(
            request, subscription, _iterate_pairing(services, name, subscription)
        )


async def _iterate_pairing(
    services: Services, name: str, subscription: EventSubscription
) -> AsyncIterator[dict[str, Any]]:
    yield {"type": SessionChanged.event_type, "data": services.sessions.view(name)}
    if shown := services.sessions.qr(name):
        yield {"type": SessionQrShown.event_type, "data": _build_qr_code(shown, services)}
    try:
        async for published in subscription:
            event = published.event
            if event.subject != name:
                continue
            if isinstance(event, SessionQrShown):
                yield {"type": event.type, "data": _build_qr_code(event, services)}
            elif isinstance(event, SessionChanged):
                yield {"type": event.type, "data": event.data}
    except SubscriberLagged:  # the client reads the present state when it asks again
        return


def _build_qr_code(shown: SessionQrShown, services: Services) -> QrCode:
    left = (shown.expires_at - services.clock.now()).total_seconds()
    pairing = services.sessions.view(shown.subject).pairing
    more = {"seconds_left": max(0.0, round(left, 1)), "pairing": pairing}
    return msgspec.convert({**shown.data, **more}, QrCode)


def _draw_qr_code(shown: SessionQrShown) -> segno.QRCode:
    # The least error correction: a screen does not get dirty, and fewer modules are easier to scan.
    # Phones do not read micro codes.
    return segno.make(shown.code, error="l", micro=False)


def _render_png(shown: SessionQrShown) -> web.Response:
    out = io.BytesIO()
    _draw_qr_code(shown).save(out, kind="png", scale=_QR_SCALE, border=_QR_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/png")


def _render_svg(shown: SessionQrShown) -> web.Response:
    out = io.BytesIO()
    _draw_qr_code(shown).save(out, kind="svg", scale=_QR_SCALE, border=_QR_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/svg+xml")


def _render_text(shown: SessionQrShown) -> web.Response:
    out = io.StringIO()
    _draw_qr_code(shown).terminal(out, compact=True, border=2)
    return web.Response(text=out.getvalue())


_RENDERERS: Final[Mapping[str, Callable[[SessionQrShown], web.Response]]] = {
    "png": _render_png,
    "svg": _render_svg,
    "text": _render_text,
}
