"""`/v1/status` beside the stream of events: nothing that happens falls between both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from daemon.http.health import DAEMON_HEALTH, DaemonHealth
from daemon.http.v1.status import get_status
from tests.helpers.services.messaging import MessagingServices, open_messaging_services


async def read_status(services: MessagingServices, halt_before: int) -> tuple[Any, int]:
    """Return the status during whose reading all was halted, and the queries of it.

    The halt comes before that query, counted from 0.
    """
    queries = 0

    async def halt_in_time(_query: object) -> None:
        nonlocal queries
        number, queries = queries, queries + 1
        if number == halt_before:
            services.database.before_read = None  # what the halt reads is none of ours
            await services.halt.halt("eva", "while the status is read")
            services.database.before_read = halt_in_time

    app = web.Application()
    app[DAEMON_HEALTH] = DaemonHealth(lag=lambda: 0.0, services=services)
    services.database.before_read = halt_in_time
    answer = await get_status(make_mocked_request("GET", "/v1/status", app=app))
    services.database.before_read = None
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body), queries


async def test_what_happens_while_the_status_is_read_is_in_it_or_in_the_stream(
    tmp_path: Path,
) -> None:
    """At whatever query it happens: a stream from `seq` has what the status has not."""
    async with open_messaging_services(tmp_path) as services:
        number, queries = 0, 1
        while number < queries:
            status, queries = await read_status(services, number)
            after = await services.database.high_water()
            assert status["halt"] is not None or status["seq"] < after, f"at query {number}"
            await services.halt.resume("eva", "read")
            number += 1
        assert number > 1
