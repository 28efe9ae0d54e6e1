"""The child process of an import: reads a foreign file, so that a bad one can't hurt the daemon.

``python -m daemon.imports.worker`` takes one request line and answers on the standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from daemon.api.imports import ImportSource, SourceUnreadable
from daemon.errors import LeadMasterError
from daemon.imports import lines
from daemon.imports.reading import parse_row
from daemon.plugin_manager import Plugins


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answer_import(lines.decode_request(requests.readline())):
        answers.write(lines.encode_message(answer))
        answers.flush()


def answer_import(request: lines.ImportReadRequest) -> Iterator[lines.ImportReadAnswer]:
    """Yield what was found in the file; an expected problem is the last answer."""
    plugins = Plugins()
    try:
        plugins.load(blocked=request.blocked)
        yield from _read_file(plugins.sources()[request.source], request)
    except SourceUnreadable as problem:
        yield lines.ImportFileRefusal(str(problem))
    except LeadMasterError as problem:
        yield lines.ImportFileRefusal(str(problem), problem.hint)
    except Exception as defect:  # noqa: BLE001 - a stranger's source may raise anything
        yield lines.ImportFileRefusal(
            f"The import source {request.source!r} failed: {type(defect).__name__}.",
            "Mend or replace the plugin that brings it.",
        )


def _read_file(
    source: ImportSource, request: lines.ImportReadRequest
) -> Iterator[lines.ImportReadAnswer]:
    """Read the file twice: an unreadable record is found before anything is imported."""
    path = Path(request.path)
    preview = source.open(path).preview()
    headers = tuple(preview.headers)
    mapping = request.options.resolve_mapping(headers, preview.mapping)
    total = sum(1 for _ in source.open(path).rows())
    first = tuple((row.record, dict(row.cells)) for row in preview.rows)
    yield lines.ImportFileSummary(preview.form, headers, mapping, first, total)
    rows = iter(source.open(path).rows())
    while batch := tuple(
        parse_row(row, mapping, request.options, region=request.region, today=request.today)
        for row in islice(rows, lines.BATCH_SIZE)
    ):
        yield lines.ImportRowBatch(batch)
    yield lines.ImportFileEnd(total)


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
