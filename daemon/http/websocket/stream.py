"""One client's event stream: a snapshot or the events it missed, then live events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

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
from daemon.outbox.halt import Halt
from daemon.rulesets.active import ActiveRulesets
from daemon.services import Services
from daemon.sessions.status import SessionView, build_session_view
from storage import event_log, messages, sessions
from storage.events import CommittedEvent
from storage.halts import HaltRecord
from storage.tx import Reader


class StreamSnapshot(Struct, frozen=True):
    """The state after the event `seq`."""

    seq: int
    sessions: list[SessionView]
    queues: dict[str, int]
    halt: HaltRecord | None


def read_snapshot(reader: Reader, halt: Halt) -> StreamSnapshot:
    """Return the committed state, in the form in which `/v1` has it."""
    # All in one transaction, and not from the services' memory: the state belongs to this seq.
    return StreamSnapshot(
        seq=event_log.get_high_water(reader),
        sessions=[build_session_view(record) for record in sessions.list_sessions(reader)],
        queues=messages.count_messages_by_state(reader),
        halt=halt.read_current(reader),
    )


def build_snapshot_frame(
    snapshot: StreamSnapshot, epoch: int, rules: ActiveRulesets, scopes: Collection[Scope]
) -> bytes:
    """Return the snapshot's frame; parts that these scopes may not read are null."""
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
    """The event stream of one client, within its scopes."""

    def __init__(
        self,
        services: Services,
        hub: EventHub,
        queue: ClientQueue,
        scopes: Collection[Scope],
    ) -> None:
        self._services = services
        self._hub = hub
        self._queue = queue
        self._scopes = scopes
        self._filter = EventFilter(frozenset(), frozenset())

    def start(self, subscription: SubscriptionRequest) -> None:
        """Send `hello` and begin the subscription; raise what :func:`check_subscription` raises."""
        start = check_subscription(subscription, self._scopes)
        database, now = self._services.database, self._services.clock.now()
        self._queue.enqueue(frames.build_hello_frame(database, self._hub.seq, now))
        self._start_from(start)

    async def resubscribe(self, subscription: SubscriptionRequest) -> None:
        """Replace the subscription; raise what :func:`check_subscription` raises.

        A narrower filter goes on from the present position; a wider one begins with a new snapshot.
        """
        start = check_subscription(subscription, self._scopes)
        await self._queue.wait_started()
        self._hub.leave(self._queue)
        if start.after is None and start.event_filter.is_subset_of(self._filter):
            start = replace(start, after=self._hub.seq, epoch=self._services.database.epoch)
        self._start_from(start)

    def close(self) -> None:
        """Leave the hub."""
        self._hub.leave(self._queue)

    def _start_from(self, start: StreamStart) -> None:
        self._filter = start.event_filter
        self._queue.schedule_start(partial(self._catch_up, start))

    async def _catch_up(self, start: StreamStart) -> None:
        """Send what the client lacks, in order and without a gap, then join the hub."""
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
                    await self._queue.drain()
        # No await between the last comparison with the hub's seq and this: nothing can be missed.
        self._hub.join(self._queue, start.event_filter)
        self._queue.enqueue(frames.build_subscribed_frame(start.event_filter, seq))
        self._send_qr_codes(start.event_filter)

    async def _get_initial_seq(self, start: StreamStart) -> int:
        """Return the seq of the state that the client has, or was just sent."""
        if start.after is None:
            return await self._send_snapshot()
        if start.epoch != self._services.database.epoch:
            return await self._resync(ReplayGap.EPOCH_CHANGED)
        return start.after

    async def _resync(self, gap: ReplayGap) -> int:
        self._queue.enqueue(frames.build_resync_frame(gap, GAP_SENTENCES[gap]))
        return await self._send_snapshot()

    async def _send_snapshot(self) -> int:
        database = self._services.database
        taken = await database.read(partial(read_snapshot, halt=self._services.halt))
        self._queue.enqueue(
            build_snapshot_frame(taken, database.epoch, self._services.rulesets, self._scopes)
        )
        await self._queue.drain()
        return taken.seq

    def _send_events(
        self, events: list[CommittedEvent], event_filter: EventFilter, seq: int
    ) -> int:
        """Send stored events up to the hub's seq; return the seq of the last one."""
        # The hub sends the later ones itself, once the client has joined.
        past = [event for event in events if event.seq <= self._hub.seq]
        self._queue.enqueue(b"".join(self._encode_events(past, event_filter)))
        return past[-1].seq if past else seq

    def _encode_events(
        self, events: list[CommittedEvent], event_filter: EventFilter
    ) -> Iterator[bytes]:
        epoch = self._services.database.epoch
        for event in events:
            if event.type in event_filter.topics:  # the cheap check first
                frame = frames.build_logged_event_frame(event, epoch)
                if event_filter.matches(frame.topic, frame.session):
                    yield frame.frame

    def _send_qr_codes(self, event_filter: EventFilter) -> None:
        """Send the pairing codes that can be scanned now; they are not in the event log."""
        sessions, now = self._services.sessions, self._services.clock.now()
        for view in sessions.views():
            shown = sessions.qr(view.name)
            if shown and event_filter.matches(shown.type, view.name):
                self._queue.enqueue(frames.build_event_frame(shown, None, 0, now).frame)
