"""A real daemon whose workers are led to a virtual WhatsApp."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from daemon.errors import NotFound
from daemon.linked_worker.signal_spool import SPOOL_FILE
from tests.helpers.client.process import DaemonProcess, poll_until, read_pss_mb
from tests.virtual_whatsapp.binary_node import Jid
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

T = TypeVar("T")
WORKER_MODULE = b"daemon.linked_worker"
RAISED_BUDGETS = {
    "new_chats_first_week": 500,
    "new_chat_gap_minutes": 0,
    "messages_per_minute": 6000,
    "number_check_min_age_days": 0,
    "number_checks": 500,
}
_PACING = "\n".join(f"{budget} = {value}" for budget, value in RAISED_BUDGETS.items())
SETTINGS = (
    """
[daemon]
state_dir = "{folder}/state"
port = 0
restore_stagger_seconds = 0.05
[rules]
dir = "{folder}/rules.d"
[pacing]
"""
    + _PACING
    + "\n"
)
OPEN_HOURS = """\
format: leadmaster/gate@1
windows:
  business: {days: mon-sun, from: "00:00", to: "24:00", holidays: true}
"""
"""A rule file with which messages go at any hour: the clock of a real phone is the real one."""


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

    async def post(self, *path: str, **body: object) -> Any:  # noqa: ANN401 - a JSON document
        """Ask the daemon for something."""
        return await asyncio.to_thread(self.daemon.client.post, *path, **body)

    async def open_hours(self) -> None:
        """Accept the rules that let messages go at any hour: they loosen those that are shipped."""
        waiting = (await self.get("rules"))["waiting"]
        await self.post("rules", "accept", hash=waiting["hash"], reason="a test at any hour")

    async def raise_budgets(self) -> None:
        """Record the decisions that the budgets of these settings need, on a channel of phones."""
        for budget, value in RAISED_BUDGETS.items():
            await self.post("decision-entries", budget=budget, value=value, reason="a test")

    def get_phone(self, number: str) -> Phone:
        """Return the phone with this number."""
        found = self.whatsapp.directory.find_phone(Jid(number.removeprefix("+")))
        assert found is not None
        return found

    async def wait_until(self, look: Callable[[], T | None], what: str) -> T:
        """Return what ``look`` finds, once it finds anything."""
        return await asyncio.to_thread(poll_until, look, what)

    async def wait_for_state(self, session: str, *states: str) -> dict[str, Any]:
        """Return the session once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("sessions", session)
            return found if found["state"] in states else None

        return await self.wait_until(look, f"{session} in {states}")

    async def wait_for_attempts(self, session: str, number: int) -> dict[str, Any]:
        """Return the session once it has tried so often to connect."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("sessions", session)
            return found if found["attempts"] >= number else None

        return await self.wait_until(look, f"{session} after {number} attempts")

    async def link(self, session: str, phone: Phone, **options: object) -> LinkedDevice:
        """Add a session, let the phone scan its code, and wait until it is ready."""
        await self.post("sessions", name=session, channel="linked", options=options)
        await self.post("sessions", session, "start")
        code = await self.wait_for_code(session)
        assert (code["index"], code["maximum"]) == (1, 6)
        device = await self.whatsapp.scan(phone, code["code"])
        await self.wait_for_state(session, "ready")
        return device

    async def wait_for_code(self, session: str) -> dict[str, Any]:
        """Return the code that a session shows, once it shows one."""
        return await self.wait_until(lambda: self._find_code(session), "a code")

    async def send(self, phone: str, text: str, session: str = "ventas") -> str:
        """Ask for a message of a session; return its id."""
        sent = await asyncio.to_thread(
            self.daemon.client.send, phone, text, session=session, wait=True
        )
        return str(sent["id"])

    async def add_prospect(self, phone: str, *, validate: bool = True) -> str:
        """Add somebody who agreed to be written to, and whom a person validated; return the id."""
        made = await self.post(
            "prospects",
            phone=phone,
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        if validate:
            path = ("prospects", made["id"], "validate")
            await self.post(*path, validated=True, reason="I called them")
        return str(made["id"])

    async def is_suppressed(self, phone: str) -> bool:
        """Return whether nobody may write to a number."""
        get = self.daemon.client.get
        return bool(
            (await asyncio.to_thread(get, "suppressions", "check", phone=phone))["suppressed"]
        )

    async def wait_for_suppression(self, phone: str) -> None:
        """Return once nobody may write to a number."""
        get = self.daemon.client.get
        await self.wait_until(
            lambda: get("suppressions", "check", phone=phone)["suppressed"], f"{phone} suppressed"
        )

    async def wait_for_inbound(self, number: int) -> list[dict[str, Any]]:
        """Return what contacts wrote, newest first, once it is so much."""

        def look() -> list[dict[str, Any]] | None:
            items: list[dict[str, Any]] = self.daemon.client.get("inbound", limit=200)["items"]
            return items if len(items) >= number else None

        return await self.wait_until(look, f"{number} messages from contacts")

    async def wait_for_prospect(self, prospect: str, **expected: object) -> dict[str, Any]:
        """Return a prospect once its fields have these values."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.daemon.client.get("prospects", prospect)["prospect"]
            return found if expected.items() <= found.items() else None

        return await self.wait_until(look, f"{prospect} with {expected}")

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

    def measure_workers(self) -> list[int]:
        """Return the proportional set size of each worker that runs, in MB, in no order."""
        return [read_pss_mb(pid) for pid in self.list_workers()]

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
async def run_linked_daemon(
    folder: Path, more_settings: str = "", environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[LinkedDaemon]:
    """Run a daemon with nothing in it, and a WhatsApp.

    ``more_settings`` are added to its own, and ``environment`` to that of its workers.
    """
    async with VirtualWhatsApp(folder) as whatsapp:
        settings = SETTINGS.format(folder=folder) + more_settings
        (folder / "rules.d").mkdir()
        (folder / "rules.d" / "gate.yaml").write_text(OPEN_HOURS, encoding="utf-8")
        daemon = DaemonProcess(folder, settings, environ={**whatsapp.environment, **environment})
        await asyncio.to_thread(daemon.start)
        try:
            linked = LinkedDaemon(whatsapp, daemon)
            await linked.open_hours()
            await linked.raise_budgets()
            yield linked
        finally:
            await asyncio.to_thread(daemon.kill)
