"""One session of the linked channel over a scripted worker, with permits at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from daemon.api.clock import SystemClock
from daemon.api.identity import parse_identity
from daemon.api.permit import Permit, PermitSigner, PermitVerifier
from daemon.api.signals import Signal
from daemon.api.transport import (
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
    Text,
    Transport,
    hash_content,
)
from daemon.linked_worker.protocol import LinkedAnswer, SendMessageRequest
from daemon.plugins.transport_linked.options import read_options
from daemon.plugins.transport_linked.transport import LinkedTransport
from daemon.plugins.transport_linked.worker_client import WorkerClient, start_worker
from daemon.subprocesses import LaunchedWorker, start_worker_process

PROGRAM = "tests.helpers.programs.scripted_linked_worker"
ROOT = Path(__file__).parents[4]
ANA = "+5491155550101"


class ScriptedLine:
    """Opens the transport of one session, sends orders, and reads its signals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worker: LaunchedWorker | None = None
        self.environment: dict[str, str] = {}
        self.signer = PermitSigner()
        self.signals: list[Signal] = []
        self.stores = asyncio.Event()
        """Whether signals are stored; until it is set, the first one stays with the reader."""
        self.stores.set()
        self._clock = SystemClock()
        self._numbers = count(1)
        self._transport: Transport | None = None
        self._client: WorkerClient | None = None
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        folder.mkdir()

    @property
    def transport(self) -> Transport:
        """Return the transport that is open."""
        assert self._transport is not None
        return self._transport

    async def open(self, **options: object) -> None:
        """Start a worker and connect; a login is there already."""
        (self.folder / "login").touch()
        info = SessionInfo("ventas", paired=True, phone=ANA, folder=self.folder, options=options)
        verifier = PermitVerifier(self.signer.public_key)
        context = OpenContext(info, self._clock, verifier, self._launch)
        read = read_options(options)
        self._client = await start_worker(context, read)
        self._transport = LinkedTransport(context, read, self._client)
        self._reading = asyncio.create_task(self._read())
        await self._transport.connect()

    async def send(self, text: str, **otherwise: Any) -> SendResult:  # noqa: ANN401
        """Send an order; ``otherwise`` is what its permit says instead."""
        permit, outgoing = self.issue(text, **otherwise)
        return await self.transport.send(permit, outgoing)

    def issue(self, text: str, **otherwise: Any) -> tuple[Permit, Outgoing]:  # noqa: ANN401
        """Return a message to Ana and the permit for it."""
        number, now = next(self._numbers), self._clock.now()
        outgoing = Outgoing(f"msg_{number}", parse_identity(ANA), Text(text))
        permit = Permit(
            id=f"per_{number}",
            message=outgoing.message,
            recipient=ANA,
            body=hash_content(outgoing.content),
            session="ventas",
            decision="dec_1",
            ruleset="0" * 64,
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
        )
        return self.signer.sign(replace(permit, **otherwise)), outgoing

    async def ask_worker(self, permit: Permit, text: str) -> LinkedAnswer:
        """Ask the worker itself to send, past the daemon's own check of the permit."""
        assert self._client is not None
        [answer] = await self._client.ask(SendMessageRequest(permit, permit.message, ANA, text))
        return answer

    async def wait_for(self, kind: type[Signal], number: int = 1) -> None:
        """Return once so many signals of that kind were reported."""
        async with asyncio.timeout(30):
            while sum(isinstance(each, kind) for each in self.signals) < number:
                self._news.clear()
                await self._news.wait()

    async def wait_for_end(self) -> list[Signal]:
        """Return all signals, once the stream has ended."""
        assert self._reading is not None
        async with asyncio.timeout(30):
            await self._reading
        return self.signals

    def list_sent(self) -> list[str]:
        """Return the orders that reached the driver."""
        sent = self.folder / "sent"
        lines = sent.read_text(encoding="utf-8").splitlines() if sent.exists() else []
        return [line.partition(" ")[2] for line in lines]

    async def close(self) -> None:
        """Close what is open."""
        if self._transport is not None:
            await self._transport.close()
        if self._reading is not None:
            if not self.stores.is_set():
                self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _launch(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> LaunchedWorker:
        """Start the scripted worker in place of the real one."""
        assert (module, socket) == ("daemon.linked_worker", None)
        places = {"PYTHONPATH": os.fspath(ROOT), **self.environment, **(environment or {})}
        self.worker = await start_worker_process(PROGRAM, arguments, environment=places)
        return self.worker

    async def _read(self) -> None:
        async for signal in self.transport.signals():
            self.signals.append(signal)
            self._news.set()
            await self.stores.wait()
