"""Which channels a session may use in this house."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.api.transport import Channel
from daemon.errors import StartRefused
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage import sessions
from storage.db import Database


async def load_usable_channels(
    plugins: Plugins, settings: Settings, database: Database
) -> Mapping[str, Channel]:
    """Return the channels that may be used here; an injected clock allows simulated ones alone.

    Raises :class:`StartRefused` where a session of another kind is there already.
    """
    channels = plugins.channels()
    if settings.clock.start is None:
        return channels
    harmless = {
        name: each for name, each in channels.items() if each.simulated or not each.connects
    }
    for session in await database.read(sessions.list_sessions):
        if session.channel not in harmless:
            raise StartRefused(
                f"The session {session.name!r} is {session.channel}, and the clock is injected.",
                hint="Remove [clock] start: only simulated sessions may run on an injected clock.",
            )
    return harmless
