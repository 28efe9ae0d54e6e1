"""Who looks at which chat now, in memory: for the names that others see, and for nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from daemon.api.clock import Clock

VIEW_LEASE: Final = timedelta(seconds=45)
"""How long somebody counts as looking after their page has said so; it says so again sooner."""
_MAX_VIEWS: Final = 500


class ChatPresence:
    """Remembers for some seconds who looks at a chat. A restart forgets it, and pages say it anew.

    Of more views than it has room for the oldest is forgotten.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], datetime] = {}

    def note(self, contact: str, who: str, *, viewing: bool) -> bool:
        """Note that somebody looks at a chat, or no longer; return whether that is new."""
        now = self._clock.now()
        view = (contact, who)
        known = self._until.pop(view, None)
        before = known is not None and known > now
        if viewing:
            self._until[view] = now + VIEW_LEASE
        self._forget_old(now)
        return before is not viewing

    def list_viewers(self, contact: str, who: str) -> list[str]:
        """Return who looks at a chat now, besides ``who``."""
        now = self._clock.now()
        # A copy: readers of the database ask from threads of their own.
        views = tuple(self._until.items())
        return sorted(
            name for (chat, name), until in views if chat == contact and name != who and until > now
        )

    def _forget_old(self, now: datetime) -> None:
        for view in [view for view, until in self._until.items() if until <= now]:
            del self._until[view]
        while len(self._until) > _MAX_VIEWS:
            del self._until[next(iter(self._until))]
