"""A real daemon whose workers are led to a virtual WhatsApp."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from daemon.errors import NotFound
from daemon.linked_worker.signal_spool import SPOOL_FILE
from tests.helpers.client.process import DaemonProcess, poll_until
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

T = TypeVar("T")
WORKER_MODULE = b"daemon.linked_worker"
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
restore_stagger_seconds = 0.05
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 6000
"""


class LinkedDaemon:
    """A daemon and a WhatsApp: commands run beside the loop, in which the WhatsApp answers."""

    def __init__(self, whatsapp: VirtualWhatsApp, daemon: DaemonProcess) -> None:
        self.whatsapp = whatsapp
        self.daemon = daemon

    async def run(self, *words: str) -> str:
        """Run a command of `leadmaster`, and return what it prints."""
        return await asyncio.to_thread(self.daemon.run_command, *words)

    async def get(self, *path: str) -> Any:  # noqa: ANN401 - a JSON document
        """Return a document of the daemon."""
        return await asyncio.to_thread(self.daemon.client.get, *path)

    async def wait_until(self, look: Callable[[], T | None], what: str) -> T:
        """Return what ``look`` finds, once it finds anything."""
        return await asyncio.to_thread(poll_until, look, what)

    async def wait_for_state(self, session: str, *states: str) -> dict[str, Any]:
        """Return the session once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("sessions", session)
            return found if found["state"] in states else None

        return await self.wait_until(look, f"{session} in {states}")

    async def link(self, session: str, phone: Phone, **options: object) -> LinkedDevice:
        """Add a session, let the phone scan its code, and wait until it is ready."""
        words = ("--options", json.dumps(options), "--start")
        await self.run("sessions", "add", session, "--channel", "linked", *words)
        code = await self.wait_until(lambda: self._find_code(session), "a code")
        assert (code["index"], code["maximum"]) == (1, 6)
        device = await self.whatsapp.scan(phone, code["code"])
        await self.wait_for_state(session, "ready")
        return device

    async def send(self, phone: str, text: str) -> str:
        """Ask for a message from session ``ventas``; return its id."""
        sent = await asyncio.to_thread(
            self.daemon.client.send, phone, text, session="ventas", wait=True
        )
        return str(sent["id"])

    async def add_prospect(self, phone: str) -> None:
        """Add somebody who agreed to be written to, and whom a person validated."""
        made = await asyncio.to_thread(
            self.daemon.client.post,
            "prospects",
            phone=phone,
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        await asyncio.to_thread(
            self.daemon.client.post,
            *("prospects", made["id"], "validate"),
            validated=True,
            reason="I called them",
        )

    async def wait_for_message(self, message: str, *states: str) -> dict[str, Any]:
        """Return a message once it is in one of these states."""
        seen: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            seen.update(self.daemon.client.get("messages", message)["message"])
            return seen if seen["state"] in states else None

        try:
            return await self.wait_until(look, f"{message} in {states}")
        except AssertionError as error:
            why = {name: seen.get(name) for name in ("state", "reason_code", "sentence", "due_at")}
            session = await self.get("sessions", str(seen.get("session")))
            raise AssertionError(f"{error}: {why}; its session: {session}") from None

    def _find_code(self, session: str) -> dict[str, Any] | None:
        with contextlib.suppress(NotFound):
            found: dict[str, Any] = self.daemon.client.get("sessions", session, "qr")
            return found
        return None

    def list_workers(self) -> list[int]:
        """Return the process ids of the workers that run now, by their command lines."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if entry.name.isdecimal() and self._is_own_worker(command):
                    found.append(int(entry.name))
        return found

    def kill_worker(self) -> None:
        """Kill the one worker that runs."""
        [worker] = self.list_workers()
        os.kill(worker, signal.SIGKILL)

    def freeze(self) -> None:
        """Let the daemon do nothing any more, while its worker goes on."""
        assert self.daemon.process is not None
        self.daemon.process.send_signal(signal.SIGSTOP)

    def read_spool(self, session: str) -> str:
        """Return what the worker of a session received and the daemon has not stored."""
        spool = self.daemon.state_dir / "sessions" / session / SPOOL_FILE
        return spool.read_text(encoding="utf-8")

    def _is_own_worker(self, command: bytes) -> bool:
        return WORKER_MODULE in command and os.fsencode(self.daemon.folder) in command


@contextlib.asynccontextmanager
async def run_linked_daemon(folder: Path, more_settings: str = "") -> AsyncIterator[LinkedDaemon]:
    """Run a daemon with nothing in it, and a WhatsApp."""
    async with VirtualWhatsApp(folder) as whatsapp:
        settings = SETTINGS.format(folder=folder) + more_settings
        daemon = DaemonProcess(folder, settings, environ=whatsapp.environment)
        await asyncio.to_thread(daemon.start)
        try:
            yield LinkedDaemon(whatsapp, daemon)
        finally:
            await asyncio.to_thread(daemon.kill)
