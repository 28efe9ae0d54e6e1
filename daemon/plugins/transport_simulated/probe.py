"""The conformance probe of the simulated channel, which plays each scenario by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from daemon.api.conformance import ChannelProbe, ProbeScenario, SampleMessage, WireMessage
from daemon.plugins.transport_simulated.disk_state import SENT_FILE
from daemon.plugins.transport_simulated.script import SCRIPT_FILE

_REFUSED, _UNANSWERED = "+5491155550102", "+5491155550103"
_QUICK: Final = {"ack_delay": 0.02, "deliver_after": 0.02, "read_after": 0.02}
_SCENARIOS: Final[Mapping[ProbeScenario, Mapping[str, object]]] = {
    ProbeScenario.RECEIPTS_REVERSED: {"defaults": {**_QUICK, "receipts": "reversed"}},
    ProbeScenario.RECEIPTS_LATE: {"defaults": {**_QUICK, "deliver_after": 1}},
    ProbeScenario.CUT: {"line": [{"at": 0.1, "do": "disconnect"}]},
    ProbeScenario.DEATH: {"line": [{"at": 0.1, "do": "die"}]},
}


class SimulatedProbe(ChannelProbe):
    """Writes a script for each scenario, and reads what reached the simulated contacts."""

    own_phone = "+5491155550001"
    recipient = "+5491155550101"
    refused_recipient = _REFUSED
    unanswered_recipient = _UNANSWERED
    _folder: Path | None = None

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object]:
        """Write the scenario's script into the session's folder; return the session's options."""
        script = {
            "scan_after": 0,
            "step": 0,
            "defaults": _QUICK,
            "contacts": {
                _REFUSED: {"refuse": "not_allowed"},
                _UNANSWERED: {"drop_ack": True, "deliver_rate": 0},
            },
            "line": [_build_event(each) for each in self.samples]
            if scenario is ProbeScenario.MESSAGES
            else [],
            **_SCENARIOS.get(scenario, {}),
        }
        self._folder = folder
        await asyncio.to_thread(_write_script, folder, script)
        return {"seed": 1, **self.options}

    async def read_wire(self) -> Sequence[WireMessage]:
        """Return the messages that reached the simulated contacts."""
        path = (self._folder or Path()) / SENT_FILE
        lines = await asyncio.to_thread(_read_lines, path)
        sent = [msgspec.json.decode(line) for line in lines]
        return [WireMessage(each["recipient"], each["body"]) for each in sent]


def _build_event(sample: SampleMessage) -> Mapping[str, object]:
    return {
        "at": 0,
        "do": "type" if sample.own else "write",
        "address": sample.address,
        "text": sample.text,
        "kind": sample.kind.value,
        "origin": sample.origin.value,
        "written_ago": sample.written_ago.total_seconds(),
    }


def _write_script(folder: Path, script: Mapping[str, object]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / SCRIPT_FILE).write_bytes(msgspec.json.encode(script))


def _read_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []
