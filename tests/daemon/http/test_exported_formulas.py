"""No cell of any list that leaves the daemon is a formula, whatever a spreadsheet separates by."""

from __future__ import annotations

import ast
import asyncio
import csv
import io
import json
import re
from pathlib import Path

from aiohttp import web

from daemon.auth import Role
from daemon.http.console import routes as console_routes
from daemon.http.openapi import CSV
from daemon.http.v1 import ACCOUNT_ROUTES, RESOURCE_ROUTES
from daemon.lists.csv_export import format_csv, restore_cell
from tests.helpers.client.http import HttpServer
from tests.helpers.client.process import run_cli

ROOT = Path(__file__).parents[3]
FORMULAS = (
    *(f"{sign}HYPERLINK(1)" for sign in "=+-@\uff1d\uff0b\uff0d\uff20"),
    *("\t=A1", "\r=A1", "\n=A1", "  =A1", "\ufeff=A1", "\u200b\uff1dA1", "\x00=A1"),
    *("+54911;=A1", "Ana;=A1", "Ana; \uff0bA1", "Ana\n=A1", "Ana\t@A1", 'Ana";=A1', "+1+1", "-2+3"),
)
SIGNS = re.compile(r"[\s\x00-\x1f\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")
# Where a whole row is one cell, it may begin with a number.
NUMBER = re.compile(r"\+[0-9]{7,15}(,.*)?|-?[0-9.]+", re.DOTALL)
EXPORTS = {
    "/v1/exports/prospects.csv",
    "/v1/exports/suppressions.csv",
    "/v1/audit/selection/export",
    "/v1/campaigns/{id}/people.csv",
    "/v1/clients/{id}/later-opt-outs.csv",
    "/v1/deliveries/money.csv",
    "/v1/deliveries/{id}/files/{part}/{format}",
    "/v1/prospects/selection/export",
    "/prospects/imports/{id}/rejects.csv",
}
"""Every route that answers with CSV; a new one writes it with `format_csv` and is named here."""
WORKBOOKS = {"daemon/lists/xlsx_export.py"}
"""What writes workbooks, every cell as text: see its tests."""


def find_formulas(text: str) -> list[str]:
    """Return the cells that a spreadsheet would run, for each separator that one may expect."""
    cells = [
        cell
        for delimiter in ",;\t"
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for cell in row
    ]
    return [cell for cell in cells if SIGNS.match(cell) and not NUMBER.fullmatch(cell)]


def test_every_export_is_known() -> None:
    """One module alone writes CSV; the one that writes workbooks has tests of its own."""
    nodes = [
        (str(path.relative_to(ROOT)), node)
        for folder in ("daemon", "storage", "rules")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]
    writers = {
        place
        for place, node in nodes
        if isinstance(node, ast.Attribute) and node.attr in {"writer", "DictWriter"}
        if isinstance(node.value, ast.Name) and node.value.id == "csv"
    }
    workbooks = {
        place
        for place, node in nodes
        if isinstance(node, ast.ImportFrom) and node.module in {"xlsxwriter", "openpyxl"}
    }
    assert writers == {"daemon/lists/csv_export.py"}
    assert workbooks == WORKBOOKS
    routes = [*RESOURCE_ROUTES, *ACCOUNT_ROUTES, *console_routes]
    found = {
        each.path
        for each in routes
        if isinstance(each, web.RouteDef)
        if CSV in str(getattr(each.handler, "operation", "")) or each.path.endswith(".csv")
    }
    assert found == EXPORTS


def test_a_formula_is_text_and_a_number_stays_one() -> None:
    """An apostrophe shows that it is text; our own import takes it away again."""
    for text in FORMULAS:
        written = format_csv([[text, "Ana"]])
        assert find_formulas(written) == [], text
        [cell, _] = next(csv.reader(io.StringIO(written, newline="")))
        assert restore_cell(cell) == text.replace("\r", "\n")
    for text in ("+5491141234567", "-12.5", "7", "Ana", "O'Hara", "a-b", "a@b.example", "'tis"):
        assert format_csv([[text]]) == f"{text}\n"
        assert restore_cell(text) == text


async def test_no_cell_of_any_export_is_a_formula(server: HttpServer, short_folder: Path) -> None:
    """Names, notes, kept columns and their headers, reasons of suppressions, rejected records."""
    folder = short_folder / "lists"
    folder.mkdir()
    await enter_formulas(server)
    (folder / "bad.csv").write_text(build_list(), encoding="utf-8")
    rejects = ("--yes", "--rejects", str(folder / "rejects.csv"), "--json")
    report = await run(short_folder, "prospects", "import", str(folder / "bad.csv"), *rejects)
    for word in ("prospects", "suppress"):
        await run(short_folder, word, "export", str(folder / f"{word}.csv"))
    texts = {
        name: (folder / f"{name}.csv").read_text(encoding="utf-8")
        for name in ("rejects", "prospects", "suppress")
    }
    texts["page"] = await download_as_browser(
        server, f"/prospects/imports/{json.loads(report)['id']}/rejects.csv"
    )
    assert all(text.count("\n") > len(FORMULAS) // 2 for text in texts.values())
    assert [
        (name, find_formulas(text)) for name, text in texts.items() if find_formulas(text)
    ] == []
    assert "+5491141234500," in texts["prospects"]


async def enter_formulas(server: HttpServer) -> None:
    """Enter a prospect and a suppression with each text."""
    for number, text in enumerate(FORMULAS):
        phone = f"+54911412345{number:02d}"
        entry = {"name": text, "cartera_origen": f"x{text}", "notes": text}
        made = await server.control.post(
            "/v1/prospects", phone=phone, permission="relationship", **entry
        )
        assert made.status == 201, made.document
        said = await server.control.post("/v1/suppressions", phone=phone, reason=text * 3)
        assert said.status in {200, 201}, said.document


def build_list() -> str:
    """Return a list in which no record has a number."""
    out = io.StringIO()
    rows = [["Teléfono", "Origen", "=Extra()"], *([each, "feria", each] for each in FORMULAS)]
    csv.writer(out).writerows(rows)
    return out.getvalue().replace("\x00", "")


async def run(state: Path, *words: str) -> str:
    """Run a command; return its output."""
    done = await asyncio.to_thread(run_cli, "--state-dir", str(state), *words)
    assert done.status == 0, done.err
    return done.out


async def download_as_browser(server: HttpServer, path: str) -> str:
    """Return the file that a page of the console links to."""
    auth = server.services.auth
    await auth.users.create_user("ana", Role.OPERATOR, "test")
    link = await auth.sign_ins.create_link("ana", "test")
    signed_in = await server.public.post("/v1/sign-in/link", link=link.secret)
    answer = await server.public.call("GET", path, headers={"Cookie": signed_in.cookie})
    assert answer.status == 200
    return str(answer.document)
