"""The real sessions over a real database, each with a puppet transport."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from msgspec.structs import replace

from daemon.api.permit import PermitVerifier
from daemon.api.signals import Connected, Paired, QrIssued, Scanned, Signal, Synced
from daemon.api.transport import Capabilities, Channel, OpenContext, Pairing, Transport
from daemon.bus import EventBus, EventSubscription
from daemon.events import SessionQrShown
from daemon.plugins import transport_manual, transport_simulated
from daemon.sessions import Sessions, SessionView
from daemon.sessions.signal_check import RejectedSignal
from statemachines.session import ConnectionState
from storage import sessions as rows
from storage.errors import DiskFull
from storage.events import CommittedEvent
from storage.sessions import SessionRecord
from storage.tx import Tx
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.services.database import WatchedDatabase, build_session_record, open_database_as
from tests.helpers.transport import PermitFactory, PuppetTransport

SESSION_PHONE = "+5491100000001"
SESSION_NAME = "ventas"
PUPPET_CAPABILITIES = Capabilities(
    acks=True, number_check=True, receipts=True, pairing=Pairing.QR_OR_CODE, restrictions=True
)


@dataclass
class SessionServices:
    """The sessions of a test, what they stored, and the failures that a test injects."""

    clock: FakeClock
    database: WatchedDatabase
    sessions: Sessions
    subscription: EventSubscription
    events: list[CommittedEvent]
    permits: PermitFactory
    opened: list[PuppetTransport] = field(default_factory=list)
    stored: list[tuple[str, Signal]] = field(default_factory=list)
    fail_to_open: list[Exception] = field(default_factory=list)
    fail_to_store: list[Exception] = field(default_factory=list)
    rejected: list[RejectedSignal] = field(default_factory=list)
    fail_to_quarantine: list[Exception] = field(default_factory=list)

    @property
    def puppet(self) -> PuppetTransport:
        """Return the transport that was opened last."""
        return self.opened[-1]

    @property
    def view(self) -> SessionView:
        """Return the view of session ``ventas``."""
        return self.sessions.view(SESSION_NAME)

    async def get_row(self) -> SessionRecord:
        """Return the row of session ``ventas``."""
        record = await self.database.read(lambda reader: rows.get_session(reader, SESSION_NAME))
        assert record is not None
        return record

    async def report_signals(self, *signals: Signal | Exception) -> None:
        """Let the open line report, and the session act on it."""
        self.puppet.report(*signals)
        await self.clock.settle()

    async def start_session(self, channel: str = "puppet", **options: object) -> None:
        """Create and start session ``ventas``."""
        await self.sessions.create(SESSION_NAME, channel, "America/Bogota", options)
        await self.sessions.start(SESSION_NAME, "ana")
        await self.clock.settle()

    async def pair_session(self) -> None:
        """Create session ``ventas``, pair it by a code, and bring it to ready."""
        await self.start_session()
        await self.report_signals(QrIssued("secret", 1, 6, 60), Scanned(), Paired(SESSION_PHONE))
        await self.report_signals(Connected(), Synced())

    async def open_transport(self, context: OpenContext) -> Transport:
        """Open a puppet transport, or raise the next injected error."""
        if self.fail_to_open:
            raise self.fail_to_open.pop(0)
        self.opened.append(PuppetTransport(context))
        return self.puppet

    async def store_signal(self, session: str, signal: Signal) -> None:
        """Record a signal that must not be lost, or raise the next injected error."""
        if self.fail_to_store:
            raise self.fail_to_store.pop(0)
        self.stored.append((session, signal))

    async def quarantine_signal(self, session: str, rejected: RejectedSignal) -> None:
        """Record a rejected signal, or raise the next injected error."""
        assert session == rejected.session
        if self.fail_to_quarantine:
            raise self.fail_to_quarantine.pop(0)
        self.rejected.append(rejected)

    def watch_opening(self, channel: Channel) -> Channel:
        """Let the clock wait while the channel opens: it reads its script in another thread."""
        open_channel, opening = channel.open, [0]
        if open_channel is None:
            return channel
        self.clock.busy.append(lambda: opening[0] > 0)

        async def open_watched(context: OpenContext) -> Transport:
            opening[0] += 1
            try:
                return await open_channel(context)
            finally:
                opening[0] -= 1

        return replace(channel, open=open_watched)

    def reason_codes(self) -> list[str]:
        """Return the reason codes of all session events."""
        return [str(event.data["reason_code"]) for event in self.events]

    async def list_shown_codes(self) -> list[SessionQrShown]:
        """Return the QR codes published so far."""
        self.subscription.close()
        return [
            each.event async for each in self.subscription if isinstance(each.event, SessionQrShown)
        ]


@contextlib.asynccontextmanager
async def open_session_services(
    folder: Path,
    clock: FakeClock | None = None,
    *,
    options: Mapping[str, Mapping[str, object]] | None = None,
    permits: PermitFactory | None = None,
    rng: Random | None = None,
    capabilities: Capabilities = PUPPET_CAPABILITIES,
) -> AsyncIterator[SessionServices]:
    """Open sessions over the database in ``folder``, without restoring them."""
    clock = clock or FakeClock()
    events: list[CommittedEvent] = []
    async with open_database_as(WatchedDatabase, folder, events) as database:
        database.write_error = DiskFull("The disk is full.", "Free some space.")
        clock.busy.append(lambda: database.pending > 0)
        services = _build_services(
            folder, clock, database, events, permits, options, rng, capabilities
        )
        try:
            yield services
        finally:
            await services.sessions.close()


def _build_services(
    folder: Path,
    clock: FakeClock,
    database: WatchedDatabase,
    events: list[CommittedEvent],
    permits: PermitFactory | None,
    options: Mapping[str, Mapping[str, object]] | None,
    rng: Random | None,
    capabilities: Capabilities,
) -> SessionServices:
    bus, permits = EventBus(), permits or PermitFactory(clock)
    # The sessions are set below: they need its methods as sinks.
    services = SessionServices(clock, database, None, bus.subscribe(), events, permits)  # type: ignore[arg-type]
    channels = {
        channel.name: services.watch_opening(channel)
        for plugin in (transport_simulated, transport_manual)
        for channel in plugin.leadmaster_declare_channels()
    }
    services.sessions = Sessions(
        clock=clock,
        database=database,
        bus=bus,
        verifier=PermitVerifier(permits.signer.public_key),
        channels={
            **channels,
            "puppet": Channel("puppet", "", services.open_transport, capabilities),
        },
        folder=folder / "sessions",
        rng=rng or Random(7),  # noqa: S311 - jitter, not secrets
        on_inbound=services.store_signal,
        on_receipt=services.store_signal,
        on_own=services.store_signal,
        on_alias=services.store_signal,
        on_rejected=services.quarantine_signal,
        channel_options=options,
    )
    return services


def build_stored_session(state: ConnectionState, **columns: object) -> SessionRecord:
    """Return a linked session that was in ``state`` when the daemon was killed."""
    record = build_session_record(
        SESSION_NAME,
        channel="puppet",
        phone=SESSION_PHONE,
        time_zone="America/Bogota",
        connection=state,
        reason_code="before",
        phone_seen_at=MIDDAY,
    )
    return replace(record, **columns)


async def leave_stored_sessions(folder: Path, *records: SessionRecord) -> None:
    """Create a database with these sessions, as a killed daemon leaves it."""
    async with open_session_services(folder) as services:
        for record in records:
            await services.database.write(partial(_insert_session_row, record))


def _insert_session_row(record: SessionRecord, tx: Tx) -> None:
    rows.insert_session(tx, record)
