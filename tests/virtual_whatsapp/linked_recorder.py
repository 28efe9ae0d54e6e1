"""Records a link to a virtual WhatsApp, as `leadmaster doctor --linked --record` does anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from daemon.linked_worker.neonize_driver.frame_trace import TracedFrame, read_trace
from tests.virtual_whatsapp.journal import PATIENCE_SECONDS
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp


async def run_doctor(whatsapp: VirtualWhatsApp, folder: Path, *words: str) -> tuple[int, str]:
    """Run `leadmaster doctor --linked` to its end; return its exit status and what it printed."""
    process = await start_doctor(whatsapp, folder, *words)
    async with asyncio.timeout(PATIENCE_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def record_link(
    whatsapp: VirtualWhatsApp,
    phone: Phone,
    folder: Path,
    *,
    seconds: float,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> list[TracedFrame]:
    """Link a device for so many seconds, and return the trace.

    ``meanwhile`` is awaited once it is linked. Raises :class:`ConnectionError` where the link ended
    before its time.
    """
    path = folder / "recorded.jsonl"
    words = ("--record", str(path), "--seconds", str(seconds), "--json")
    process = await start_doctor(whatsapp, folder, *words)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS + seconds):
        while line := await process.stdout.readline():
            shown = json.loads(line)
            if shown.get("index") == 1:
                await whatsapp.scan(phone, shown["code"])
            elif meanwhile is not None and shown.get("step", "").startswith("Listening"):
                await meanwhile()
        if await process.wait() != 0:
            raise ConnectionError("the link ended before its time")
    return read_trace(await asyncio.to_thread(path.read_bytes))


async def start_doctor(
    whatsapp: VirtualWhatsApp, folder: Path, *words: str
) -> asyncio.subprocess.Process:
    """Start `leadmaster doctor --linked`, led to a virtual WhatsApp."""
    command = ["-m", "daemon", "--state-dir", str(folder / "state"), "doctor", "--linked", *words]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **whatsapp.environment},
    )
