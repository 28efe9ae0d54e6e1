"""WebSocket fan-out: the stream against an aiohttp `send_json` loop and node's `ws`.

Ratios of interleaved rounds. Another process listens. `npm install --prefix build/bench ws` once
brings the third peer.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import IO, Any

HERE = Path(__file__).parent / "fanout"
NODE_MODULES = Path(os.environ.get("NODE_PATH") or HERE.parent.parent / "build/bench/node_modules")
ROUNDS = 5
FRAMES = 40_000
BURSTS = (20, 1)
"""A burst of 20 is what one commit of a busy house brings; 1 is an event that comes alone."""


class Child:
    """A process that gets orders and gives answers, one JSON object a line."""

    def __init__(self, command: Sequence[str]) -> None:
        environ = {**os.environ, "NODE_PATH": str(NODE_MODULES), "PYTHONPATH": str(HERE)}
        self.process = subprocess.Popen(  # noqa: S603 - our own files
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def ask(self, **order: object) -> None:
        """Give an order."""
        _pipe(self.process.stdin).write(json.dumps(order) + "\n")
        _pipe(self.process.stdin).flush()

    def answer(self) -> dict[str, Any]:
        """Wait for an answer."""
        line = _pipe(self.process.stdout).readline()
        if not line:
            sys.exit(f"{self.process.args!r} ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let it end, and see that it does."""
        self.process.kill()
        self.process.wait()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        sys.exit("a child process has no pipe")
    return pipe


@contextlib.contextmanager
def servers() -> Iterator[dict[str, tuple[Child, str]]]:
    """Start every peer that is present; yield each with its address."""
    commands = {
        "ours": [sys.executable, str(HERE / "ours.py")],
        "send_json": [sys.executable, str(HERE / "plain.py")],
    }
    node = shutil.which("node")
    if node and (NODE_MODULES / "ws").is_dir():
        commands["node ws"] = [node, str(HERE / "node_ws.js")]
    else:
        print("node ws: not present")
    with contextlib.ExitStack() as stack:
        started = {name: Child(command) for name, command in commands.items()}
        for child in started.values():
            stack.callback(child.close)
        yield {name: (child, child.answer()["address"]) for name, child in started.items()}


@contextlib.contextmanager
def ears(address: str, count: int, stalled: int = 0) -> Iterator[Child]:
    """Connect so many listeners, from a process of their own."""
    url, _, offer = address.partition(" ")
    child = Child([sys.executable, str(HERE / "ears.py"), url, offer, str(count), str(stalled)])
    try:
        child.answer()
        yield child
    finally:
        child.close()


def run(server: Child, listeners: Child, count: int, **how: float) -> dict[str, float]:
    """Send once to everybody; return seconds, CPU, memory and delays."""
    listeners.ask(count=count, delays=how.pop("delays", 0))
    server.ask(**{"count": count, "burst": 1, "size": 0, "pause": 0, **how})
    sent, heard = server.answer(), listeners.answer()
    return {**sent, **heard, "seconds": heard["ended"] - sent["began"]}


def throughput(peers: dict[str, tuple[Child, str]], clients: int) -> None:
    """Print frames a second, and by how much ours is ahead, round by round."""
    count = FRAMES // clients
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        for name, (server, address) in peers.items():
            with ears(address, clients) as listeners:
                for burst in BURSTS:
                    done = run(server, listeners, count, burst=burst)
                    found.setdefault((name, burst), []).append(done)
    for burst in BURSTS:
        ours = found["ours", burst]
        for name in peers:
            rounds = found[name, burst]
            rate = median(count * clients / each["seconds"] for each in rounds)
            cpu = median(each["cpu"] / (count * clients) * 1e6 for each in rounds)
            rss = max(each["rss"] for each in rounds) / 1024
            line = f"{clients:5} clients, bursts of {burst:2}: {name:9} {rate:9,.0f} frames/s"
            print(f"{line}, {cpu:5.2f} µs CPU a frame, peak RSS {rss:4.0f} MB", end="")
            print(_ahead(ours, rounds))


def _ahead(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> str:
    """Say how far ahead we are: by the clock, and by CPU, which a busy machine distorts less."""
    if ours is theirs:
        return ""
    said = []
    for what, word in (("seconds", "faster"), ("cpu", "less CPU")):
        ratios = [b[what] / a[what] for a, b in zip(ours, theirs, strict=True)]
        said.append(f"{median(ratios):.1f}× {word} ({min(ratios):.1f}..{max(ratios):.1f})")
    return f"; ours: {', '.join(said)}"


def stalled(server: Child, address: str, clients: int = 20) -> None:
    """Print what one client that reads nothing does to the delays of the others."""
    ratios: list[float] = []
    quiet: list[float] = []
    clogged: list[float] = []
    for _ in range(2 * ROUNDS):  # a p99 is a few events: more rounds, shorter ones
        for deaf, into in ((0, quiet), (1, clogged)):
            with ears(address, clients, deaf) as listeners:
                done = run(server, listeners, 300, size=16_000, pause=0.004, delays=1)
                into.append(done["p99"] / 1e6)
        ratios.append(clogged[-1] / quiet[-1])
    print(
        f"{clients:5} clients, one stalled: p99 {median(clogged):.2f} ms, without it"
        f" {median(quiet):.2f} ms: {median(ratios):.2f}× ({min(ratios):.2f}..{max(ratios):.2f})"
    )


def main() -> None:
    """Run the job."""
    with servers() as peers:
        for clients in (200, 1000):
            throughput(peers, clients)
        stalled(*peers["ours"])
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
