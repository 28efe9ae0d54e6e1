"""Reloads the rulesets when a file in their folders is saved, or on request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import structlog

from daemon.background import get_seconds_to_tick, run_in_background
from daemon.rulesets.service import RulesetService
from daemon.settings import RulesSettings
from rules.files import has_rule_file_name

log = structlog.get_logger("rules")

_POLL_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 15.0  # a check starts a program, and what fails may fail for hours
_SETTLE_SECONDS: Final = 0.2  # an editor writes, renames and touches: these are one save
_SETTLE_TURNS: Final = 10  # a file that is written all the time is reloaded all the same
_SAVED_BY: Final = "a save"

_Snapshot = Mapping[str, tuple[int, ...]]
"""Each folder and rule file by its path, with what differs from one state of it to another."""


class RulesetWatcher:
    """Reloads the rulesets when a file of the operator's or the shadow's folder changes.

    Every `poll_seconds` it compares the folders with what was loaded. A kernel's watch would stay
    with a folder that was replaced, and on the old target of a link.
    """

    def __init__(
        self,
        service: RulesetService,
        settings: RulesSettings,
        *,
        poll_seconds: float = _POLL_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        """Note how the folders are now: build it before the rules are loaded from them."""
        self._service = service
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0  # `time.monotonic()`
        self._folders = [Path(name) for name in (settings.dir, settings.shadow) if name]
        self._loaded = self._take_snapshot()
        self._reload_requested = asyncio.Event()
        self._reloads: list[asyncio.Future[None]] = []

    async def reload(self) -> None:
        """Reload; return once the files were checked.

        Never raises for a faulty file. Waits as long as a check may take, while the watch runs.
        """
        reloaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reloads.append(reloaded)
        self._reload_requested.set()
        await reloaded

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch for the length of the block."""
        async with run_in_background(self._run(), "rule-watch"):
            yield

    async def _run(self) -> None:
        while True:
            await self._pause(get_seconds_to_tick(self._poll_seconds, time.monotonic()))
            try:
                await self._take_turn()
            # Whatever it is: without the watch a save, and a reload by hand, would wait for ever.
            except Exception:
                log.exception("watching_failed")

    async def _take_turn(self) -> None:
        if self._reload_requested.is_set():
            await self._reload_for_requests()
        elif time.monotonic() >= self._retry_at and self._take_snapshot() != self._loaded:
            await self._settle()
            await self._reload(_SAVED_BY)

    async def _pause(self, seconds: float) -> None:
        """Wait until a reload is requested, but at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._reload_requested.wait()

    async def _settle(self) -> None:
        """Wait until the folders do not change any more, or a reload is requested."""
        found = self._take_snapshot()
        for _ in range(_SETTLE_TURNS):
            await self._pause(_SETTLE_SECONDS)
            before, found = found, self._take_snapshot()
            if found == before or self._reload_requested.is_set():
                return

    async def _reload_for_requests(self) -> None:
        # Cleared before the reload: a request that comes while it runs may not be lost.
        self._reload_requested.clear()
        requests, self._reloads = self._reloads, []
        await self._reload("operator")
        for request in requests:
            if not request.done():
                request.set_result(None)

    async def _reload(self, who: str) -> None:
        # Before the files are read: what is saved meanwhile is seen at the next turn.
        self._loaded = self._take_snapshot()
        try:
            await self._service.reload(who)
        except Exception:
            log.exception("reload_failed")
            # A full disk, for instance: what was saved must not wait for the next save.
            self._loaded = {}
            self._retry_at = time.monotonic() + self._retry_seconds

    def _take_snapshot(self) -> _Snapshot:
        found: dict[str, tuple[int, ...]] = {}
        for folder in self._folders:
            found[str(folder)] = _read_status(folder)
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if has_rule_file_name(entry.name):
                        found[entry.path] = _read_status(entry)
        return found


def _read_status(path: Path | os.DirEntry[str]) -> tuple[int, ...]:
    """Return what changes with a file's content, place or mode; where it has none, the error."""
    try:
        found = path.stat()  # of its target, where it is a link
    except OSError as error:
        return (error.errno or 0,)
    if stat.S_ISDIR(found.st_mode):
        return (found.st_dev, found.st_ino)  # its times change with files that are no rule files
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
