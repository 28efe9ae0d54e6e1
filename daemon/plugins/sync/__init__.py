"""The sync plugin: declares the built-in import sources: CSV, XLSX and vCard."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.imports import ImportSource
from daemon.plugins.sync.csv_source import open_csv
from daemon.plugins.sync.vcard_source import open_vcards
from daemon.plugins.sync.xlsx_source import open_xlsx


@hookimpl
def leadmaster_declare_sources() -> Sequence[ImportSource]:
    """Declare CSV in any encoding and with any common delimiter, workbooks, and contact cards."""
    return (
        ImportSource(
            name="csv",
            summary="Text with a header line and one record per line (CSV, TSV), from any program",
            suffixes=(".csv", ".tsv", ".txt"),
            open=open_csv,
        ),
        ImportSource(
            name="xlsx",
            summary="A workbook of Excel or LibreOffice, of which one sheet is read",
            suffixes=(".xlsx", ".xlsm"),
            open=open_xlsx,
            unit="row",
        ),
        ImportSource(
            name="vcard",
            summary="Contact cards (vCard 2.1, 3.0, 4.0) of a phone, a mail program or WhatsApp",
            suffixes=(".vcf", ".vcard"),
            open=open_vcards,
            unit="card",
        ),
    )
