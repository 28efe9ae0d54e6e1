"""What plugins and transports see of the daemon: ports and value types, nothing else.

A plugin that imports only this package keeps working across releases.
"""

from __future__ import annotations

import pluggy

PROJECT = "leadmaster"
"""The pluggy project name, and the prefix of every hook."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Mark a function of a plugin as the implementation of the hook of the same name."""
