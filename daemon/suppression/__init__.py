"""Suppression: who is never written to again, how they get in, and the two ways out."""

from __future__ import annotations

from daemon.suppression.keeping import SuppressionResult, SuppressionService, SuppressionTarget
from daemon.suppression.lists import (
    SuppressionImportResult,
    export_suppression_list,
    import_suppression_list,
)
from storage.suppressions import SuppressionRecord, SuppressionSource

__all__ = [
    "SuppressionImportResult",
    "SuppressionRecord",
    "SuppressionResult",
    "SuppressionService",
    "SuppressionSource",
    "SuppressionTarget",
    "export_suppression_list",
    "import_suppression_list",
]
