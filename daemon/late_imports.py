"""Libraries that are loaded at their first use, in a thread beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Final

LOAD_SECONDS: Final = 30.0
"""What loading a library may take at most; on an idle core it is a tenth of a second."""


class LateImport:
    """A library that a daemon loads when it first needs it, as many daemons never do.

    Loading takes tens of milliseconds, so it runs in a thread. What `import` says inside a function
    afterwards finds the library loaded, and costs nothing.
    """

    def __init__(self, *modules: str, prepare: Callable[[], object] | None = None) -> None:
        """Take the modules by name; `prepare` is a first call that loads the rest of them."""
        self._modules = modules
        self._prepare = prepare
        self._loaded = False

    async def ensure_loaded(self) -> None:
        """Return once the library is loaded.

        Raises ImportError where it is not installed, and TimeoutError after `LOAD_SECONDS`.
        """
        # Not asked of `sys.modules`, where a module is found as soon as its import has begun.
        if not self._loaded:
            async with asyncio.timeout(LOAD_SECONDS):
                await asyncio.to_thread(self._load)

    def _load(self) -> None:
        for module in self._modules:
            import_module(module)
        if self._prepare is not None:
            self._prepare()
        self._loaded = True
