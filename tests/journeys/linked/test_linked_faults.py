"""A phone's line that is deaf, mute or dead: its state says so, and nobody else notices.

Two phones share a daemon for all tests of this file. One is disturbed; the other sends a message
meanwhile and stays ready, and `/health` is asked throughout.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from daemon.linked_worker.permit_ledger import LOCK_FILE
from daemon.linked_worker.storage_check import DATABASE_FILE, DATABASE_HELD
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.library import FAST_KEEP_ALIVE
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DISTURBED, OTHER = "ventas", "norte"
NUMBER, OTHER_NUMBER = "+5491155550001", "+5491155550002"
CONTACT, OTHER_CONTACT = "+5491155550101", "+5491155550102"
HEARTBEAT_SECONDS = 3.0
SETTINGS = """
[sessions]
backoff_seconds = 0.2
longest_backoff_seconds = 0.5
silence_seconds = 12.0
crashes = 50
[sending]
answer_seconds = 3
"""
"""A worker reports a frame every 5 s at most, and what dies here must not end in `failed`."""


@dataclass
class TwoLines:
    """A daemon with two linked phones; ``health`` are the answers of `/health` so far."""

    house: LinkedDaemon
    phone: Phone
    ana: Contact
    bea: Contact
    health: list[tuple[int, Any]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Return the folder of the session that is disturbed."""
        return self.house.daemon.state_dir / "sessions" / DISTURBED

    async def wait_for_reason(self, *reasons: str) -> dict[str, Any]:
        """Return the disturbed session once it has one of these reasons."""
        client = self.house.daemon.client

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = client.get("sessions", DISTURBED)
            return found if found["reason_code"] in reasons else None

        return await self.house.wait_until(look, f"{reasons}")

    def find_worker(self) -> int:
        """Return the process of the disturbed session's worker."""
        mark = os.fsencode(self.folder)
        [worker] = [
            each
            for each in self.house.list_workers()
            if mark in Path(f"/proc/{each}/cmdline").read_bytes()
        ]
        return worker

    async def check_other(self) -> None:
        """Send through the other phone, and see the message read."""
        message = await self.house.send(OTHER_CONTACT, f"Hola {len(self.bea.received)}", OTHER)
        await self.house.wait_for_message(message, "read")

    @contextlib.asynccontextmanager
    async def disturbing(self) -> AsyncIterator[None]:
        """Ask `/health` for the length of the block; at its end, compare the other session."""
        before = await self.house.get("sessions", OTHER)
        with self._asking_for_health():
            yield
            await self.check_other()
        after = await self.house.get("sessions", OTHER)
        assert (after["state"], after["since"]) == ("ready", before["since"])
        assert self.health
        assert {(status, document["status"]) for status, document in self.health} == {
            (200, "alive")
        }
        await self.house.wait_for_state(DISTURBED, "ready")

    @contextlib.contextmanager
    def _asking_for_health(self) -> Iterator[None]:
        """Ask again and again, in a thread; an answer that never comes is an error in it."""
        self.health.clear()
        ended, failures = threading.Event(), list[Exception]()

        def ask() -> None:
            try:
                while not ended.wait(0.1):
                    self.health.append(self.house.daemon.get_document("/health"))
            except OSError as error:
                failures.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            yield
        finally:
            ended.set()
            asking.join()
        assert not failures


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoLines]:
    """A daemon whose two sessions are linked to phones of their own; the other one has written."""
    folder = tmp_path_factory.mktemp("house")
    async with run_linked_daemon(folder, SETTINGS, FAST_KEEP_ALIVE) as house:
        whatsapp = house.whatsapp
        ana, bea = whatsapp.add_contact(CONTACT, "Ana"), whatsapp.add_contact(OTHER_CONTACT, "Bea")
        for number in (CONTACT, OTHER_CONTACT):
            await house.add_prospect(number)
        phone, other = whatsapp.add_phone(NUMBER), whatsapp.add_phone(OTHER_NUMBER)
        await house.link(DISTURBED, phone, heartbeat_timeout=HEARTBEAT_SECONDS)
        await house.link(OTHER, other)
        await whatsapp.write(bea, other, "Hola, ¿cuánto sale el envío?")
        await house.wait_for_inbound(1)
        yield TwoLines(house, phone, ana, bea)


@pytest.mark.parametrize("kind", ["view", "server-error", "something new"])
async def test_a_receipt_that_the_library_does_not_know_ends_no_more_than_a_worker(
    lines: TwoLines, kind: str
) -> None:
    """It ends the library's events: the worker would be deaf for ever."""
    async with lines.disturbing():
        await lines.house.whatsapp.send_receipt(lines.phone, lines.ana.lid, "3EB0", kind)
        found = await lines.wait_for_reason("worker_died", "reconnecting", "login_found")
        assert found["status"] == "STARTING"
        await lines.house.wait_for_state(DISTURBED, "ready")


async def test_a_line_on_which_nothing_comes_stops_sending(lines: TwoLines) -> None:
    """Neither a frame nor an answer to the library's keep-alive, whichever is missed first."""
    async with lines.disturbing():
        silence(lines, silent=True)
        found = await lines.wait_for_reason("line_silent", "keepalive_lost")
        assert (found["state"], found["user_action"]) == ("degraded", "none")
        silence(lines, silent=False)


def silence(lines: TwoLines, *, silent: bool) -> None:
    """Let the disturbed phone's connection be answered nothing, or answer it again."""
    [device] = lines.phone.devices.values()
    for connection in lines.house.whatsapp.find_connections(device.jid):
        connection.silent = silent


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_a_worker_that_is_stopped_or_killed_is_followed_by_another(
    lines: TwoLines, number: signal.Signals
) -> None:
    """A stopped one within the time of its heartbeats, a killed one at once."""
    async with lines.disturbing():
        worker = lines.find_worker()
        os.kill(worker, number)
        found = await lines.wait_for_reason("worker_died")
        assert (found["state"], found["user_action"]) == ("backoff", "wait_until")
        await lines.house.wait_for_state(DISTURBED, "ready")
        assert lines.find_worker() != worker


async def test_what_is_sent_to_a_deaf_worker_is_neither_lost_nor_sent_twice(
    lines: TwoLines,
) -> None:
    """It left once, or is in doubt until a person says so; the next one goes by another worker."""
    house, text = lines.house, "Sale 1.200 pesos."
    known = len((await house.get("inbound"))["items"])
    await house.whatsapp.write(lines.ana, lines.phone, "Hola, ¿cuánto sale?")
    await house.wait_for_inbound(known + 1)
    async with lines.disturbing():
        os.kill(lines.find_worker(), signal.SIGSTOP)
        message = await house.send(CONTACT, text, DISTURBED)
        await lines.wait_for_reason("worker_died")
        await house.wait_for_state(DISTURBED, "ready")
    found = await house.wait_for_message(message, "sent", "delivered", "read", "in_doubt")
    if found["state"] == "in_doubt":  # nothing sends it again by itself
        found["state"] = "failed"
        house.daemon.run_command("queue", "settle", message, "failed", "--reason", "nobody has it")
    after = await house.send(CONTACT, "¿Lo envío?", DISTURBED)
    await house.wait_for_message(after, "read")
    arrived = [each.text for each in lines.ana.received].count(text)
    assert arrived <= 1 if found["state"] == "failed" else arrived == 1
    assert not [*lines.ana.repeated]


async def test_a_session_that_another_process_serves_is_tried_again(lines: TwoLines) -> None:
    """That is no crash, however often; the sentence says what is in the way."""
    async with lines.disturbing():
        lock = os.open(lines.folder / LOCK_FILE, os.O_RDWR)
        try:
            os.kill(lines.find_worker(), signal.SIGKILL)
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            found = await lines.wait_for_reason("channel_not_ready")
            assert (found["state"], found["user_action"]) == ("backoff", "wait_until")
            assert "Another worker still serves this session." in found["sentence"]
        finally:
            os.close(lock)


async def test_a_database_that_another_process_holds_is_no_connection(lines: TwoLines) -> None:
    """The library stays connected, tells WhatsApp that messages are here, and decrypts none."""
    async with lines.disturbing():
        holder = sqlite3.connect(lines.folder / DATABASE_FILE, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            found = await lines.wait_for_reason("channel_not_ready")
            assert (found["state"], found["user_action"]) == ("backoff", "wait_until")
            assert found["sentence"].startswith(f"{DATABASE_HELD} The next attempt is at ")
        finally:
            holder.close()


async def test_a_worker_that_finds_the_disk_full_ends(lines: TwoLines) -> None:
    """As with the database; `test_worker_process.py` shows what the next one says."""
    async with lines.disturbing():
        resource.prlimit(lines.find_worker(), resource.RLIMIT_FSIZE, (1000, 1000))
        await lines.wait_for_reason("worker_died", "reconnecting")
        await lines.house.wait_for_state(DISTURBED, "ready")
        await lines.house.whatsapp.write(lines.ana, lines.phone, "Ya hay lugar")
        await lines.house.wait_until(lambda: has_inbound(lines, "Ya hay lugar"), "the message")


def has_inbound(lines: TwoLines, text: str) -> bool:
    """Return whether a message was stored."""
    items = lines.house.daemon.client.get("inbound")["items"]
    return any(each["text"] == text for each in items)
