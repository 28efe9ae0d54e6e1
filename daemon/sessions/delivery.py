"""Handing on what must not be lost: stored, or the line is given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from daemon.api.clock import Clock

log = structlog.get_logger("sessions")

STORE_RETRY_SECONDS = (1.0, 5.0, 15.0)
"""Seconds between the tries."""


async def store_with_retries(
    store: Callable[[], Awaitable[object]], clock: Clock, session: str
) -> None:
    """Store what came in; raise what the last try raised, so that the line is given up.

    Who can't hear an opt-out must not send. What was not stored is told again by the next line.
    """
    for pause in STORE_RETRY_SECONDS:
        try:
            await store()
        except Exception as error:  # noqa: BLE001 - a full disk, a fault: all the same to the line
            log.warning("signal_not_stored", session=session, error=type(error).__name__)
            await clock.sleep(pause)
        else:
            return
    await store()
