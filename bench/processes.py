"""A process under measure: orders go in and answers come out, one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import sub
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import quantiles
from typing import IO, Any

ROOT = Path(__file__).parent.parent
PEERS = ROOT / "build" / "bench"
"""Where `make bench-peers` puts what is measured against, and where results are written."""
NODE_MODULES = Path(os.environ.get("NODE_PATH") or PEERS / "node_modules")


class BenchProcess:
    """A process that gets orders and gives answers."""

    def __init__(self, command: Sequence[str]) -> None:
        path = os.pathsep.join((str(ROOT), str(PEERS / "python")))
        environ = {**os.environ, "NODE_PATH": str(NODE_MODULES), "PYTHONPATH": path}
        self.process = subprocess.Popen(  # noqa: S603 - our own files
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def send_order(self, **order: object) -> None:
        """Give an order."""
        _require_pipe(self.process.stdin).write(json.dumps(order) + "\n")
        _require_pipe(self.process.stdin).flush()

    def read_answer(self) -> dict[str, Any]:
        """Wait for an answer."""
        line = _require_pipe(self.process.stdout).readline()
        if not line:
            sys.exit(f"{self.process.args!r} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run_order(self, **order: object) -> dict[str, Any]:
        """Give an order, and wait for what came of it."""
        self.send_order(**order)
        return self.read_answer()

    def close(self) -> None:
        """Let it end, and see that it does."""
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def start_processes(commands: Mapping[str, Sequence[str]]) -> Iterator[dict[str, BenchProcess]]:
    """Start a child for each command."""
    with contextlib.ExitStack() as stack:
        children = {name: BenchProcess(command) for name, command in commands.items()}
        for child in children.values():
            stack.callback(child.close)
        yield children


def build_command(module: str) -> list[str]:
    """Return the command of a module of ours."""
    return [sys.executable, "-m", module]


def serve_orders(carry_out: Callable[..., dict[str, object]]) -> None:
    """In the child: carry out one order after the other, until nobody gives any."""
    for line in sys.stdin:
        print(json.dumps(carry_out(**json.loads(line))), flush=True)


def measure(work: Callable[[int], object], count: int) -> dict[str, object]:
    """In the child: do it so often; microseconds, and the most megabytes that were ever held."""
    times, cpus = [time.perf_counter()], [time.process_time()]
    for number in range(count):
        work(number)
        times.append(time.perf_counter())
        cpus.append(time.process_time())
    each, cpu = _percentiles(times), _percentiles(cpus)
    return {
        "wall": (times[-1] - times[0]) / count * 1e6,
        "p50": each[49],
        "p99": each[98],
        "cpu": (cpus[-1] - cpus[0]) / count * 1e6,
        "p99_cpu": cpu[98],
        "rss": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def _percentiles(clock: Sequence[float]) -> list[float]:
    """Return the hundredths of the steps of a clock, in microseconds."""
    return [each * 1e6 for each in quantiles(map(sub, clock[1:], clock), n=100)]


def _require_pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        sys.exit("a child process has no pipe")
    return pipe
