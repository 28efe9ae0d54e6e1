"""The manual channel: an operator sends by hand, without a connection of ours."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.transport import BuiltinChannel, Channel


@hookimpl
def leadmaster_declare_channels() -> Sequence[Channel]:
    """Declare the channel."""
    summary = "An operator opens a link and sends from their own phone"
    return [Channel(BuiltinChannel.MANUAL, summary, open=None)]
