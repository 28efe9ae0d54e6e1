"""The built-in plugins by name, for tests that let some of them out."""

from __future__ import annotations

from importlib.metadata import entry_points

from daemon.plugin_manager import ENTRY_POINT_GROUP

BUILT_IN = tuple(sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP)))


def block_all_but(*names: str) -> tuple[str, ...]:
    """Return every built-in plugin but these, as `[plugins] blocked` takes them."""
    return tuple(name for name in BUILT_IN if name not in names)
