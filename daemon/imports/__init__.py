"""Lists of prospects on their way in: read by a child process, taken in by the one writer."""

from __future__ import annotations

from daemon.imports.importer import Imports, OnProgress
from daemon.imports.options import Granted, ImportOptions
from daemon.imports.reports import ImportPreview, ImportReport

__all__ = ["Granted", "ImportOptions", "ImportPreview", "ImportReport", "Imports", "OnProgress"]
