"""What linked phones cost: memory, time to be connected, CPU at rest, and messages in a row.

A real daemon and its workers, with the real library, in front of the virtual WhatsApp of the tests,
which runs in this process on the same cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from tests.helpers.client.process import read_pss_mb
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import Phone

GOALS: Mapping[str, float] = {
    "daemon_and_worker_mb": 170,
    "further_worker_mb": 60,
    "respawn_seconds": 1,
}
PHONES = 3
SETTLE_SECONDS = 10.0
IDLE_SECONDS = 30.0
RESPAWNS = 4
"""Five deaths in ten minutes are too many for the daemon."""
MESSAGES = 100
_FIRST_NUMBER, _FIRST_CONTACT = 5491155550001, 5491155560001
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Acknowledgements:
    """When each message was acknowledged, as a client of the event stream sees it."""

    house: LinkedDaemon
    moments: dict[str, float] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def follow(self) -> None:
        """Read the stream until the daemon ends."""
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, message: str) -> float:
        """Return the moment at which a message was acknowledged."""
        with self.changed:
            if not self.changed.wait_for(lambda: message in self.moments, 30):
                raise TimeoutError(f"{message} was not acknowledged within 30 s")
            return self.moments[message]

    def _read(self) -> None:
        for event in self.house.daemon.client.stream("events"):
            if event["type"] == "message.changed" and event["data"]["state"] == "sent":
                with self.changed:
                    self.moments[event["subject"]] = time.monotonic()
                    self.changed.notify_all()


def run() -> dict[str, object]:
    """Measure everything once; print and return it."""
    with tempfile.TemporaryDirectory(prefix="lm-bench-") as folder:
        found = asyncio.run(_measure(Path(folder)))
    for name, value in found.items():
        goal = f" (goal: at most {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name:<24} {value}{goal}")
    return found


async def measure_one_phone(folder: Path) -> int:
    """Return what a daemon and the worker of one linked phone use together, in MB."""
    async with run_linked_daemon(folder) as house:
        phone = house.whatsapp.add_phone(f"+{_FIRST_NUMBER}")
        await _link(house, "phone0", phone)
        await asyncio.sleep(SETTLE_SECONDS)
        return _measure_memory(house)


async def _measure(folder: Path) -> dict[str, object]:
    async with run_linked_daemon(folder) as house:
        phones = [house.whatsapp.add_phone(f"+{_FIRST_NUMBER + each}") for each in range(PHONES)]
        scans, sizes = [], []
        for number, phone in enumerate(phones):
            scans.append(await _link(house, f"phone{number}", phone))
            await asyncio.sleep(SETTLE_SECONDS)
            sizes.append(_measure_memory(house))
        each_worker = house.measure_workers()
        cpu = await _measure_idle_cpu(house)
        latencies = await _send_in_a_row(house, phones[0])
        respawns, respawn_cpu = zip(*[await _respawn(house) for _ in range(RESPAWNS)], strict=True)
    parts = quantiles(latencies, n=100, method="inclusive")
    return {
        "daemon_and_worker_mb": sizes[0],
        "further_worker_mb": (sizes[-1] - sizes[0]) / (PHONES - 1),
        "each_worker_mb": each_worker,
        "scan_to_ready_seconds": round(median(scans), 2),
        "respawn_seconds": round(median(respawns), 2),
        "respawn_seconds_most": round(max(respawns), 2),
        "respawn_cpu_seconds": round(median(respawn_cpu), 2),
        "idle_cpu_percent": round(cpu, 2),
        "acknowledged": len(latencies),
        "acknowledged_p50_ms": round(parts[49] * 1000, 1),
        "acknowledged_p99_ms": round(parts[98] * 1000, 1),
    }


async def _link(house: LinkedDaemon, session: str, phone: Phone) -> float:
    """Link a phone; return the seconds from the scan until the session is ready."""
    await house.post("sessions", name=session, channel="linked", options={})
    await house.post("sessions", session, "start")
    code = await house.wait_for_code(session)
    begun = time.monotonic()
    await house.whatsapp.scan(phone, code["code"])
    await house.wait_for_state(session, "ready")
    return time.monotonic() - begun


def _measure_memory(house: LinkedDaemon) -> int:
    """Return the proportional set size of the daemon and its descendants, in MB."""
    if house.daemon.process is None:
        raise ProcessLookupError("the daemon has ended")
    found, used = [house.daemon.process.pid], 0
    for pid in found:
        with contextlib.suppress(OSError):  # a child that was there for a moment
            used += read_pss_mb(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return used


async def _measure_idle_cpu(house: LinkedDaemon) -> float:
    """Return the CPU of a worker that is connected and has nothing to do, in percent of a core."""
    workers = house.list_workers()
    before = sum(map(_read_cpu_seconds, workers))
    await asyncio.sleep(IDLE_SECONDS)
    used = sum(map(_read_cpu_seconds, workers)) - before
    return 100 * used / IDLE_SECONDS / len(workers)


def _read_stat(pid: int) -> list[str]:
    """Return the fields of a process behind its name."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return text.rpartition(")")[2].split()


def _read_cpu_seconds(pid: int) -> float:
    user, system = _read_stat(pid)[11:13]
    return (int(user) + int(system)) / _TICKS


async def _send_in_a_row(house: LinkedDaemon, phone: Phone) -> list[float]:
    """Answer a hundred people one after the other; return the seconds from enqueue to answer."""
    numbers = [f"+{_FIRST_CONTACT + each}" for each in range(MESSAGES)]
    for number in numbers:
        contact = house.whatsapp.add_contact(number)
        await house.add_prospect(number)
        await house.whatsapp.write(contact, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(MESSAGES)
    acknowledgements, latencies = Acknowledgements(house), []
    acknowledgements.follow()
    for position, number in enumerate(numbers):
        begun = time.monotonic()
        message = await house.send(
            number, f"El envío número {position} sale 1.200 pesos.", "phone0"
        )
        latencies.append(await asyncio.to_thread(acknowledgements.wait_for, message) - begun)
    return latencies


async def _respawn(house: LinkedDaemon) -> tuple[float, float]:
    """Kill a worker; return the seconds from the start of the next one until it is connected.

    The second number is the CPU that it used in that time, which a busy machine changes little.
    """
    known, connected = set(house.list_workers()), len(house.whatsapp.ready)
    os.kill(min(known), 9)
    await house.whatsapp.ready.wait_for(connected + 1)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    [worker] = set(house.list_workers()) - known
    return now - int(_read_stat(worker)[19]) / _TICKS, _read_cpu_seconds(worker)
