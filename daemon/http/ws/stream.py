"""One client's stream: a snapshot or what it missed, then the news; and its change of mind."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial

from daemon.auth import Scope
from daemon.http.house import House
from daemon.http.ws import frames, replay, snapshot
from daemon.http.ws.hub import Hub
from daemon.http.ws.interest import Interest, Start, SubscriptionRequest, start_of
from daemon.http.ws.listener import Listener
from daemon.http.ws.replay import SENTENCES, Gap
from storage.events import CommittedEvent


class Stream:
    """What one client hears, with the rights that it has."""

    def __init__(
        self, house: House, hub: Hub, listener: Listener, scopes: Collection[Scope]
    ) -> None:
        self._house = house
        self._hub = hub
        self._listener = listener
        self._scopes = scopes
        self._interest = Interest(frozenset(), frozenset())

    def begin(self, wanted: SubscriptionRequest) -> None:
        """Greet, and begin with what is wanted; raise what :func:`start_of` raises."""
        start = start_of(wanted, self._scopes)
        database, now = self._house.database, self._house.clock.now()
        self._listener.offer(frames.hello(database, self._hub.seq, now))
        self._go_on(start)

    async def change(self, wanted: SubscriptionRequest) -> None:
        """Begin anew with what is wanted now; raise what :func:`start_of` raises.

        Who only wants less goes on from where it is; who wants more gets a fresh snapshot.
        """
        start = start_of(wanted, self._scopes)
        await self._listener.begun()
        self._hub.leave(self._listener)
        if start.after is None and start.interest.within(self._interest):
            start = replace(start, after=self._hub.seq, epoch=self._house.database.epoch)
        self._go_on(start)

    def close(self) -> None:
        """Hear nothing more."""
        self._hub.leave(self._listener)

    def _go_on(self, start: Start) -> None:
        self._interest = start.interest
        self._listener.start(partial(self._catch_up, start))

    async def _catch_up(self, start: Start) -> None:
        """Offer what the client lacks, in order and without a hole, then let it hear the news."""
        seq = await self._first(start)
        while seq != self._hub.seq:
            page = await self._house.database.read(partial(replay.page, after=seq))
            if page.gap is not None:
                seq = await self._resync(page.gap)
            elif seq > self._hub.seq:
                await self._hub.reached(seq)
            else:
                seq = self._tell(page.events, start.interest, seq)
                if seq != self._hub.seq:
                    await self._listener.drained()
        # No await stands between the last look at the hub's seq and this.
        self._hub.join(self._listener, start.interest)
        self._listener.offer(frames.subscribed(start.interest, seq))
        self._show_codes(start.interest)

    async def _first(self, start: Start) -> int:
        """Return the seq of the state that the client has, or was just given."""
        if start.after is None:
            return await self._snapshot()
        if start.epoch != self._house.database.epoch:
            return await self._resync(Gap.EPOCH_CHANGED)
        return start.after

    async def _resync(self, gap: Gap) -> int:
        self._listener.offer(frames.resync_required(gap, SENTENCES[gap]))
        return await self._snapshot()

    async def _snapshot(self) -> int:
        database = self._house.database
        taken = await database.read(snapshot.read)
        self._listener.offer(
            snapshot.frame(taken, database.epoch, self._house.rulebook, self._scopes)
        )
        await self._listener.drained()
        return taken.seq

    def _tell(self, events: list[CommittedEvent], interest: Interest, seq: int) -> int:
        """Offer what the hub told before the listener joined; return how far that came."""
        past = [event for event in events if event.seq <= self._hub.seq]
        self._listener.offer(b"".join(self._encoded(past, interest)))
        return past[-1].seq if past else seq

    def _encoded(self, events: list[CommittedEvent], interest: Interest) -> Iterator[bytes]:
        epoch = self._house.database.epoch
        for event in events:
            if event.type in interest.topics:  # the cheap question first
                told = frames.told_from_log(event, epoch)
                if interest.takes(told.topic, told.session):
                    yield told.frame

    def _show_codes(self, interest: Interest) -> None:
        """Tell the pairing codes that are on show: the log does not have them."""
        sessions, now = self._house.sessions, self._house.clock.now()
        for view in sessions.views():
            shown = sessions.qr(view.name)
            if shown and interest.takes(shown.type, view.name):
                self._listener.offer(frames.told(shown, None, 0, now).frame)
