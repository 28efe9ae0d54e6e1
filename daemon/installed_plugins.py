"""The plugins that are installed beside the daemon: their entry points, ours and third parties'."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

ENTRY_POINT_GROUP: Final = "leadmaster.plugins"
_BUILT_IN: Final = "daemon.plugins."


@cache  # slow: it reads the metadata of every installed package
def list_installed_plugins() -> tuple[EntryPoint, ...]:
    """Return the entry points of the installed plugins, sorted by name."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name))


def has_third_party_plugin() -> bool:
    """Return whether a plugin is installed that is not one of ours, blocked or not."""
    return any(not each.value.startswith(_BUILT_IN) for each in list_installed_plugins())
