"""One client's event stream: a snapshot or the events it missed, then live events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from daemon.auth import Scope
from daemon.http.websocket import event_feed, frames
from daemon.http.websocket.client import ClientQueue
from daemon.http.websocket.event_feed import GAP_SENTENCES, ReplayGap
from daemon.http.websocket.frames import encode_frame
from daemon.http.websocket.hub import EventHub
from daemon.http.websocket.subscription import (
    EventFilter,
    StreamStart,
    SubscriptionRequest,
    check_subscription,
)
from daemon.rulesets.active import ActiveRulesets
from daemon.services import Services
from daemon.sessions.status import SessionView, build_session_view
from storage import event_log, halts, messages, sessions
from storage.events import CommittedEvent
from storage.halts import HaltRecord
from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """The state after the event `seq`."""

    seq: int
    sessions: list[SessionView]
    queues: dict[str, int]
    halt: HaltRecord | None


def read_snapshot(reader: Reader) -> StreamSnapshot:
    """Return the committed state; in REST's words, not in the services' memory."""
    return StreamSnapshot(
        seq=event_log.get_high_water(reader),
        sessions=[build_session_view(record) for record in sessions.list_sessions(reader)],
        queues=messages.count_messages_by_state(reader),
        halt=halts.get_current_halt(reader),
    )


def build_snapshot_frame(
    snapshot: StreamSnapshot, epoch: int, rules: ActiveRulesets, scopes: Collection[Scope]
) -> bytes:
    """Return the snapshot's frame; what these scopes may not read is null."""
    return encode_frame(
        {
            "frame": "snapshot",
            "epoch": epoch,
            "seq": snapshot.seq,
            "sessions": snapshot.sessions if Scope.SESSIONS_READ in scopes else None,
            "queues": snapshot.queues if Scope.MESSAGES_READ in scopes else None,
            "rules": _get_ruleset_hashes(rules) if Scope.RULES_READ in scopes else None,
            "halt": snapshot.halt,
        }
    )


def _get_ruleset_hashes(rules: ActiveRulesets) -> Mapping[str, Any]:
    return {"gate": rules.gate.ruleset.hash, "score": rules.score.ruleset.hash}


class ClientStream:
    """What one client hears, with the rights that it has."""

    def __init__(
        self,
        services: Services,
        hub: EventHub,
        listener: ClientQueue,
        scopes: Collection[Scope],
    ) -> None:
        self._services = services
        self._hub = hub
        self._listener = listener
        self._scopes = scopes
        self._interest = EventFilter(frozenset(), frozenset())

    def start(self, subscription: SubscriptionRequest) -> None:
        """Greet, and begin with what is wanted; raise what :func:`check_subscription` raises."""
        start = check_subscription(subscription, self._scopes)
        database, now = self._services.database, self._services.clock.now()
        self._listener.enqueue(frames.build_hello_frame(database, self._hub.seq, now))
        self._start_from(start)

    async def resubscribe(self, subscription: SubscriptionRequest) -> None:
        """Begin anew with what is wanted now; raise what :func:`check_subscription` raises.

        Who only wants less goes on from where it is; who wants more gets a fresh snapshot.
        """
        start = check_subscription(subscription, self._scopes)
        await self._listener.wait_started()
        self._hub.leave(self._listener)
        if start.after is None and start.event_filter.is_subset_of(self._interest):
            start = replace(start, after=self._hub.seq, epoch=self._services.database.epoch)
        self._start_from(start)

    def close(self) -> None:
        """Hear nothing more."""
        self._hub.leave(self._listener)

    def _start_from(self, start: StreamStart) -> None:
        self._interest = start.event_filter
        self._listener.schedule_start(partial(self._catch_up, start))

    async def _catch_up(self, start: StreamStart) -> None:
        """Offer what the client lacks, in order and without a hole, then let it hear new events."""
        seq = await self._get_initial_seq(start)
        while seq != self._hub.seq:
            page = await self._services.database.read(
                partial(event_feed.read_replay_page, after=seq)
            )
            if page.gap is not None:
                seq = await self._resync(page.gap)
            elif seq > self._hub.seq:
                await self._hub.wait_for_seq(seq)
            else:
                seq = self._send_events(page.events, start.event_filter, seq)
                if seq != self._hub.seq:
                    await self._listener.drain()
        # No await stands between the last look at the hub's seq and this.
        self._hub.join(self._listener, start.event_filter)
        self._listener.enqueue(frames.build_subscribed_frame(start.event_filter, seq))
        self._send_qr_codes(start.event_filter)

    async def _get_initial_seq(self, start: StreamStart) -> int:
        """Return the seq of the state that the client has, or was just given."""
        if start.after is None:
            return await self._send_snapshot()
        if start.epoch != self._services.database.epoch:
            return await self._resync(ReplayGap.EPOCH_CHANGED)
        return start.after

    async def _resync(self, gap: ReplayGap) -> int:
        self._listener.enqueue(frames.build_resync_frame(gap, GAP_SENTENCES[gap]))
        return await self._send_snapshot()

    async def _send_snapshot(self) -> int:
        database = self._services.database
        taken = await database.read(read_snapshot)
        self._listener.enqueue(
            build_snapshot_frame(taken, database.epoch, self._services.rulesets, self._scopes)
        )
        await self._listener.drain()
        return taken.seq

    def _send_events(self, events: list[CommittedEvent], interest: EventFilter, seq: int) -> int:
        """Offer what the hub told before the listener joined; return how far that came."""
        past = [event for event in events if event.seq <= self._hub.seq]
        self._listener.enqueue(b"".join(self._encode_events(past, interest)))
        return past[-1].seq if past else seq

    def _encode_events(
        self, events: list[CommittedEvent], interest: EventFilter
    ) -> Iterator[bytes]:
        epoch = self._services.database.epoch
        for event in events:
            if event.type in interest.topics:  # the cheap question first
                frame = frames.build_logged_event_frame(event, epoch)
                if interest.matches(frame.topic, frame.session):
                    yield frame.frame

    def _send_qr_codes(self, interest: EventFilter) -> None:
        """Tell the pairing codes that are on show: the log does not have them."""
        sessions, now = self._services.sessions, self._services.clock.now()
        for view in sessions.views():
            shown = sessions.qr(view.name)
            if shown and interest.matches(shown.type, view.name):
                self._listener.enqueue(frames.build_event_frame(shown, None, 0, now).frame)
