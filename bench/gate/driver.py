"""The gate of the real daemon at night: looks at messages that wait, and messages accepted.

A look is one evaluation of a message. All that waits is looked at again each time that the rules
change, which is how looks are counted here: beside 1,000 waiting messages, and beside 10,000.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.daemon_process import read_cpu, run_daemon
from daemon.cli.client import ControlClient

GOAL_LOOKS_PER_SECOND = 300
GOAL_CPU_MILLISECONDS = 3.0
GOAL_GROWTH = 1.5
GOAL_ACCEPTED_PER_SECOND = 500
FEW = 1_000
"""How many wait at first; at last so many times as many:"""
GROWTH = 10
PRODUCERS = 16
_SETTINGS = """
[clock]
start = 2026-03-01T05:00:00Z
[simulated]
script = "{state}/script.json"
[rules]
dir = "{state}/rules.d"
check_seconds = 60.0
"""
"""A Sunday, at two in the morning in Buenos Aires: every window is closed."""
_RULE = """
format: leadmaster/score@1
scores:
  - id: wrote_once
    points: 10
    reason: "They wrote to us, but over 90 days ago ({number})"
    when: {{prospect.days_since_inbound|gt: 90}}
"""
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 600.0


def run() -> object:
    """Print what a look and an accepted message cost."""
    with tempfile.TemporaryDirectory() as place:
        state = Path(place) / "state"
        (state / "rules.d").mkdir(mode=0o700, parents=True)
        (state / "script.json").write_text(json.dumps({"scan_after": 0}), encoding="utf-8")
        with run_daemon(state, _SETTINGS.format(state=state)) as (process, client):
            found = _measure(client, process.pid, state)
    for line in _format_lines(found):
        print(line)
    return found


def _measure(client: ControlClient, pid: int, state: Path) -> dict[str, float]:
    phones = prepare(client)
    _accept(client, phones[:FEW])
    _wait_until(client, lambda waiting: waiting.get("queued", 0) == 0)
    few = _look_again(client, pid, state, 1)
    accepted = _accept(client, phones[FEW:])
    _wait_until(client, lambda waiting: waiting.get("queued", 0) == 0)
    many = _look_again(client, pid, state, 2)
    return {
        "accepted_per_second": accepted,
        **{f"few_{name}": value for name, value in few.items()},
        **{f"many_{name}": value for name, value in many.items()},
    }


def prepare(client: ControlClient) -> list[str]:
    """Link a phone and import ten thousand people; return their numbers."""
    client.post("sessions", name="ventas", channel="simulated")
    client.post("sessions", "ventas", "start")
    phones = [f"+54911{40_000_000 + number}" for number in range(GROWTH * FEW)]
    records = (f"Ana {phone},{phone},sí,formulario web,2026-02-20" for phone in phones)
    text = "\n".join(("nombre,celular,consentimiento,evidencia,fecha", *records))
    upload = client.upload(text.encode(), "uploads", filename="list.csv")["upload"]
    given = {"given_where": "the form", "given_how": "they typed it"}
    plan = client.post("imports", "preview", upload=upload, options=given)["plan"]
    *_, last = client.follow("imports", upload=upload, options=given, plan=plan)
    if last["type"] != "finished":
        sys.exit(f"the import failed: {last}")
    return phones


def _accept(client: ControlClient, phones: Sequence[str]) -> float:
    """Enqueue a message to each, by several producers at once; return messages a second."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(PRODUCERS) as producers:
        list(producers.map(lambda phone: client.send(phone, f"Hola, {phone}"), phones))
    return len(phones) / (time.perf_counter() - begun)


def _look_again(client: ControlClient, pid: int, state: Path, number: int) -> dict[str, float]:
    """Change a rule; return looks a second and milliseconds of CPU for each."""
    text = _RULE.format(number=number)
    (state / "rules.d" / "score.yaml").write_text(text, encoding="utf-8")
    queued = _wait_until(client, lambda waiting: waiting.get("queued", 0) > 0)["queued"]
    begun, cpu = time.perf_counter(), read_cpu(pid)
    waiting = _wait_until(client, lambda waiting: waiting.get("queued", 0) == 0)
    return {
        "waiting": sum(waiting.values()),
        "per_second": queued / (time.perf_counter() - begun),
        "cpu": (read_cpu(pid) - cpu) / queued * 1_000,
    }


def _wait_until(
    client: ControlClient, is_reached: Callable[[Mapping[str, int]], bool]
) -> dict[str, int]:
    """Return the messages by state, once the condition holds of them."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not is_reached(waiting := client.get("status")["messages"]):
        if time.monotonic() > until:
            sys.exit(f"the gate did not come to an end: {waiting}")
        time.sleep(_POLL_SECONDS)
    found: dict[str, int] = waiting
    return found


def _format_lines(found: dict[str, float]) -> Iterator[str]:
    for size in ("few", "many"):
        yield (
            f"  beside {found[f'{size}_waiting']:,.0f} waiting messages:"
            f" {found[f'{size}_per_second']:,.0f} looks a second (goal {GOAL_LOOKS_PER_SECOND}),"
            f" {found[f'{size}_cpu']:.2f} ms of CPU each (goal {GOAL_CPU_MILLISECONDS})"
        )
    yield f"  growth: {found['many_cpu'] / found['few_cpu']:.2f} (goal {GOAL_GROWTH})"
    yield (
        f"  accepted by {PRODUCERS} producers, looks going on:"
        f" {found['accepted_per_second']:,.0f} messages a second (goal {GOAL_ACCEPTED_PER_SECOND})"
    )
