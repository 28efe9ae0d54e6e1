"""The sync plugin: declares the built-in import source, CSV."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.imports import ImportSource
from daemon.plugins.sync.csv_source import open_csv


@hookimpl
def leadmaster_declare_sources() -> Sequence[ImportSource]:
    """Declare CSV in any encoding and with any common delimiter."""
    return (
        ImportSource(
            name="csv",
            summary="Text with a header line and one record per line (CSV, TSV), from any program",
            suffixes=(".csv", ".tsv", ".txt"),
            open=open_csv,
        ),
    )
