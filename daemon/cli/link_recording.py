"""`leadmaster doctor --linked --record FILE`: links a phone for a moment, and records the link.

The link has a folder of its own, which no session knows: a code is shown, the device listens for a
while and is unlinked again. Nothing is sent. Only types and times are recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from daemon.api.clock import SystemClock
from daemon.api.permit import PermitSigner, PermitVerifier
from daemon.api.signals import Connected, Paired, QrIssued, Scanned, Signal, Synced
from daemon.api.transport import CannotOpen, Channel, OpenContext, SessionInfo, Transport
from daemon.cli.console import print_raw, print_text
from daemon.cli.pairing import render_qr
from daemon.errors import LeadMasterError
from daemon.plugin_manager import Plugins
from daemon.worker_launcher import launch_worker
from statemachines.vocabulary import BuiltinChannel

if TYPE_CHECKING:
    from daemon.cli.context import CliContext

SESSION: Final = "recording"
TRACE_FILE: Final = "trace.jsonl"
LINK_SECONDS: Final = 200.0
"""Six codes last 160 s; then there is the time to connect."""
_STEPS: Final[dict[type[Signal], str]] = {
    Scanned: "The phone has taken the code.",
    Paired: "The phone is linked.",
    Connected: "Connected.",
    Synced: "What had waited is here.",
}

Show: TypeAlias = Callable[[QrIssued | str], None]


class NotLinked(LeadMasterError):
    """No phone was linked, so that there is nothing to record."""

    code = "not_linked"
    status = 409
    hint = "Begin again, and scan the code on the phone under Linked devices."


def record_link(cli: CliContext, path: Path, seconds: float, *, json_: bool) -> None:
    """Link, listen for so many seconds, unlink; write the trace to ``path``.

    With ``json_`` each step is a line of JSON, and the code is not drawn. Raises
    :class:`NotLinked` where no phone was linked.
    """
    show = _show_json if json_ else _show_text
    plugins = Plugins()
    plugins.load(blocked=cli.load_settings().plugins.blocked)
    channel = plugins.channels()[BuiltinChannel.LINKED]
    # Before anything is linked: where it can't be written, nothing is.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        with tempfile.TemporaryDirectory(prefix="leadmaster-recording-") as folder:
            context = _build_context(Path(folder))
            asyncio.run(_record(channel, context, seconds, show))
            path.write_bytes((Path(folder) / TRACE_FILE).read_bytes())
    except BaseException:
        path.unlink()  # an empty file is no trace
        raise
    show(f"Unlinked again. {path} holds types and times, and nothing that anybody wrote.")


def _build_context(folder: Path) -> OpenContext:
    """Return what a session of its own is opened with, for which nobody signs a permit."""
    session = SessionInfo(SESSION, paired=False, phone=None, folder=folder, options={"trace": True})
    verifier = PermitVerifier(PermitSigner().public_key)
    return OpenContext(session, SystemClock(), verifier, launch_worker)


async def _record(channel: Channel, context: OpenContext, seconds: float, show: Show) -> None:
    if channel.open is None:
        raise NotLinked(f"The channel {channel.name} has no phone to link.")
    try:
        transport = await channel.open(context)
    except CannotOpen as reason:
        raise NotLinked(str(reason), hint="See: leadmaster doctor --linked") from None
    try:
        await transport.connect()
        async with asyncio.timeout(LINK_SECONDS):
            await _wait_until_synced(transport, show)
        show(f"Listening for {seconds:g} s; nothing is sent.")
        await _listen(transport, seconds)
    except TimeoutError:
        raise NotLinked(f"No phone was linked within {LINK_SECONDS:g} s.") from None
    finally:
        # Also after Ctrl-C: no device of ours stays on the phone.
        with contextlib.suppress(TimeoutError):
            await transport.logout()
        await transport.close()


async def _wait_until_synced(transport: Transport, show: Show) -> None:
    """Show each code and step; return once what had waited for the device is here."""
    async for signal in transport.signals():
        if isinstance(signal, QrIssued):
            show(signal)
        elif step := _STEPS.get(type(signal)):
            show(step)
        if isinstance(signal, Synced):
            return
    raise NotLinked("The link ended before the phone was connected.")


async def _listen(transport: Transport, seconds: float) -> None:
    """Take what comes for so many seconds; what it says is read by nobody."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for _ in transport.signals():
                pass


def _show_text(step: QrIssued | str) -> None:
    if isinstance(step, str):
        print_text(step)
        return
    print_raw(f"\n{render_qr(step.code)}")
    print_text(f"code {step.index} of {step.maximum}; scan it under Linked devices")


def _show_json(step: QrIssued | str) -> None:
    line = {"step": step} if isinstance(step, str) else {"code": step.code, "index": step.index}
    print(json.dumps(line), flush=True)
