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
from daemon.imports.reading import read
from daemon.plugin_manager import Plugins


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answered(lines.decode_request(requests.readline())):
        answers.write(lines.encode(answer))
        answers.flush()


def answered(request: lines.Request) -> Iterator[lines.Answer]:
    """Yield what was found in the file; an expected problem is the last answer."""
    plugins = Plugins()
    try:
        plugins.load(blocked=request.blocked)
        yield from _read_through(plugins.sources()[request.source], request)
    except SourceUnreadable as problem:
        yield lines.Refused(str(problem))
    except LeadMasterError as problem:
        yield lines.Refused(str(problem), problem.hint)
    except Exception as defect:  # noqa: BLE001 - a stranger's source may raise anything
        yield lines.Refused(
            f"The import source {request.source!r} failed: {type(defect).__name__}.",
            "Mend or replace the plugin that brings it.",
        )


def _read_through(source: ImportSource, request: lines.Request) -> Iterator[lines.Answer]:
    """Read the file twice: an unreadable record is found before anything is imported."""
    path = Path(request.path)
    preview = source.open(path).preview()
    headers = tuple(preview.headers)
    mapping = request.options.mapped(headers, preview.mapping)
    total = sum(1 for _ in source.open(path).rows())
    first = tuple((row.record, dict(row.cells)) for row in preview.rows)
    yield lines.Opened(preview.form, headers, mapping, first, total)
    rows = iter(source.open(path).rows())
    while batch := tuple(
        read(row, mapping, request.options, region=request.region, today=request.today)
        for row in islice(rows, lines.BATCH)
    ):
        yield lines.Batch(batch)
    yield lines.Ended(total)


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
