"""The whole daemon: time to start, memory, CPU at rest, a linked worker beside it, and a soak.

`python -m bench.whole --soak-minutes 120` (`make soak-daemon`) runs the soak alone, and fails where
memory goes on growing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from bench import linked
from bench.daemon_process import read_cpu, read_memory, read_wakes, run_daemon
from daemon.cli.client import ControlClient

GOALS: Final[Mapping[str, float]] = {
    "start_seconds": 0.8,
    "start_rss_mb": 77,
    "idle_cpu_percent": 0.15,
    "daemon_and_worker_mb": 170,
    "soak_growth_mb": 4,
}
STARTS: Final = 5
SETTLE_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 60.0
SHORT_SOAK_MINUTES: Final = 2.0
_BARE_LOOP: Final = """
import asyncio, sys

async def wake():
    while True:
        await asyncio.sleep(float(sys.argv[1]))

asyncio.run(wake())
"""
_CONTACTS: Final = 200
_FIRST_CONTACT: Final = 5491155560000
_PAUSE_SECONDS: Final = 0.05
_READ_EACH: Final = 20
_SETTINGS: Final = """
[pacing]
new_chats_first_week = 100000
new_chat_gap_minutes = 0
messages_per_minute = 6000
"""


def run() -> dict[str, object]:
    """Measure everything once; print each figure with its goal, and return them."""
    found: dict[str, object] = {**measure_start(), **measure_linked()}
    found["soak_growth_mb"] = soak(SHORT_SOAK_MINUTES)
    found["soak_minutes"] = SHORT_SOAK_MINUTES
    for name, value in found.items():
        goal = f" (goal: at most {GOALS[name]:g})" if name in GOALS else ""
        print(f"{name:<24} {value}{goal}")
    return found


def measure_start() -> dict[str, object]:
    """Start a daemon several times; measure the last one at rest, with nothing to do."""
    with tempfile.TemporaryDirectory(prefix="lm-bench-") as folder:
        seconds = []
        with run_daemon(Path(folder)):
            pass  # the first start makes the database, and compiles the bytecode
        for _ in range(STARTS):
            begun = time.monotonic()
            with run_daemon(Path(folder)):
                seconds.append(time.monotonic() - begun)
        with run_daemon(Path(folder)) as (process, _client):
            time.sleep(SETTLE_SECONDS)
            memory = read_memory(process.pid, "VmRSS")
            idle, wakes, loop_wakes = _measure_rest(process.pid)
    return {
        "start_seconds": round(median(seconds), 2),
        "start_rss_mb": round(memory, 1),
        "idle_cpu_percent": round(idle, 2),
        "idle_wakes_per_second": round(wakes, 1),
        "idle_loop_wakes_per_second": round(loop_wakes, 1),
        "bare_loop_cpu_percent": round(measure_bare_loop(loop_wakes), 2),
    }


def _measure_rest(pid: int) -> tuple[float, float, float]:
    """Return a process's CPU in percent, and how often it and its loop wake in a second."""
    used, woken = read_cpu(pid), read_wakes(pid)
    time.sleep(IDLE_SECONDS)
    used, by_now = read_cpu(pid) - used, read_wakes(pid)
    of_all, of_loop = (late - early for late, early in zip(by_now, woken, strict=True))
    return 100 * used / IDLE_SECONDS, of_all / IDLE_SECONDS, of_loop / IDLE_SECONDS


def measure_bare_loop(wakes: float) -> float:
    """Return the CPU, in percent, of an event loop that wakes as often as ours and does nothing.

    On some virtual machines a wake alone costs milliseconds: it is the floor of what a daemon at
    rest can reach there.
    """
    command = [sys.executable, "-c", _BARE_LOOP, str(1 / max(wakes, 0.1))]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own lines
        time.sleep(SETTLE_SECONDS)
        found, *_ = _measure_rest(process.pid)
        process.kill()
    return found


def measure_linked() -> dict[str, object]:
    """Measure the daemon with one linked phone: both processes by their share of the memory."""
    with tempfile.TemporaryDirectory(prefix="lm-bench-") as folder:
        used = asyncio.run(linked.measure_one_phone(Path(folder)))
    return {"daemon_and_worker_mb": used}


def soak(minutes: float) -> float:
    """Let a daemon work for so long; return by how many MB it grew towards the end.

    Compared are the medians of the second and of the last quarter: by then all that is loaded at
    its first use is loaded, and the caches are full.
    """
    with tempfile.TemporaryDirectory(prefix="lm-bench-") as folder:
        path = Path(folder)
        with run_daemon(path, _SETTINGS) as (process, client):
            samples = list(_work(process, client, minutes * 60))
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[3 * quarter :]
    print(f"soak: {minutes:g} minutes, {samples[0]:.1f} … {samples[-1]:.1f} MB")
    return round(median(late) - median(early), 1)


def _work(
    process: subprocess.Popen[bytes], client: ControlClient, seconds: float
) -> Iterator[float]:
    """Work for so long; yield the memory of the daemon from time to time."""
    client.post("sessions", name="ventas", channel="simulated")
    client.post("sessions", "ventas", "start")
    numbers = [f"+{_FIRST_CONTACT + each}" for each in range(_CONTACTS)]
    for number in numbers:
        client.post("prospects", phone=number, cartera_origen="feria", permission="relationship")
    until = time.monotonic() + seconds
    for turn in count():
        if time.monotonic() >= until:
            return
        client.send(numbers[turn % _CONTACTS], f"Su pedido {turn} está listo.")
        if turn % _READ_EACH == 0:
            for words in (("status",), ("messages",), ("prospects",), ("sessions",), ("stats",)):
                client.get(*words)
            yield read_memory(process.pid, "VmRSS")
        time.sleep(_PAUSE_SECONDS)


def main() -> int:
    """Run the soak alone; return 1 where the memory grows by more than an allocator keeps."""
    parser = argparse.ArgumentParser(prog="python -m bench.whole", description=__doc__)
    parser.add_argument("--soak-minutes", type=float, default=120.0)
    grown, most = soak(parser.parse_args().soak_minutes), GOALS["soak_growth_mb"]
    print(f"grown by {grown} MB (goal: at most {most:g}); load average {os.getloadavg()[0]:.2f}")
    return int(grown > most)


if __name__ == "__main__":
    sys.exit(main())
