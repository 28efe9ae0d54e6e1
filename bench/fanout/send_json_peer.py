"""Peer: aiohttp, a set of sockets, and `send_json` to each in turn."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import WSMsgType, web

from bench.fanout.server_protocol import serve_orders

SOCKETS: set[web.WebSocketResponse] = set()


def build_event(number: int, last: int, size: int) -> dict[str, Any]:
    """Return the document that the stream sends for the same event."""
    return {
        "frame": "event",
        "seq": number,
        "epoch": 1,
        "type": "message.changed",
        "at": "2026-03-03T14:00:00.000Z",
        "subject": f"msg_{number:026}",
        "data": {
            "state": "sent",
            "previous": "sending",
            "reason_code": "acknowledged",
            "sentence": "WhatsApp acknowledged the message." + "." * size,
            "session": "ventas",
            "channel": "simulated",
            "contact": f"t{time.monotonic_ns():020}",
            "decision": "the-end" if number == last else "dec_01J8ZZZZZZZZZZZZZZZZZZZZZZ",
            "due_at": None,
        },
    }


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Greet a client and keep it."""
    socket = web.WebSocketResponse(protocols=("leadmaster.v1",), compress=False)
    await socket.prepare(request)
    await socket.send_json({"frame": "subscribed"})
    SOCKETS.add(socket)
    try:
        while (await socket.receive()).type is WSMsgType.TEXT:
            continue
    finally:
        SOCKETS.discard(socket)
    return socket


async def send(count: int, burst: int, size: int, pause: float) -> None:
    """Send to each in turn."""
    for number in range(count):
        document = build_event(number, count - 1, size)
        for socket in tuple(SOCKETS):
            await socket.send_json(document)
        if number % burst == burst - 1:
            await asyncio.sleep(pause)


async def main() -> None:
    """Serve and obey."""
    application = web.Application()
    application.router.add_get("/", listen)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    await serve_orders(f"http://{host}:{port}/ leadmaster.v1", send)


if __name__ == "__main__":
    asyncio.run(main())
