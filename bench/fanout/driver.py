"""WebSocket fan-out: the stream against an aiohttp `send_json` loop and node's `ws`.

Ratios of interleaved rounds. Another process listens.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.processes import NODE_MODULES, BenchProcess, build_command, start_processes
from bench.rounds import format_spread

Measurement = dict[str, float]
ROUNDS = 5
FRAMES = 40_000
BURSTS = (20, 1)
"""A burst of 20 is what one commit of a busy house brings; 1 is an event that comes alone."""


@contextlib.contextmanager
def start_servers() -> Iterator[dict[str, tuple[BenchProcess, str]]]:
    """Start every peer that is present; yield each with its address."""
    commands: dict[str, Sequence[str]] = {
        "ours": build_command("bench.fanout.leadmaster_peer"),
        "send_json": build_command("bench.fanout.send_json_peer"),
    }
    node = shutil.which("node")
    if node and (NODE_MODULES / "ws").is_dir():
        commands["node ws"] = [node, str(Path(__file__).with_name("node_ws.js"))]
    else:
        print("node ws: not present")
    with start_processes(commands) as children:
        yield {name: (child, child.read_answer()["address"]) for name, child in children.items()}


@contextlib.contextmanager
def start_listeners(address: str, count: int, stalled: int = 0) -> Iterator[BenchProcess]:
    """Connect so many listeners, from a process of their own."""
    url, _, offer = address.partition(" ")
    child = BenchProcess(
        [*build_command("bench.fanout.listeners"), url, offer, str(count), str(stalled)]
    )
    try:
        child.read_answer()
        yield child
    finally:
        child.close()


def send_events(
    server: BenchProcess, listeners: BenchProcess, count: int, **how: float
) -> Measurement:
    """Send once to everybody; return seconds, CPU, memory and delays."""
    listeners.send_order(count=count, delays=how.pop("delays", 0))
    server.send_order(**{"count": count, "burst": 1, "size": 0, "pause": 0, **how})
    said, heard = server.read_answer(), listeners.read_answer()
    return {**said, **heard, "seconds": heard["ended"] - said["began"]}


def measure_throughput(peers: dict[str, tuple[BenchProcess, str]], clients: int) -> object:
    """Print frames a second, and by how much ours is ahead, round by round."""
    count = FRAMES // clients
    found: dict[tuple[str, int], list[Measurement]] = {}
    for _ in range(ROUNDS):
        for name, (server, address) in peers.items():
            with start_listeners(address, clients) as listeners:
                for burst in BURSTS:
                    done = send_events(server, listeners, count, burst=burst)
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
            print(_format_lead(ours, rounds))
    return [
        {"clients": clients, "peer": name, "burst": burst, "rounds": rounds}
        for (name, burst), rounds in found.items()
    ]


def _format_lead(ours: list[Measurement], theirs: list[Measurement]) -> str:
    """Say how far ahead we are: by the clock, and by CPU, which a busy machine distorts less."""
    if ours is theirs:
        return ""
    said = []
    for what, word in (("seconds", "faster"), ("cpu", "less CPU")):
        ratios = [b[what] / a[what] for a, b in zip(ours, theirs, strict=True)]
        said.append(f"{format_spread(ratios)} {word}")
    return f"; ours: {', '.join(said)}"


def measure_stalled(server: BenchProcess, address: str, clients: int = 20) -> object:
    """Print what one client that reads nothing does to the delays of the others."""
    ratios: list[float] = []
    quiet: list[float] = []
    clogged: list[float] = []
    for _ in range(2 * ROUNDS):  # a p99 is a few events: more rounds, shorter ones
        for deaf, into in ((0, quiet), (1, clogged)):
            with start_listeners(address, clients, deaf) as listeners:
                done = send_events(server, listeners, 300, size=16_000, pause=0.004, delays=1)
                into.append(done["p99"] / 1e6)
        ratios.append(clogged[-1] / quiet[-1])
    print(
        f"{clients:5} clients, one stalled: p99 {median(clogged):.2f} ms, without it"
        f" {median(quiet):.2f} ms: {median(ratios):.2f}× ({min(ratios):.2f}..{max(ratios):.2f})"
    )
    return {"stalled": clients, "ratios": ratios, "p99": clogged, "p99_without": quiet}


def run() -> object:
    """Print frames a second to 200 and 1,000 clients, and what a stalled one does to others."""
    with start_servers() as peers:
        found = [measure_throughput(peers, clients) for clients in (200, 1000)]
        return [*found, measure_stalled(*peers["ours"])]
