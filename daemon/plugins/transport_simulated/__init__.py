"""The simulated channel: a WhatsApp in the process, deterministic for a seed and a clock.

The options of a session are ``seed`` (default 1) and ``phone`` (the number of the phone that scans
the code; default: derived from the seed). Its script (a JSON file, see ``script.py``) is
``script.json`` in the session's folder, else the one that the settings name: an option that comes
from the network names no file. A code that is to be typed is typed on the phone whose number was
given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.transport import (
    BuiltinChannel,
    CannotOpen,
    Capabilities,
    Channel,
    OpenContext,
    Pairing,
    Transport,
)
from daemon.plugins.transport_simulated.script import SCRIPT_FILE, load_script
from daemon.plugins.transport_simulated.transport import SimulatedTransport


@hookimpl
def leadmaster_declare_channels() -> Sequence[Channel]:
    """Declare the channel."""
    summary = "A WhatsApp in the process, for demo, training and tests"
    capabilities = Capabilities(
        acks=True,
        number_check=True,
        receipts=True,
        pairing=Pairing.QR_OR_CODE,
        history=True,
        restrictions=True,
    )
    return [
        Channel(
            BuiltinChannel.SIMULATED,
            summary,
            open_simulated_transport,
            capabilities,
            simulated=True,
            probe="daemon.plugins.transport_simulated.probe:SimulatedProbe",
            settings_only=frozenset({"script"}),
        )
    ]


async def open_simulated_transport(context: OpenContext) -> Transport:
    """Open a transport with the session's options; raise :class:`CannotOpen` for a bad one."""
    options = context.session.options
    seed = options.get("seed", 1)
    if not isinstance(seed, int):
        raise CannotOpen(f"simulated.seed: must be a whole number, not {seed!r}.")
    context.session.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = context.session.folder / SCRIPT_FILE
    # In a thread: a file of a network may take its time.
    script = await asyncio.to_thread(
        lambda: load_script(str(own) if own.exists() else str(options.get("script") or ""))
    )
    return SimulatedTransport(context, script, seed)
