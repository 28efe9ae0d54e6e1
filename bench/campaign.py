"""The dry run of a campaign on the real daemon: 1,000 people, and 10,000.

A dry run judges each person by the code of the send, with both engines, and stores the result.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.daemon_process import read_cpu, run_daemon
from bench.gate.driver import prepare
from daemon.cli.client import ControlClient

GOAL_SECONDS = 5.0
"""Of the dry run of everybody."""
GOAL_GROWTH = 1.5
_ROUNDS = 2
_SETTINGS = """
[clock]
start = 2026-03-03T15:00:00Z
[simulated]
script = "{state}/script.json"
"""
"""A Tuesday at noon in Buenos Aires."""
_FOOTER = "Soy {quien}; tu número lo tomamos de {origen_en_palabras}. Respondé BAJA y listo."


def run() -> dict[str, Any]:
    """Print and return what a dry run takes, and what it costs for each person."""
    with tempfile.TemporaryDirectory() as place:
        state = Path(place) / "state"
        state.mkdir(mode=0o700, parents=True)
        (state / "script.json").write_text(json.dumps({"scan_after": 0}), encoding="utf-8")
        with run_daemon(state, _SETTINGS.format(state=state)) as (process, client):
            prepare(client)
            text = _add_text(client)
            found = {
                "few": _measure(client, process.pid, text, "few", {"text": "+5491140000"}),
                "many": _measure(client, process.pid, text, "many", {}),
            }
    for line in _format_lines(found):
        print(line)
    return found


def _add_text(client: ControlClient) -> str:
    words = {"body": "Hola {nombre}, ¿hablamos?", "footer": _FOOTER}
    more = {"fallbacks": {"origen_en_palabras": "la feria"}}
    text: str = client.post("texts", name="Feria", purpose="first_contact", **words, **more)["id"]
    client.post("texts", text, "approve", version=1)
    return text


def _measure(
    client: ControlClient, pid: int, text: str, name: str, audience: Mapping[str, str]
) -> dict[str, float]:
    """Return people, seconds and milliseconds of CPU a person of the fastest of some dry runs."""
    made = client.post("campaigns", name=name, session="ventas", text=text, audience=audience)
    rounds = []
    for _ in range(_ROUNDS):
        begun, cpu = time.perf_counter(), read_cpu(pid)
        people = client.post("campaigns", made["campaign"]["id"], "dry-run")["total"]
        seconds, used = time.perf_counter() - begun, read_cpu(pid) - cpu
        rounds.append({"people": people, "seconds": seconds, "cpu": used * 1_000 / people})
    return min(rounds, key=lambda each: each["seconds"])


def _format_lines(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for each in found.values():
        yield (
            f"  {each['people']:,.0f} people: {each['seconds']:.2f} s,"
            f" {each['cpu']:.2f} ms of CPU each"
        )
    yield f"  of the goal of {GOAL_SECONDS:g} s: {found['many']['seconds'] / GOAL_SECONDS:.2f}"
    yield f"  growth: {found['many']['cpu'] / found['few']['cpu']:.2f} (goal {GOAL_GROWTH})"
