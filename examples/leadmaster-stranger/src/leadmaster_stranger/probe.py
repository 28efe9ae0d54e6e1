"""What the conformance suite needs to see past the channel: the folder in which messages end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.api.conformance import ChannelProbe, ProbeScenario, WireMessage
from daemon.api.permit import hash_body


class FolderProbe(ChannelProbe):
    """Reads what was written; a folder neither refuses anybody nor tells anything."""

    recipient = "+5491155550101"
    _folder = Path()

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object] | None:
        """Let messages go into a folder of this test's own."""
        self._folder = folder / "out"
        friendly = scenario is ProbeScenario.FRIENDLY
        return {**self.options, "folder": str(self._folder)} if friendly else None

    async def read_wire(self) -> Sequence[WireMessage]:
        """Return each message that lies in the folder."""
        return await asyncio.to_thread(self._read_files)

    def _read_files(self) -> list[WireMessage]:
        files = sorted(self._folder.glob("*.txt"), key=lambda path: path.stat().st_mtime_ns)
        return [_read_message(path.read_bytes().decode()) for path in files]


def _read_message(written: str) -> WireMessage:
    recipient, _, text = written.partition("\n\n")
    return WireMessage(recipient, hash_body(text.removesuffix("\n")))
