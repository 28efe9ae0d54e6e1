"""The names of the built-in plugins, for tests that block some of them."""

from __future__ import annotations

from importlib.metadata import entry_points

from daemon.installed_plugins import ENTRY_POINT_GROUP

BUILT_IN = tuple(sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP)))


def block_all_but(*names: str) -> tuple[str, ...]:
    """Return every built-in plugin but these, as `[plugins] blocked` takes them."""
    return tuple(name for name in BUILT_IN if name not in names)
