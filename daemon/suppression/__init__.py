"""Suppression: who is never written to again, how they get in, and the two ways out."""

from __future__ import annotations

from daemon.suppression.keeping import Person, Suppression, SuppressionResult
from daemon.suppression.lists import SuppressionImportResult, export_csv, import_csv
from storage.suppressions import SuppressionRecord, SuppressionSource

__all__ = [
    "Person",
    "Suppression",
    "SuppressionImportResult",
    "SuppressionRecord",
    "SuppressionResult",
    "SuppressionSource",
    "export_csv",
    "import_csv",
]
