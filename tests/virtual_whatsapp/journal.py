"""A list that can be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


class Journal(Sequence[T], Generic[T]):
    """What happened, in order. :meth:`wait_for` returns once so much has happened."""

    def __init__(self) -> None:
        self._entries: list[T] = []
        self._changed = asyncio.Event()

    def append(self, entry: T) -> None:
        """Add what happened last."""
        self._entries.append(entry)
        self._changed.set()

    async def wait_for(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[T]:
        """Return the entries once there are so many; raise :class:`TimeoutError` after a while."""
        async with asyncio.timeout(seconds):
            while len(self._entries) < count:
                self._changed.clear()
                await self._changed.wait()
        return list(self._entries)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return an entry, or some of them."""
        return self._entries[index]

    def __len__(self) -> int:
        """Return how much has happened."""
        return len(self._entries)

    def __iter__(self) -> Iterator[T]:
        """Iterate over what happened until now."""
        return iter(list(self._entries))
