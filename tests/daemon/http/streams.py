"""Reading a stream of lines up to the one that a test waits for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.helpers.doors import HttpClient


async def read_lines_until(
    caller: HttpClient,
    path: str,
    wanted: Callable[[dict[str, Any]], bool],
    meanwhile: Callable[[], Awaitable[object]] | None = None,
) -> list[dict[str, Any]]:
    """Read a stream up to the line that is wanted, doing something once it has begun."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20), caller.session.get(caller.base + path) as response:
        if meanwhile is not None:
            await meanwhile()
        async for line in response.content:
            found += [json.loads(line)] if line.strip() else []
            if found and wanted(found[-1]):
                return found
    return found


def is_ready_line(line: dict[str, Any]) -> bool:
    """Tell whether a line of a pairing says that the phone is linked."""
    return bool(line["data"].get("state") == "ready")


async def create_ready_session(api: HttpClient, name: str = "ventas") -> None:
    """Add a session whose phone scans after a while, and wait until it is ready."""
    await api.post("/v1/sessions", name=name, channel="simulated")
    await api.post(f"/v1/sessions/{name}/start")
    await read_lines_until(api, f"/v1/sessions/{name}/pairing", is_ready_line)
