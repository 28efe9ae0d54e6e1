"""Listeners that hear the same: one choice, one copy of the bytes, for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from daemon.http.ws.frames import Told, through
from daemon.http.ws.interest import Interest
from daemon.http.ws.listener import Listener


class Group:
    """Everybody with one interest. `through` is the last seq that they know to have passed."""

    def __init__(self, interest: Interest, seq: int) -> None:
        self.interest: Final = interest
        self.listeners: set[Listener] = set()
        self._through = seq

    def tell(self, batch: Sequence[Told]) -> None:
        """Offer what is wanted of a batch to everybody; nobody is waited for."""
        wanted = [told for told in batch if self.interest.takes(told.topic, told.session)]
        if not wanted:
            return
        data = b"".join(told.frame for told in wanted)
        self._offer(data, len(wanted))
        self._through = max([self._through, *(told.seq for told in wanted if told.seq)])

    def say_through(self, seq: int) -> None:
        """Let everybody know that nothing of theirs is missing up to `seq`, if that is news."""
        if seq > self._through:
            self._through = seq
            self._offer(through(seq), 1)

    def _offer(self, data: bytes, frames: int) -> None:
        for listener in self.listeners:
            listener.offer(data, frames)
