"""The public interface for plugins and transports: ports (protocols) and value types.

A plugin that imports only this package keeps working across releases.
"""

from __future__ import annotations

import pluggy

PROJECT = "leadmaster"
"""The pluggy project name, and the prefix of every hook."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorator that marks a plugin's function as the implementation of the hook of its name."""
