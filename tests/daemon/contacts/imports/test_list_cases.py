"""Lists as people send them: rows and records are those of expected.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from daemon.api.imports import OpenedSource, SourceOptions, SourceRow, SourceUnreadable
from daemon.api.numbers import list_phone_spellings
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.process import (
    ImportReadRequest,
    answer_import,
)
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.list_process import ListRefusal, RecordBatch
from daemon.lists.columns import is_phone_header
from daemon.plugin_manager import Plugins
from tests.helpers.plugins import block_all_but
from tests.helpers.workbooks import BUILDERS, build_workbook

LISTS: Final = Path(__file__).parents[3] / "data" / "lists"
CASES: Final[list[dict[str, Any]]] = tomllib.loads(
    (LISTS / "expected.toml").read_text(encoding="utf-8")
)["case"]
TODAY: Final = date(2026, 11, 29)


def choose(*, kind: str | None = None) -> list[Any]:
    """Return the cases as parameters; of one kind, those that are not refused."""
    chosen = [
        case for case in CASES if kind is None or (case["kind"] == kind and "refused" not in case)
    ]
    return [pytest.param(case, id=f"{case['file']}: {case['note']}") for case in chosen]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """Load the plugin that reads files."""
    plugins = Plugins()
    plugins.load(blocked=block_all_but("sync"))
    return plugins


@pytest.fixture
def find_list(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that finds the file of a case, or builds the workbook."""

    def find(name: str) -> Path:
        return build_workbook(tmp_path, name) if name in BUILDERS else LISTS / name

    return find


def open_list(plugins: Plugins, path: Path, options: dict[str, Any]) -> OpenedSource:
    """Open a file by the source for its ending."""
    source = next(each for each in plugins.sources().values() if path.suffix in each.suffixes)
    asked = SourceOptions(options.get("encoding"), options.get("sheet"), is_phone_header)
    return source.open(path, asked)


def is_filled(row: SourceRow) -> bool:
    """Return whether a row has something in it."""
    return bool(row.problem) or any(cell.strip() for cell in row.cells)


@pytest.mark.parametrize("case", choose())
def test_the_rows_of_a_file(
    plugins: Plugins, find_list: Callable[[str], Path], case: dict[str, Any]
) -> None:
    """Numbers and cells, what the file is, and what is said of it; or why it is refused."""
    path = find_list(case["file"])
    if "refused" in case:
        with pytest.raises(SourceUnreadable, match=case["refused"]):
            list(open_list(plugins, path, {}).rows())
        return
    opened = open_list(plugins, path, case.get("options", {}))
    rows = list(opened.rows())
    assert opened.form == case["form"]
    wanted = [each for each in case["source"] if any(str(cell).strip() for cell in each[1:])]
    problems = {each["number"]: each["sentence"] for each in case.get("problems", ())}
    found = [[row.number, *row.cells] for row in rows if is_filled(row) and not row.problem]
    assert found == wanted
    for pattern in case.get("remarks", ()):
        assert any(re.search(pattern, remark) for remark in opened.remarks), opened.remarks
    assert {row.number for row in rows if row.problem} == set(problems)
    for row in rows:
        assert not row.problem or re.search(problems[row.number], row.problem), row.problem


def read_records(plugins: Plugins, path: Path, options: dict[str, Any]) -> list[ParsedImportRow]:
    """Return the records of a list of prospects, as the child process reads them."""
    name = next(name for name, each in plugins.sources().items() if path.suffix in each.suffixes)
    request = ImportReadRequest(
        path=str(path),
        source=name,
        options=msgspec.convert(options, ImportOptions),
        region=options.get("region", "AR"),
        today=TODAY,
        blocked=block_all_but("sync"),
    )
    records: list[ParsedImportRow] = []
    for answer in answer_import(request):
        assert not isinstance(answer, ListRefusal), answer.sentence
        if isinstance(answer, RecordBatch):
            records.extend(answer.records)
    return records


def describe(record: ParsedImportRow, keys: set[str]) -> dict[str, Any]:
    """Return what a case says of a record: only the keys that it names."""
    told: dict[str, Any] = {
        "number": record.record,
        "phone": record.phone,
        "line": list_phone_spellings(record.phone or ""),
        "reason": record.reason_code,
        "remark": record.reason_code,
        "permission": record.permission.value,
        "data_date": record.data_date and record.data_date.isoformat(),
        **{key: getattr(record, key) for key in ("name", "trade", "notes")},
    }
    return {key: told[key] for key in keys}


@pytest.mark.parametrize("case", choose(kind="prospects"))
def test_the_records_of_a_list_of_prospects(
    plugins: Plugins, find_list: Callable[[str], Path], case: dict[str, Any]
) -> None:
    """What each record becomes, or why it is rejected."""
    found = read_records(plugins, find_list(case["file"]), case.get("options", {}))
    assert len(found) == len(case["records"])
    for record, wanted in zip(found, case["records"], strict=True):
        expected = dict(wanted)
        if "line" in expected:
            expected["line"] = list_phone_spellings(expected["line"])
        assert describe(record, set(expected)) == expected
        assert bool(record.phone) is ("reason" not in expected)
