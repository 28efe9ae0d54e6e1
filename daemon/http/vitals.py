"""Whether the daemon is alive and ready: what `/ready` answers and what feeds the watchdog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemon.errors import Unavailable
from daemon.http.house import House
from daemon.http.tally import Tally
from storage.errors import StorageError
from storage.tx import Tx

LOOP_LIMIT: Final = 5.0
WRITER_LIMIT: Final = 10.0
OUTBOX_LIMIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class ReadinessBlocker:
    """One thing that stands between the daemon and its work."""

    code: str
    sentence: str


@dataclass(slots=True)
class Vitals:
    """The daemon's pulse. `lag` tells by how many seconds the event loop runs late.

    `house` is None until it is open, and again when it closes.
    """

    lag: Callable[[], float]
    house: House | None = None
    closing: bool = False
    doors: dict[str, str] = field(default_factory=dict)
    """Each door that is open, and its address."""
    tally: Tally = field(default_factory=Tally)

    async def blockers(self) -> list[ReadinessBlocker]:
        """Return everything that keeps the daemon from serving; empty means ready."""
        if self.closing:
            return [ReadinessBlocker("closing", "The daemon drains and will end.")]
        if self.house is None:
            return [
                ReadinessBlocker("migrations", "The database is being opened and migrated."),
                ReadinessBlocker("rules", "The rules are not loaded yet."),
                ReadinessBlocker("outbox", "The outbox is not recovered yet."),
            ]
        sockets = [] if "control" in self.doors else [_no_socket()]
        return [*sockets, *self._late(self.house), *await _writer_trouble(self.house)]

    async def stalls(self) -> list[ReadinessBlocker]:
        """Return what hangs. The service manager restarts a daemon that hangs for long."""
        if self.house is None:
            return []
        trouble = await _writer_trouble(self.house)
        return [*self._late(self.house), *(each for each in trouble if each.code == "writer")]

    def _late(self, house: House) -> list[ReadinessBlocker]:
        found: list[ReadinessBlocker] = []
        if (late := self.lag()) > LOOP_LIMIT:
            found.append(ReadinessBlocker("loop", f"The event loop runs {late:.1f} s late."))
        if (age := time.monotonic() - house.outbox.beat) > OUTBOX_LIMIT:
            found.append(ReadinessBlocker("outbox", f"The outbox last moved {age:.0f} s ago."))
        return found


async def _writer_trouble(house: House) -> list[ReadinessBlocker]:
    """Ask the writer for a job that does nothing; a refusal by the disk is an answer too."""
    try:
        async with asyncio.timeout(WRITER_LIMIT):
            await house.database.write(_nothing, urgent=True)
    except TimeoutError:
        return [ReadinessBlocker("writer", f"The writer did not answer in {WRITER_LIMIT:g} s.")]
    except StorageError as error:
        return [ReadinessBlocker(error.code, error.sentence)]
    return []


def _nothing(_tx: Tx) -> None:
    """Write nothing: an answer proves that the writer lives."""


def _no_socket() -> ReadinessBlocker:
    return ReadinessBlocker("sockets", "The control socket is not open yet.")


VITALS: Final = web.AppKey("vitals", Vitals)


def house_of(request: web.Request) -> House:
    """Return the house behind this door; raise :class:`Unavailable` while there is none."""
    return opened(request.app[VITALS])


def opened(vitals: Vitals) -> House:
    """Return the house; raise :class:`Unavailable` while there is none."""
    if vitals.house is None:
        raise Unavailable("The daemon is starting or ending, so nothing is served just now.")
    return vitals.house
