"""The version of this process, read once: the package may be replaced while it runs."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

VERSION: Final = version("leadmaster")
