"""The daemon's own sessions on the linked channel, with a virtual WhatsApp behind their workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from daemon.api.clock import SystemClock
from daemon.api.launcher import Worker
from daemon.api.permit import Permit, PermitSigner, PermitVerifier, hash_body
from daemon.api.signals import Signal
from daemon.api.transport import OpenContext, SendResult, Transport
from daemon.bus import EventBus
from daemon.events import SessionPairingCodeShown, SessionQrShown
from daemon.plugins.transport_linked import leadmaster_declare_channels, open_linked_transport
from daemon.sessions import Sessions, SessionView
from daemon.sessions.transitions import SHIPPED_SETTINGS
from daemon.settings import SessionSettings
from daemon.worker_launcher import launch_worker
from statemachines.session import ConnectionState
from storage.db import Database
from storage.events import CommittedEvent
from tests.helpers.client.process import read_pss_mb
from tests.helpers.services.database import open_database
from tests.helpers.services.notes_database import yield_to_tasks
from tests.helpers.transport import build_outgoing
from tests.virtual_whatsapp.journal import Journal
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

SignalT = TypeVar("SignalT", bound=Signal)
PATIENCE_SECONDS = 60.0
_LAUNCHED_MODULE = "daemon.linked_worker"


@dataclass
class LinkedSessions:
    """Sessions over a real database and a real clock; what they store is in ``stored``."""

    whatsapp: VirtualWhatsApp
    events: Journal[CommittedEvent]
    bus: EventBus = field(default_factory=EventBus)
    signer: PermitSigner = field(default_factory=PermitSigner)
    clock: SystemClock = field(default_factory=SystemClock)
    stored: Journal[tuple[str, Signal]] = field(default_factory=Journal)
    workers: list[Worker] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _sessions: Sessions | None = None
    _database: Database | None = None

    @property
    def sessions(self) -> Sessions:
        """Return the sessions."""
        assert self._sessions is not None
        return self._sessions

    async def start(self, name: str, **options: object) -> None:
        """Add a session and start it; return once it shows a code."""
        await self.sessions.create(name, "linked", "America/Bogota", options)
        await self.wait_for_code(name, self.sessions.start(name, "ana"))

    async def wait_for_code(self, name: str, starting: Awaitable[None]) -> None:
        """Await what starts a session; return once it shows a code."""
        subscription = self.bus.subscribe()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await starting
                async for each in subscription:
                    shown = isinstance(each.event, SessionQrShown | SessionPairingCodeShown)
                    if shown and each.event.subject == name:
                        return
        finally:
            subscription.close()

    async def start_by_code(self, name: str, phone: str) -> str:
        """Add a session that is to be linked by a code; return the code that it shows."""
        await self.sessions.create(name, "linked", "America/Bogota", {})
        return await self.ask_for_code(name, phone)

    async def ask_for_code(self, name: str, phone: str) -> str:
        """Ask for a code to be typed on the phone of this number; return it."""
        await self.wait_for_code(name, self.sessions.request_pairing_code(name, phone, "ana"))
        shown = self.sessions.pairing_code(name)
        assert shown is not None
        return shown.code

    async def scan(self, name: str, phone: Phone) -> LinkedDevice:
        """Scan the code that a session shows."""
        shown = self.sessions.qr(name)
        assert shown is not None
        return await self.whatsapp.scan(phone, shown.code)

    async def link(self, name: str, phone: Phone) -> LinkedDevice:
        """Add a session, link it, and return once it is ready."""
        await self.start(name)
        device = await self.scan(name, phone)
        await self.wait_for(name, ConnectionState.READY)
        return device

    async def wait_for(self, name: str, *states: ConnectionState) -> SessionView:
        """Return the session once it is in one of these states."""
        await self._wait_until(name, lambda view: view.state in states, f"{states}")
        return self.sessions.view(name)

    async def wait_for_reason(self, name: str, reason_code: str) -> None:
        """Return once a session has this reason."""
        await self._wait_until(name, lambda view: view.reason_code == reason_code, reason_code)

    async def _wait_until(
        self, name: str, is_reached: Callable[[SessionView], bool], what: str
    ) -> None:
        """Look at a session after each of its events, until it is as wanted."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_reached(self.sessions.view(name)):
                    await self.events.wait_for(len(self.events) + 1, PATIENCE_SECONDS)
        except TimeoutError:
            reasons = self.list_reasons(name)
            raise AssertionError(f"{name} never came to {what}, but to {reasons}") from None
        await self._wait_for_commits()

    async def _wait_for_commits(self) -> None:
        """Return once a session knows that its commit is on the disk.

        Its event is published a moment before, and until then it sends nothing.
        """
        assert self._database is not None
        await self._database.write(lambda _tx: None)
        await yield_to_tasks()

    async def wait_for_signals(self, kind: type[SignalT], number: int) -> list[SignalT]:
        """Return the stored signals of a kind, once there are so many."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (
                len(found := [each for _, each in self.stored if isinstance(each, kind)]) < number
            ):
                await self.stored.wait_for(len(self.stored) + 1, PATIENCE_SECONDS)
        return found

    async def send(self, name: str, phone: str, text: str, *, new_chat: bool = False) -> SendResult:
        """Send a text with a permit of its own."""
        number, now = next(self._numbers), self.clock.now()
        permit = Permit(
            id=f"per_{number}",
            message=f"msg_{number}",
            recipient=phone,
            body=hash_body(text),
            session=name,
            decision="dec_1",
            ruleset="0" * 64,
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
        )
        outgoing = build_outgoing(permit.message, phone, text)
        return await self.sessions.send(name, self.signer.sign(permit), outgoing, new_chat=new_chat)

    def kill_worker(self, number: int = signal.SIGKILL) -> None:
        """Kill the worker that was started last, or send it another signal."""
        pid = self.workers[-1].pid
        assert pid is not None
        os.kill(pid, number)

    async def wait_for_workers(self, number: int) -> list[int]:
        """Return the sizes of the workers as `measure_workers`, once so many run.

        A worker ends a moment after its session has left it.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(sizes := self.measure_workers()) != number:
                await asyncio.to_thread(time.sleep, 0.05)  # the end of a process publishes nothing
        return sizes

    def measure_workers(self) -> list[int]:
        """Return the proportional set size of each worker that runs, in MB."""
        measured = []
        for worker in self.workers:
            with contextlib.suppress(OSError):
                measured += [read_pss_mb(worker.pid)] if worker.pid else []
        return measured

    def list_reasons(self, name: str) -> list[str]:
        """Return the reason codes of a session's events, in order; repetitions are left out."""
        codes: list[str] = []
        for event in self.events:
            code = str(event.data.get("reason_code", ""))
            if event.subject == name and codes[-1:] != [code]:
                codes.append(code)
        return codes

    async def open_transport(self, context: OpenContext) -> Transport:
        """Open the channel's own transport; its worker is led to the WhatsApp."""
        return await open_linked_transport(replace(context, launch=self._launch))

    async def store(self, name: str, reported: Signal) -> None:
        """Keep what must not be lost."""
        self.stored.append((name, reported))

    async def _launch(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> Worker:
        assert module == _LAUNCHED_MODULE
        places = {**self.whatsapp.environment, **(environment or {})}
        worker = await launch_worker(module, arguments, environment=places, socket=socket)
        self.workers.append(worker)
        return worker


@contextlib.asynccontextmanager
async def open_linked_sessions(
    folder: Path, whatsapp: VirtualWhatsApp, settings: SessionSettings = SHIPPED_SETTINGS
) -> AsyncIterator[LinkedSessions]:
    """Open sessions over the database in ``folder``, and take over those that it holds."""
    linked = LinkedSessions(whatsapp, Journal())
    [declared] = leadmaster_declare_channels()
    async with open_database(folder, on_events=partial(_append_all, linked.events)) as database:
        linked._database = database  # noqa: SLF001 - it is opened with the events' journal
        linked._sessions = Sessions(  # noqa: SLF001 - they need its methods
            clock=linked.clock,
            database=database,
            bus=linked.bus,
            verifier=PermitVerifier(linked.signer.public_key),
            channels={declared.name: replace(declared, open=linked.open_transport)},
            folder=folder / "sessions",
            rng=Random(7),  # noqa: S311 - jitter, not secrets
            on_inbound=linked.store,
            on_receipt=linked.store,
            on_own=linked.store,
            on_alias=linked.store,
            on_rejected=linked.store,  # type: ignore[arg-type] # nothing is rejected
            settings=settings,
        )
        try:
            await linked.sessions.restore()
            yield linked
        finally:
            await linked.sessions.close()


def _append_all(journal: Journal[CommittedEvent], events: Sequence[CommittedEvent]) -> None:
    for event in events:
        journal.append(event)
