"""Which release this process runs: read once, since a package may be exchanged beneath it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

VERSION: Final = version("leadmaster")
