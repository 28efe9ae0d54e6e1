"""Reloads the rulesets when a file in their folders is saved, or on request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from watchfiles import awatch

from daemon.background import run_in_background
from daemon.rulesets.service import RulesetService
from daemon.settings import RulesSettings

log = structlog.get_logger("rules")

_DEBOUNCE_MILLISECONDS = 200  # an editor writes, renames and touches: these are one save
_STEP_MILLISECONDS = 50
_POLL_SECONDS = 5.0  # the watch gets no event when the folder itself is replaced by another
_SAVED_BY = "a save"


class RulesetWatcher:
    """Reloads the rulesets when a file of the operator's or the shadow's folder changes.

    Every `poll_seconds` it checks whether the folders are still the ones that it watches.
    """

    def __init__(
        self, service: RulesetService, settings: RulesSettings, poll_seconds: float = _POLL_SECONDS
    ) -> None:
        self._service = service
        self._poll_seconds = poll_seconds
        self._folders = [Path(name) for name in (settings.dir, settings.shadow) if name]
        self._reload_requested = asyncio.Event()
        self._reloads: list[asyncio.Future[None]] = []

    async def reload(self) -> None:
        """Reload, and watch the folders that exist now; return once the files were checked.

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
            try:
                await self._watch(self._list_existing_folders())
            # For one, no more inotify watches; a reload by hand still works meanwhile.
            except Exception:
                log.exception("watching_failed")
                await self._pause()
            # Cleared before the reload: a request that comes while it runs may not be lost.
            self._reload_requested.clear()
            requests, self._reloads = self._reloads, []
            await self._reload("operator" if requests else _SAVED_BY)
            for request in requests:
                if not request.done():
                    request.set_result(None)

    async def _pause(self) -> None:
        """Wait until a reload is requested, but at most for the poll interval."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reload_requested.wait(), self._poll_seconds)

    def _list_existing_folders(self) -> dict[Path, tuple[int, int]]:
        """Return each folder that exists, with device and inode: a link may be changed."""
        return {
            each: (found.st_dev, found.st_ino)
            for each in self._folders
            if each.is_dir() and (found := each.stat())
        }

    async def _watch(self, folders: dict[Path, tuple[int, int]]) -> None:
        """Reload at each save; return at a request, or when the folders are other ones."""
        while not folders:
            await self._pause()
            if self._reload_requested.is_set() or self._list_existing_folders():
                return
        settled = False
        async for changes in awatch(
            *folders,
            stop_event=self._reload_requested,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            rust_timeout=int(self._poll_seconds * 1000),
            yield_on_timeout=True,
            recursive=False,
        ):
            if self._list_existing_folders() != folders:
                return
            # The first time without changes too: a save before the watch began gave no event.
            if changes or not settled:
                await self._reload(_SAVED_BY)
            settled = True

    async def _reload(self, who: str) -> None:
        try:
            await self._service.reload(who)
        except Exception:
            log.exception("reload_failed")
