"""The version of this process, read at its start: the package may be upgraded while it runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

VERSION: Final = version("leadmaster")
