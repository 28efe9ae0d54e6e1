"""What a driver promises the worker: the same of the real library's, and of a scripted one.

Each driver is in a real process of its own, behind the worker's protocol. Another driver joins by
a bench of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from daemon.api.clock import SystemClock
from daemon.api.launcher import Worker
from daemon.api.permit import Permit, PermitSigner, PermitVerifier, hash_body
from daemon.api.signals import (
    Connected,
    Disconnected,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    QrIssued,
    Scanned,
    Signal,
    Synced,
)
from daemon.api.transport import OpenContext, SessionInfo
from daemon.linked_worker.protocol import (
    CheckNumbersRequest,
    ConnectRequest,
    Done,
    LinkedAnswer,
    ListContactsRequest,
    LogoutRequest,
    NotSentAnswer,
    NumbersAnswer,
    SendMessageRequest,
    SentAnswer,
)
from daemon.plugins.transport_linked.options import LinkedOptions
from daemon.plugins.transport_linked.worker_client import WorkerClient, start_worker
from daemon.worker_launcher import launch_worker
from tests.virtual_whatsapp.library import LATE_PASSKEY_LOG
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
NUMBER, ANA, REFUSED = "+5491155550001", "+5491155550101", "+5491155550102"
SECONDS = 60.0
SignalT = TypeVar("SignalT", bound=Signal)


@dataclass
class DriverBench:
    """One driver: how its process is started, and how its platform is led.

    ``scan`` takes a code; ``cut`` breaks the connection. A message with the text ``accepted`` is
    taken, and one with ``refused`` is refused with 463, to the numbers that go with them.
    """

    name: str
    version: str
    library_version: str
    module: str
    folder: Path
    environment: Mapping[str, str]
    scan: Callable[[str], object]
    cut: Callable[[], object]
    accepted: tuple[str, str] = (ANA, "ack")
    refused: tuple[str, str] = (REFUSED, "refuse")
    signer: PermitSigner = field(default_factory=PermitSigner)
    numbers: count[int] = field(default_factory=lambda: count(1))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[WorkerClient]:
        """Start a worker of this driver, and close it."""
        verifier = PermitVerifier(self.signer.public_key)
        info = SessionInfo("ventas", paired=False, phone=None, folder=self.folder, options={})
        context = OpenContext(info, SystemClock(), verifier, self.launch)
        client = await start_worker(context, LinkedOptions())
        try:
            yield client
        finally:
            await client.close()

    async def launch(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> Worker:
        """Start the driver's own process."""
        assert (module, socket) == ("daemon.linked_worker", None)
        places = {"PYTHONPATH": os.fspath(ROOT), **self.environment, **(environment or {})}
        return await launch_worker(self.module, arguments, environment=places)

    def build_send(self, phone: str, text: str) -> SendMessageRequest:
        """Return a request to send, with a permit of its own."""
        number, now = next(self.numbers), SystemClock().now()
        permit = Permit(
            id=f"per_{number}",
            message=f"msg_{number}",
            recipient=phone,
            body=hash_body(text),
            session="ventas",
            decision="dec_1",
            ruleset="0" * 64,
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
        )
        return SendMessageRequest(self.signer.sign(permit), permit.message, phone, text)

    async def link(self, client: WorkerClient) -> None:
        """Connect, let the code be scanned, and return once the device is ready."""
        await ask(client, ConnectRequest())
        shown = await wait_for(client, QrIssued)
        scanning = self.scan(shown.code)
        if asyncio.iscoroutine(scanning):
            await scanning
        await wait_for(client, Synced)


async def ask(client: WorkerClient, request: object) -> LinkedAnswer:
    """Return the one answer to a request."""
    async with asyncio.timeout(SECONDS):
        [answer] = await client.ask(request)  # type: ignore[arg-type] # any of the requests
    return answer


async def list_until(client: WorkerClient, kind: type[Signal]) -> list[type[Signal]]:
    """Return the kinds of the signals up to the first of a kind, or to the end."""
    kinds: list[type[Signal]] = []
    async with asyncio.timeout(SECONDS):
        while kinds[-1:] != [kind] and (signal := await client.next_signal()) is not None:
            kinds.append(type(signal))
    return kinds


async def wait_for(client: WorkerClient, kind: type[SignalT]) -> SignalT:
    """Return the next signal of a kind."""
    async with asyncio.timeout(SECONDS):
        while (signal := await client.next_signal()) is not None:
            if isinstance(signal, kind):
                return signal
    raise AssertionError(f"no {kind.__name__}: the worker {client.failure}")


@contextlib.asynccontextmanager
async def open_scripted_bench(folder: Path) -> AsyncIterator[DriverBench]:
    """Return the bench of the scripted driver, which is led by files."""
    session = folder / "ventas"
    yield DriverBench(
        *("scripted", "7", "0.0", "tests.helpers.programs.scripted_linked_worker"),
        *(session, {}),
        scan=lambda _: (session / "scanned").touch(),
        cut=(session / "cut").touch,
    )


@contextlib.asynccontextmanager
async def open_library_bench(folder: Path) -> AsyncIterator[DriverBench]:
    """Return the bench of the real library's driver, at a virtual WhatsApp."""
    async with VirtualWhatsApp(folder) as whatsapp:
        phone = whatsapp.add_phone(NUMBER)
        for each in (ANA, REFUSED):
            whatsapp.add_contact(each)
        whatsapp.faults.refused[REFUSED] = 463
        yield build_library_bench(
            folder, whatsapp, whatsapp.environment, lambda code: whatsapp.scan(phone, code)
        )


def build_library_bench(
    folder: Path,
    whatsapp: VirtualWhatsApp,
    environment: Mapping[str, str],
    scan: Callable[[str], object],
) -> DriverBench:
    """Return the bench of the real library's driver; ``scan`` is what the phone does."""
    return DriverBench(
        *("neonize", "1", "0.5.2", "daemon.linked_worker"),
        *(folder / "ventas", environment),
        scan=scan,
        cut=whatsapp.cut,
    )


BENCHES: Mapping[str, Callable[[Path], AbstractAsyncContextManager[DriverBench]]] = {
    "scripted": open_scripted_bench,
    "neonize": open_library_bench,
}


@pytest.fixture(params=sorted(BENCHES))
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DriverBench]:
    """Return the bench of each driver."""
    async with BENCHES[request.param](tmp_path) as opened:
        yield opened


async def test_a_hello_names_driver_and_library_with_their_versions(bench: DriverBench) -> None:
    """And says that there is no login yet."""
    async with bench.open() as client:
        hello = await client.wait_for_hello()
    assert (hello.driver, hello.driver_version, hello.library_version, hello.login) == (
        bench.name, bench.version, bench.library_version, False
    )  # fmt: skip


async def test_a_scan_leads_to_a_login_that_lasts(bench: DriverBench) -> None:
    """The next process connects without a code."""
    async with bench.open() as client:
        assert await ask(client, ConnectRequest()) == Done()
        shown = await wait_for(client, QrIssued)
        assert (shown.index, shown.maximum, shown.valid_seconds) == (1, 6, 60.0)
        scanning = bench.scan(shown.code)
        if asyncio.iscoroutine(scanning):
            await scanning
        kinds = await list_until(client, Synced)
        ordered = [each for each in kinds if each in {Scanned, Paired, Connected, Synced}]
        assert ordered == [Scanned, Paired, Connected, Synced]
    async with bench.open() as client:
        assert (await client.wait_for_hello()).login
        await ask(client, ConnectRequest())
        kinds = await list_until(client, Synced)
        assert QrIssued not in kinds
        assert Connected in kinds


async def test_a_code_for_a_number_is_typed_on_its_phone(bench: DriverBench) -> None:
    """Where a number is given, there is no picture."""
    async with bench.open() as client:
        await ask(client, ConnectRequest(pairing_phone=NUMBER))
        assert len((await wait_for(client, PairingCodeIssued)).code.replace("-", "")) == 8


async def test_a_send_is_acknowledged_or_refused(bench: DriverBench) -> None:
    """By the server, with an id or a code; a refusal is certain."""
    async with bench.open() as client:
        await bench.link(client)
        sent = await ask(client, bench.build_send(*bench.accepted))
        assert isinstance(sent, SentAnswer)
        assert sent.wire_id
        assert sent.at.tzinfo is not None
        refused = await ask(client, bench.build_send(*bench.refused))
        assert isinstance(refused, NotSentAnswer)
        assert (refused.code, refused.retryable) == (463, False)


async def test_numbers_and_contacts_are_asked_for(bench: DriverBench) -> None:
    """Yes, no or unknown for each number; the list may be empty."""
    async with bench.open() as client:
        await bench.link(client)
        checked = await ask(client, CheckNumbersRequest((ANA,)))
        assert isinstance(checked, NumbersAnswer)
        assert [(each.phone, each.answer) for each in checked.numbers] == [(ANA, "yes")]
        async with asyncio.timeout(SECONDS):
            await client.ask(ListContactsRequest())


async def test_after_a_logout_no_login_is_left(bench: DriverBench) -> None:
    """The next process shows a code again."""
    async with bench.open() as client:
        await bench.link(client)
        assert await ask(client, LogoutRequest()) == Done()
    async with bench.open() as client:
        assert not (await client.wait_for_hello()).login


async def test_a_lost_connection_is_reported_and_ends_the_process(bench: DriverBench) -> None:
    """A driver never connects again by itself."""
    async with bench.open() as client:
        await bench.link(client)
        bench.cut()
        kinds = await list_until(client, Disconnected)
        assert kinds[-1] is Disconnected
        assert Connected not in kinds
        async with asyncio.timeout(SECONDS):
            while await client.next_signal() is not None:
                pass
        assert client.failure == "ended"


async def test_a_request_for_a_passkey_is_reported_however_late_its_log_is(tmp_path: Path) -> None:
    """The library has it in its log alone, which it writes beside the event of the failure."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        environment = {**whatsapp.environment, **LATE_PASSKEY_LOG}
        bench = build_library_bench(tmp_path, whatsapp, environment, whatsapp.request_passkey)
        async with bench.open() as client:
            await ask(client, ConnectRequest())
            await whatsapp.request_passkey((await wait_for(client, QrIssued)).code)
            failed = await wait_for(client, PairingFailed)
    assert failed == PairingFailed(passkey_requested=True)
