"""The linked channel: a device linked to a phone by QR or code, in a worker process of its own.

The options of a session are ``driver`` (default ``neonize``), ``memory_limit_mb`` (default 512: a
worker that grows beyond it is replaced), ``heartbeat_timeout`` (seconds without a frame of the
worker until it is replaced, default 30), ``busy_timeout`` (seconds that a send waits for the
worker's call before it, default 3; then it is tried again later), ``trace`` (whether the shapes of
frames are recorded, default false) and, where the setting
``linked.worker_socket`` leads to systemd units, ``slot`` (the number of the unit; chosen when the
session is added).
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.transport import (
    BuiltinChannel,
    Capabilities,
    Channel,
    OpenContext,
    Pairing,
    Transport,
)
from daemon.plugins.transport_linked.options import choose_slot, read_options
from daemon.plugins.transport_linked.transport import LinkedTransport
from daemon.plugins.transport_linked.worker_client import start_worker


@hookimpl
def leadmaster_declare_channels() -> Sequence[Channel]:
    """Declare the channel."""
    summary = "A device linked to a phone by QR or code, in a process of its own"
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
            BuiltinChannel.LINKED,
            summary,
            open_linked_transport,
            capabilities,
            settings_only=frozenset({"worker_socket"}),
            choose_options=choose_slot,
        )
    ]


async def open_linked_transport(context: OpenContext) -> Transport:
    """Start the worker of a session; raise :class:`CannotOpen` where it can't serve."""
    options = read_options(context.session.options)
    return LinkedTransport(context, options, await start_worker(context, options))
