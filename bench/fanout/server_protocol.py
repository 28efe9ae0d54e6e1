"""How the driver talks to a server under measure: orders as lines in, answers as lines out."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable

SendEvents = Callable[[int, int, int, float], Awaitable[None]]
"""Sends `count` events in bursts of `burst`, each padded by `size` bytes, `pause` s apart."""


async def serve_orders(address: str, send: SendEvents) -> None:
    """Say where we are, and carry out orders until the driver closes the line."""
    _print_answer(address=address)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        began, used = time.monotonic(), time.process_time()
        await send(order["count"], order["burst"], order["size"], order["pause"])
        _print_answer(
            began=began,
            cpu=time.process_time() - used,
            rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        )


def _print_answer(**answer: object) -> None:
    print(json.dumps(answer), flush=True)
