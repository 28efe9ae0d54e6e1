"""All sessions by name: made, started, asked and restored here; each lives in its own actor."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import available_timezones

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitVerifier
from daemon.api.signals import InboundMessage, LidLearned, OwnMessage, Receipt
from daemon.api.transport import Channel, NumberAnswer, Outgoing, SendResult
from daemon.bus import Bus
from daemon.errors import BadRequest, Conflict, NotFound, StartRefused
from daemon.events import SessionDeleted, SessionQrShown
from daemon.sessions import orders
from daemon.sessions.session import Session
from daemon.sessions.surroundings import Surroundings
from daemon.sessions.view import SessionView, view_of
from daemon.sessions.words import changed
from statemachines.session import ConnectionState, PhoneState, SendingState
from storage import audit
from storage import sessions as rows
from storage.db import Database
from storage.sessions import SessionRecord
from storage.tx import Tx

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")


class Sessions:
    """Every session of the installation.

    ``on_inbound`` and its sisters store what a line reports and are awaited before its next
    signal is taken; ``on_ready`` is told the name of each session that can send again.
    ``channel_options`` are the settings of a channel, which a session's own options overrule.
    ``refused`` counts, by session, the signals that could not be made anything of.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        bus: Bus,
        verifier: PermitVerifier,
        channels: Mapping[str, Channel],
        folder: Path,
        rng: Random,
        on_inbound: Callable[[str, InboundMessage], Awaitable[Any]],
        on_receipt: Callable[[str, Receipt], Awaitable[Any]],
        on_own: Callable[[str, OwnMessage], Awaitable[Any]],
        on_lid: Callable[[str, LidLearned], Awaitable[Any]],
        on_ready: Callable[[str], None] = lambda _name: None,
        channel_options: Mapping[str, Mapping[str, object]] | None = None,
        stagger_seconds: float = 0.2,
    ) -> None:
        self.on_ready = on_ready
        self.refused: Counter[str] = Counter()
        self._stagger = timedelta(seconds=stagger_seconds)
        self._sessions: dict[str, Session] = {}
        self._around = Surroundings(
            clock=clock,
            database=database,
            bus=bus,
            verifier=verifier,
            channels=channels,
            channel_options=channel_options or {},
            folder=folder,
            rng=rng,
            sinks={
                InboundMessage: on_inbound,
                Receipt: on_receipt,
                OwnMessage: on_own,
                LidLearned: on_lid,
            },
            on_ready=self._tell_ready,
            refused=self.refused,
        )

    # Reading.

    def views(self) -> list[SessionView]:
        """Return every session, in the order in which they were made."""
        return [view_of(session.record) for session in self._sessions.values()]

    def view(self, name: str) -> SessionView:
        """Return one session; raise :class:`NotFound` for an unknown name."""
        return view_of(self._get(name).record)

    def qr(self, name: str) -> SessionQrShown | None:
        """Return the code that can be scanned now, or None."""
        return self._get(name).qr()

    def can_send(self, name: str, new_chat: bool) -> bool:  # noqa: FBT001 - the only question
        """Return whether this session could put a message on the wire now; False if unknown."""
        session = self._sessions.get(name)
        return session is not None and session.can_send(new_chat=new_chat)

    @property
    def failures(self) -> Mapping[str, int]:
        """Return, by session, how many signals and timers ended in an error of our own."""
        return {name: session.failures for name, session in self._sessions.items()}

    @property
    def awake(self) -> int:
        """Return how many sessions have a task of their own now; at rest a session is a row."""
        return sum(session.awake for session in self._sessions.values())

    # What a person asks. Each returns when it is stored; twice is as good as once.

    async def create(
        self,
        name: str,
        channel: str,
        time_zone: str,
        options: Mapping[str, object] | None = None,
        *,
        who: str = "system",
    ) -> SessionView:
        """Make a session, stopped. Raises :class:`BadRequest` or :class:`Conflict`."""
        options = dict(options or {})
        self._check(name, channel, time_zone)
        record = self._new(name, channel, time_zone, options)
        await self._around.database.write(partial(_insert, record, who))
        self._sessions[name] = Session(record, self._around)
        return self.view(name)

    async def start(self, name: str, who: str) -> None:
        """Switch a session on. Raises :class:`Conflict` where a ban must be confirmed first."""
        await self._order(orders.start, name, who)

    async def stop(self, name: str, who: str) -> None:
        """Switch a session off; what is on the wire gets a moment to be acknowledged."""
        await self._order(orders.stop, name, who)

    async def restart(self, name: str, who: str) -> None:
        """Begin again, with a new line and, where no phone is linked, a new code."""
        await self._order(orders.restart, name, who)

    async def logout(self, name: str, who: str) -> None:
        """Unlink the phone and switch the session off."""
        await self._order(orders.logout, name, who)

    async def acknowledge(self, name: str, who: str) -> None:
        """Confirm a ban, a block or a failure. Raises :class:`Conflict` while a ban lasts."""
        await self._order(orders.acknowledge, name, who)

    async def delete(self, name: str, who: str) -> None:
        """Unlink and forget a session. Its messages and the name stay taken; twice is fine."""
        session = self._sessions.get(name)
        if session is None:
            return
        await self._order(orders.logout, name, who)
        at = session.now()
        await self._around.database.write(lambda tx: _delete(tx, name, who, at))
        self._sessions.pop(name, None)
        await session.close()

    # Boot and shutdown.

    async def restore(self) -> None:
        """Take over every stored session. Those that were connected dial again, one by one.

        Raises :class:`StartRefused` for a session whose channel no plugin brings.
        """
        records = await self._around.database.read(rows.every)
        for record in records:
            if record.channel not in self._around.channels:
                raise StartRefused(
                    f"The session {record.name} belongs to the channel {record.channel!r}, which"
                    " no plugin brings.",
                    hint="Install or unblock the plugin of that channel.",
                )
        self._sessions = {record.name: Session(record, self._around) for record in records}
        at = self._around.clock.now()
        for session in self._sessions.values():
            await session.ask(partial(orders.restore, session, at))
            at += self._stagger if session.record.desired == orders.ON else timedelta()

    async def close(self) -> None:
        """Hang up everywhere, bounded. Nothing is written: the next start goes on from the rows."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    # The wire.

    async def send(
        self, name: str, permit: Permit, outgoing: Outgoing, *, new_chat: bool = False
    ) -> SendResult:
        """Send through a session's line; certainly nothing where the session may not send.

        Returns whatever happens; the caller bounds how long it waits, and a call that it
        gives up may or may not have reached the wire.
        """
        return await self._get(name).send(permit, outgoing, new_chat=new_chat)

    async def check_numbers(self, name: str, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Ask whether numbers (E.164) are on WhatsApp; unknown where nobody can be asked."""
        return await self._get(name).check_numbers(phones)

    def _tell_ready(self, name: str) -> None:
        self.on_ready(name)  # looked up at each call: who wants to know may come later

    def _get(self, name: str) -> Session:
        if name not in self._sessions:
            raise NotFound(f"There is no session {name!r}.", hint="List them: leadmaster sessions")
        return self._sessions[name]

    async def _order(
        self, order: Callable[[Session, str], Awaitable[None]], name: str, who: str
    ) -> None:
        session = self._get(name)
        await session.ask(partial(order, session, who))

    def _check(self, name: str, channel: str, time_zone: str) -> None:
        if not NAME.match(name):
            raise BadRequest(
                f"{name!r} is no name for a session.",
                hint="Use up to 32 of a-z, 0-9, - and _, beginning with a letter or a digit.",
            )
        if channel not in self._around.channels:
            known = ", ".join(sorted(self._around.channels))
            raise BadRequest(f"There is no channel {channel!r}.", hint=f"There are: {known}.")
        if time_zone not in available_timezones():
            raise BadRequest(
                f"{time_zone!r} is no time zone.", hint="Write it like America/Bogota."
            )

    def _new(
        self, name: str, channel: str, time_zone: str, options: Mapping[str, object]
    ) -> SessionRecord:
        now = self._around.clock.now()
        by_hand = self._around.channels[channel].open is None
        phone = options.get("phone") if by_hand else None
        return SessionRecord(
            name=name,
            channel=channel,
            phone=str(phone) if phone else None,
            time_zone=time_zone,
            options=options,
            desired=orders.OFF,
            connection=ConnectionState.STOPPED,
            phone_state=PhoneState.UNLINKED,
            sending=SendingState.ALL,
            reason_code="created",
            since=now,
            created_at=now,
        )


def _insert(record: SessionRecord, who: str, tx: Tx) -> None:
    if rows.name_was_used(tx, record.name):
        raise Conflict(
            f"The name {record.name!r} is taken, or was once; messages point to it.",
            hint="Choose another name.",
        )
    rows.insert(tx, record)
    at = record.created_at
    audit.add(tx, at=at, who=who, action="session_created", subject=record.name)
    tx.emit(changed(record, at))


def _delete(tx: Tx, name: str, who: str, at: datetime) -> None:
    rows.mark_deleted(tx, name, at)
    audit.add(tx, at=at, who=who, action="session_deleted", subject=name)
    tx.emit(SessionDeleted(subject=name, at=at, who=who))
