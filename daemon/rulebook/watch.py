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


class RuleWatch:
    """Watches the folders that are there; one that appears later is found at the next `ask`."""

    def __init__(self, desk: RuleDesk, settings: RulesSettings) -> None:
        self._desk = desk
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
            folders = [folder for folder in self._folders if folder.is_dir()]
            try:
                await self._watch(folders)
            except Exception:
                log.exception("watching_failed")
                await self._asked.wait()
            await self._reload("operator")

    async def _watch(self, folders: list[Path]) -> None:
        """Reload at each save; return when somebody asks."""
        if not folders:
            await self._asked.wait()
            return
        async for _ in awatch(
            *folders,
            stop_event=self._asked,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            recursive=False,
        ):
            await self._reload("a save")

    async def _reload(self, who: str) -> None:
        try:
            await self._desk.reload(who)
        except Exception:
            log.exception("reload_failed")
