"""An import of a long list through the real daemon, with opt-outs written beside it.

Beside it a naive script, which keeps no evidence, on the same list and the same machine.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.daemon_process import read_cpu, read_memory, run_daemon
from bench.imports.prospect_list import write_prospect_list
from bench.processes import build_command, start_processes
from daemon.cli.client import ControlClient

GOAL_ROWS_PER_SECOND = 5_000
GOAL_BYTES = 1_400
GOAL_EXTRA_MEMORY = 25
GOAL_OPT_OUT_P99 = 40
GOAL_OPT_OUT_MAX = 100
_OPT_OUT_GAP = 0.05
_HUNDREDTHS = 100


def run(rows: int) -> object:
    """Print what an import of ``rows`` records takes, and what a naive script takes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        path = folder / "list.csv"
        write_prospect_list(path, rows)
        ours = _measure_daemon(folder / "state", path)
        with start_processes({"naive": build_command("bench.imports.naive_peer")}) as children:
            naive = children["naive"].run_order(path=str(path), folder=place)
    for line in _format_lines(rows, ours, naive):
        print(line)
    return {"rows": rows, "ours": ours, "naive": naive}


def _measure_daemon(state: Path, path: Path) -> dict[str, float]:
    state.mkdir()
    with run_daemon(state) as (process, client):
        at_start = read_memory(process.pid, "VmRSS")
        upload = client.upload(path.read_bytes(), "uploads", filename=path.name)["upload"]
        plan = client.post("imports", "preview", upload=upload, options={})["plan"]
        opt_outs = _OptOuts(client)
        with opt_outs:
            begun, cpu = time.perf_counter(), read_cpu(process.pid)
            *_, last = client.follow("imports", upload=upload, options={}, plan=plan)
            wall, cpu = time.perf_counter() - begun, read_cpu(process.pid) - cpu
        if last["type"] != "finished":
            sys.exit(f"the import failed: {last}")
        counts = last["report"]["counts"]
        peak = read_memory(process.pid, "VmHWM")
    prospects = sum(n for outcome, n in counts.items() if outcome.startswith("accepted"))
    # Without the daemon: its write-ahead log is in the file then.
    size = (state / "leadmaster.db").stat().st_size
    return {
        "wall": wall,
        "cpu": cpu,
        "prospects": prospects,
        "bytes": size,
        "memory_at_start": at_start,
        "memory_at_peak": peak,
        **opt_outs.summarise(),
    }


class _OptOuts:
    """Suppresses one person after the other while the block runs, and notes how long each took."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._suppress_people)
        self._took: list[float] = []

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def summarise(self) -> dict[str, float]:
        """Return how many there were, and their milliseconds."""
        took = sorted(each * 1_000 for each in self._took)
        return {
            "opt_outs": len(took),
            "opt_out_p50": statistics.median(took),
            "opt_out_p99": statistics.quantiles(took, n=_HUNDREDTHS)[-1],
            "opt_out_max": took[-1],
        }

    def _suppress_people(self) -> None:
        number = 0
        while not self._ended.wait(_OPT_OUT_GAP):
            begun = time.perf_counter()
            self._client.post("suppressions", phone=f"+549115{number:07}", reason="asked to stop")
            self._took.append(time.perf_counter() - begun)
            number += 1


def _format_lines(rows: int, ours: dict[str, float], naive: dict[str, float]) -> Iterator[str]:
    yield f"import of {rows:,} records, opt-outs written beside it"
    yield (
        f"  ours: {ours['wall']:.1f} s, {rows / ours['wall']:,.0f} records a second"
        f" (goal {GOAL_ROWS_PER_SECOND:,}); a naive script that keeps no evidence:"
        f" {naive['wall']:.1f} s; ours takes {ours['wall'] / naive['wall']:.2f} of its time"
    )
    yield (
        f"  CPU of the daemon: {ours['cpu'] / rows * 1e6:.0f} µs a record;"
        f" of the naive script: {naive['cpu'] / rows * 1e6:.0f} µs"
    )
    yield (
        f"  {ours['bytes'] / ours['prospects']:,.0f} bytes a prospect in the database"
        f" (goal {GOAL_BYTES:,})"
    )
    yield (
        f"  memory: {ours['memory_at_start']:.0f} MB before it,"
        f" {ours['memory_at_peak']:.0f} MB at its peak (goal: {GOAL_EXTRA_MEMORY} MB more)"
    )
    yield (
        f"  {ours['opt_outs']:,.0f} opt-outs: p50 {ours['opt_out_p50']:.0f} ms,"
        f" p99 {ours['opt_out_p99']:.0f} ms (goal {GOAL_OPT_OUT_P99}),"
        f" max {ours['opt_out_max']:.0f} ms (goal {GOAL_OPT_OUT_MAX})"
    )
