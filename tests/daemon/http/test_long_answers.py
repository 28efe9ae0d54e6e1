"""An answer may take longer than the head of a request may."""

from __future__ import annotations

import asyncio

from aiohttp import web

from daemon.http.connections import ConnectionLimiter, ConnectionLimits

HEAD_SECONDS = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"


async def answer_late(request: web.Request) -> web.Response:
    """Answer long after a head would have had to be there."""
    body = await request.read()
    await asyncio.sleep(4 * HEAD_SECONDS)
    return web.Response(body=body)


async def test_a_body_behind_its_head_does_not_limit_the_answer() -> None:
    """As of an import, whose answer goes on for minutes: it is not cut off."""
    application = web.Application()
    application.router.add_post("/", answer_late)
    runner = web.AppRunner(application)
    await runner.setup()
    assert runner.server is not None
    limits = ConnectionLimits(10, 10, head_seconds=HEAD_SECONDS)
    limiter = ConnectionLimiter(runner.server, limits)
    server = await asyncio.get_running_loop().create_server(limiter, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for piece in (HEAD, b"{}"):
            writer.write(piece)
            await asyncio.sleep(0.05)  # a packet of its own
        async with asyncio.timeout(30):
            answer = await reader.read()
        writer.close()
    finally:
        server.close()
        await runner.cleanup()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"{}")
