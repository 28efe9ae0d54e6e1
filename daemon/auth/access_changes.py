"""Reports that a user's rights may have changed, to connections that outlive a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator


class AccessChanges:
    """The users whose connections are open, and an event to set for each connection."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def report(self, user: str) -> None:
        """Set the events of a user's connections; each then checks its own rights."""
        for changed in self._waiting.get(user, ()):
            changed.set()

    @contextlib.contextmanager
    def watch(self, user: str, changed: asyncio.Event) -> Iterator[None]:
        """Set `changed` now, and at each change of the user's rights during the block."""
        # Now too: the rights may have changed since the connection's credentials were checked.
        changed.set()
        self._waiting[user].add(changed)
        try:
            yield
        finally:
            self._waiting[user].discard(changed)
            if not self._waiting[user]:
                del self._waiting[user]
