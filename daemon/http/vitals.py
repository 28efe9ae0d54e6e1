"""Whether the daemon is alive and ready: what `/ready` answers and what feeds the watchdog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemon.errors import Unavailable
from daemon.http.house import HttpServices
from daemon.http.tally import EventCounts
from storage.errors import StorageError
from storage.tx import Tx

LOOP_LAG_LIMIT_SECONDS: Final = 5.0
WRITER_LIMIT_SECONDS: Final = 10.0
OUTBOX_LIMIT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReadinessBlocker:
    """One thing that stands between the daemon and its work."""

    code: str
    sentence: str


@dataclass(slots=True)
class DaemonHealth:
    """The daemon's pulse. `lag` tells by how many seconds the event loop runs late.

    `house` is None until it is open, and again when it closes.
    """

    lag: Callable[[], float]
    services: HttpServices | None = None
    closing: bool = False
    addresses: dict[str, str] = field(default_factory=dict)
    """Each door that is open, and its address."""
    event_counts: EventCounts = field(default_factory=EventCounts)

    async def find_blockers(self) -> list[ReadinessBlocker]:
        """Return everything that keeps the daemon from serving; empty means ready."""
        if self.closing:
            return [ReadinessBlocker("closing", "The daemon drains and will end.")]
        if self.services is None:
            return [
                ReadinessBlocker("migrations", "The database is being opened and migrated."),
                ReadinessBlocker("rules", "The rules are not loaded yet."),
                ReadinessBlocker("outbox", "The outbox is not recovered yet."),
            ]
        sockets = [] if "control" in self.addresses else [_build_socket_blocker()]
        return [*sockets, *self._find_delays(self.services), *await _check_writer(self.services)]

    async def find_stalls(self) -> list[ReadinessBlocker]:
        """Return what hangs. The service manager restarts a daemon that hangs for long."""
        if self.services is None:
            return []
        trouble = await _check_writer(self.services)
        return [
            *self._find_delays(self.services),
            *(each for each in trouble if each.code == "writer"),
        ]

    def _find_delays(self, house: HttpServices) -> list[ReadinessBlocker]:
        found: list[ReadinessBlocker] = []
        if (late := self.lag()) > LOOP_LAG_LIMIT_SECONDS:
            found.append(ReadinessBlocker("loop", f"The event loop runs {late:.1f} s late."))
        if (age := time.monotonic() - house.outbox.last_active) > OUTBOX_LIMIT_SECONDS:
            found.append(ReadinessBlocker("outbox", f"The outbox last moved {age:.0f} s ago."))
        return found


async def _check_writer(house: HttpServices) -> list[ReadinessBlocker]:
    """Ask the writer for a job that does nothing; a refusal by the disk is an answer too."""
    try:
        async with asyncio.timeout(WRITER_LIMIT_SECONDS):
            await house.database.write(_write_nothing, urgent=True)
    except TimeoutError:
        return [
            ReadinessBlocker("writer", f"The writer did not answer in {WRITER_LIMIT_SECONDS:g} s.")
        ]
    except StorageError as error:
        return [ReadinessBlocker(error.code, error.sentence)]
    return []


def _write_nothing(_tx: Tx) -> None:
    """Write nothing: an answer proves that the writer lives."""


def _build_socket_blocker() -> ReadinessBlocker:
    return ReadinessBlocker("sockets", "The control socket is not open yet.")


DAEMON_HEALTH: Final = web.AppKey("vitals", DaemonHealth)


def get_services(request: web.Request) -> HttpServices:
    """Return the house behind this door; raise :class:`Unavailable` while there is none."""
    return require_services(request.app[DAEMON_HEALTH])


def require_services(daemon_health: DaemonHealth) -> HttpServices:
    """Return the house; raise :class:`Unavailable` while there is none."""
    if daemon_health.services is None:
        raise Unavailable("The daemon is starting or ending, so nothing is served just now.")
    return daemon_health.services
