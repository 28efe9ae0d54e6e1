"""Listeners that hear the same: one choice, one copy of the bytes, for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from daemon.http.ws.frames import EventFrame, build_through_frame
from daemon.http.ws.interest import EventFilter
from daemon.http.ws.listener import ClientQueue


class FilterGroup:
    """Everybody with one interest. `through` is the last seq that they know to have passed."""

    def __init__(self, interest: EventFilter, seq: int) -> None:
        self.event_filter: Final = interest
        self.clients: set[ClientQueue] = set()
        self._through = seq

    def send_events(self, batch: Sequence[EventFrame]) -> None:
        """Offer what is wanted of a batch to everybody; nobody is waited for."""
        wanted = [told for told in batch if self.event_filter.matches(told.topic, told.session)]
        if not wanted:
            return
        data = b"".join(told.frame for told in wanted)
        self._enqueue(data, len(wanted))
        self._through = max([self._through, *(told.seq for told in wanted if told.seq)])

    def send_through(self, seq: int) -> None:
        """Let everybody know that nothing of theirs is missing up to `seq`, if that is news."""
        if seq > self._through:
            self._through = seq
            self._enqueue(build_through_frame(seq), 1)

    def _enqueue(self, data: bytes, frames: int) -> None:
        for listener in self.clients:
            listener.enqueue(data, frames)
