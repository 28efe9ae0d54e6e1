"""Suppression: who is never written to again, how they get in, and the two ways out."""

from __future__ import annotations

from daemon.suppression.keeping import Person, Suppressed, Suppression
from daemon.suppression.lists import ListResult, export_csv, import_csv
from storage.suppressions import Source, SuppressionRecord

__all__ = [
    "ListResult",
    "Person",
    "Source",
    "Suppressed",
    "Suppression",
    "SuppressionRecord",
    "export_csv",
    "import_csv",
]
