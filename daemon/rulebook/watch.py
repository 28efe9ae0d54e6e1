"""Reloads the rules when a file in their folders is saved, and when a person asks for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from watchfiles import awatch

from daemon.rulebook.desk import RuleDesk
from daemon.settings import RulesSettings

log = structlog.get_logger("rules")

_DEBOUNCE_MILLISECONDS = 200  # an editor writes, renames and touches: that is one save
_STEP_MILLISECONDS = 50
_LOOK_AGAIN_SECONDS = 5.0  # a folder that takes the place of another tells nobody
_SAVE = "a save"


class RuleWatch:
    """Watches the folders that are there, and looks now and then whether they are the same ones."""

    def __init__(
        self, desk: RuleDesk, settings: RulesSettings, look_again: float = _LOOK_AGAIN_SECONDS
    ) -> None:
        self._desk = desk
        self._look_again = look_again
        self._folders = [Path(name) for name in (settings.dir, settings.shadow) if name]
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Reload now, and look again at which folders there are."""
        self._asked.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch beside the block."""
        task = asyncio.create_task(self._run(), name="rule-watch")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._asked.clear()
            try:
                await self._watch(self._there())
            except Exception:
                log.exception("watching_failed")
                await self._pause()
            await self._reload("operator" if self._asked.is_set() else _SAVE)

    async def _pause(self) -> None:
        """Wait until somebody asks, or until it is time to look again."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), self._look_again)

    def _there(self) -> dict[Path, tuple[int, int]]:
        """Return each folder that is there, and which one: a link may lead elsewhere tomorrow."""
        return {
            each: (found.st_dev, found.st_ino)
            for each in self._folders
            if each.is_dir() and (found := each.stat())
        }

    async def _watch(self, there: dict[Path, tuple[int, int]]) -> None:
        """Reload at each save; return when somebody asks, or when other folders are there."""
        while not there:
            await self._pause()
            if self._asked.is_set() or self._there():
                return
        settled = False
        async for changes in awatch(
            *there,
            stop_event=self._asked,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            rust_timeout=int(self._look_again * 1000),
            yield_on_timeout=True,
            recursive=False,
        ):
            if self._there() != there:
                return
            if changes or not settled:
                await self._reload(_SAVE)  # what was saved before the watch stood counts too
            settled = True

    async def _reload(self, who: str) -> None:
        try:
            await self._desk.reload(who)
        except Exception:
            log.exception("reload_failed")
