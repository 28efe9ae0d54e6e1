"""`/v1/sessions/{name}/qr`, `/pairing-code` and `/pairing`: the codes that link a phone.

A code is a secret: it is neither stored nor logged, and no cache keeps it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from aiohttp import web

from daemon.api.numbers import NumberUnusable, parse_phone
from daemon.bus import EventSubscription, SubscriberLagged
from daemon.errors import BadRequest, Conflict, NotFound, Unavailable
from daemon.events import SessionChanged, SessionPairingCodeShown, SessionQrShown
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    RequestQuery,
    ResponseBody,
    json_response,
    read_body,
    read_query,
    uncached_response,
)
from daemon.http.health import get_services
from daemon.http.openapi import NDJSON, operation
from daemon.http.qr_drawing import draw_qr_code
from daemon.http.streaming import no_time_limit, open_subscription, send_ndjson
from daemon.services import Services
from daemon.sessions.linking import PAIRING_STEPS
from statemachines.qr import QrState
from statemachines.session import ConnectionState

if TYPE_CHECKING:
    from segno import QRCode

routes = web.RouteTableDef()

_WAITING_STATES: Final = frozenset({ConnectionState.STARTING, ConnectionState.AWAITING_SCAN})
_CODE_SECONDS: Final = 45.0
"""How long a request waits for its code: a worker loads its library first."""

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
            f"The session {name} shows no QR code now; its pairing is: {view.pairing}.",
            hint=f"Start it with: leadmaster sessions start {name}",
        )
    response = (
        _RENDERERS[query.form](await draw_qr_code(shown.code))
        if query.form != "json"
        else json_response(_build_qr_code(shown, services))
    )
    response.headers["Cache-Control"] = "no-store"
    return response


class PairingCodeBody(RequestBody, frozen=True):
    """The number of the phone to be linked, as people write it; with a country code, if abroad."""

    phone: str

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return "PairingCodeBody()"


class PairingCode(ResponseBody, frozen=True):
    """A code to be typed on the phone, the seconds left, and the steps on the phone."""

    code: str
    expires_at: datetime
    seconds_left: float
    pairing: QrState
    steps: Sequence[str]


@routes.post("/v1/sessions/{name}/pairing-code")
@operation(
    PairingCode,
    status=201,
    body=PairingCodeBody,
    errors=(NotFound, BadRequest, Conflict, Unavailable),
)
async def request_pairing_code(request: web.Request) -> web.Response:
    """Start a session to be linked by a code that is typed on its phone; return the code.

    503 where no code comes: the session then says why.
    """
    asked, services = await read_body(request, PairingCodeBody), get_services(request)
    name = request.match_info["name"]
    services.sessions.view(name)  # an unknown name is a 404, whatever the number
    try:
        phone = parse_phone(asked.phone, services.settings.daemon.default_region).e164
    except NumberUnusable as unusable:
        raise BadRequest(
            f"The phone number can't be used: {unusable.sentence}",
            hint="Write it with its country code, such as +54 9 11 5555-0101.",
        ) from None
    async with open_subscription(request, services.bus) as subscription:
        await services.sessions.request_pairing_code(name, phone, request[ACTOR])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CODE_SECONDS):
                await _wait_for_code(services, name, subscription)
    return _render_pairing_code(services, name, status=201)


@routes.get("/v1/sessions/{name}/pairing-code")
@operation(PairingCode, errors=(NotFound,))
async def get_pairing_code(request: web.Request) -> web.Response:
    """Return the code that can be typed on the phone now; 404 for none."""
    name, services = request.match_info["name"], get_services(request)
    if services.sessions.pairing_code(name) is None:
        raise NotFound(
            f"The session {name} shows no code to be typed now.",
            hint=f"Ask for one: leadmaster sessions pair {name} --code --phone NUMBER",
        )
    return _render_pairing_code(services, name)


async def _wait_for_code(services: Services, name: str, subscription: EventSubscription) -> None:
    """Return once a session shows a code, or has given up to get one."""
    with contextlib.suppress(SubscriberLagged):
        async for _ in subscription:
            ended = services.sessions.view(name).state not in _WAITING_STATES
            if ended or services.sessions.pairing_code(name) is not None:
                return


def _render_pairing_code(services: Services, name: str, status: int = 200) -> web.Response:
    shown = services.sessions.pairing_code(name)
    if shown is None:
        raise Unavailable(services.sessions.view(name).sentence)
    return uncached_response(_build_pairing_code(shown, services), status)


def _build_pairing_code(shown: SessionPairingCodeShown, services: Services) -> PairingCode:
    left = (shown.expires_at - services.clock.now()).total_seconds()
    return PairingCode(
        shown.code,
        shown.expires_at,
        max(0.0, round(left, 1)),
        services.sessions.view(shown.subject).pairing,
        PAIRING_STEPS,
    )


@routes.get("/v1/sessions/{name}/pairing")
@operation(dict[str, Any], errors=(NotFound,), media_types=(NDJSON,))
@no_time_limit
async def stream_pairing(request: web.Request) -> web.StreamResponse:
    """Stream a pairing: the present state and code, of either kind, then each change."""
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
    if qr_code := services.sessions.qr(name):
        yield {"type": qr_code.event_type, "data": _build_qr_code(qr_code, services)}
    if code := services.sessions.pairing_code(name):
        yield {"type": code.event_type, "data": _build_pairing_code(code, services)}
    try:
        async for published in subscription:
            event = published.event
            if event.subject != name:
                continue
            if isinstance(event, SessionQrShown):
                yield {"type": event.type, "data": _build_qr_code(event, services)}
            elif isinstance(event, SessionPairingCodeShown):
                yield {"type": event.type, "data": _build_pairing_code(event, services)}
            elif isinstance(event, SessionChanged):
                yield {"type": event.type, "data": event.data}
    except SubscriberLagged:  # the client reads the present state when it asks again
        return


def _build_qr_code(shown: SessionQrShown, services: Services) -> QrCode:
    left = (shown.expires_at - services.clock.now()).total_seconds()
    pairing = services.sessions.view(shown.subject).pairing
    more = {"seconds_left": max(0.0, round(left, 1)), "pairing": pairing}
    return msgspec.convert({**shown.data, **more}, QrCode)


def _render_png(drawn: QRCode) -> web.Response:
    out = io.BytesIO()
    drawn.save(out, kind="png", scale=_QR_SCALE, border=_QR_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/png")


def _render_svg(drawn: QRCode) -> web.Response:
    out = io.BytesIO()
    drawn.save(out, kind="svg", scale=_QR_SCALE, border=_QR_BORDER)
    return web.Response(body=out.getvalue(), content_type="image/svg+xml")


def _render_text(drawn: QRCode) -> web.Response:
    out = io.StringIO()
    drawn.terminal(out, compact=True, border=2)
    return web.Response(text=out.getvalue())


_RENDERERS: Final[Mapping[str, Callable[[QRCode], web.Response]]] = {
    "png": _render_png,
    "svg": _render_svg,
    "text": _render_text,
}
