"""Files on the pages of Settings: a do-not-call register imported, and a backup downloaded."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.auth.identity import ROLE_SCOPES, Role
from daemon.backup.status import BackupStatus, SealedCopy, write_status
from daemon.http.console.language import load_language
from daemon.http.console.time_format import format_day
from storage.do_not_call import DoNotCallRegister
from tests.helpers.client.console import ConsoleServer, get_page, open_console
from tests.helpers.client.http import DAYTIME, build_settings

REGISTER = b"telefono,barrio\n+5491141234567,Once\nhola,Once\n11 5000-1111,Flores\n"


async def upload(console: ConsoleServer, content: bytes = REGISTER) -> str:
    """Upload a register; return the id of the upload."""
    stored = await console.api.call("POST", "/v1/uploads?filename=nollame.csv", data=content)
    return str(stored.document["upload"])


async def show_preview(console: ConsoleServer, id_: str, asked: str = "") -> str:
    """Return the piece that says what an import would read."""
    path = f"/pieces/do-not-call/preview?upload={id_}{asked}"
    return str((await get_page(console, path)).document)


async def list_registers(console: ConsoleServer) -> list[DoNotCallRegister]:
    """Return the registers that are stored."""
    return list(await console.services.do_not_call.list_registers())


async def test_what_is_read_and_refused_is_said_before_anything_is_stored(
    console: ConsoleServer,
) -> None:
    """How many numbers, from which column, and each refused row by file and line."""
    shown = await show_preview(console, await upload(console))
    assert "2 numbers, read from: telefono." in shown
    assert "nollame.csv:3" in shown
    assert "1 row is not taken" in shown
    assert "barrio" in shown
    assert 'id="day-first"' in shown
    assert 'data-call="/v1/do-not-call"' not in shown
    assert await list_registers(console) == []


async def test_its_age_is_said_and_the_form_imports_it(console: ConsoleServer) -> None:
    """Of a register over 30 days it says what that holds back; the page then shows it in force."""
    id_, today = await upload(console), console.services.clock.now().date()
    words = load_language("en")
    old = today - timedelta(days=40)
    shown = await show_preview(console, id_, f"&dated={old}")
    assert f"Of {format_day(old, words)}, 40 days old." in shown
    assert "older than 30 days" in shown
    dated = today - timedelta(days=3)
    shown = await show_preview(console, id_, f"&dated={dated}&phone=telefono")
    assert "older than 30 days" not in shown
    assert 'data-call="/v1/do-not-call"' in shown
    order = {"upload": id_, "dated": str(dated), "country": "AR", "options": {"phone": "telefono"}}
    done = await console.api.call("POST", "/v1/do-not-call", json=order)
    assert done.document["register"]["numbers"] == 2
    page = (await get_page(console, "/personal-data")).document
    assert "2 numbers" in page
    assert f"Of {format_day(dated, words)}, 3 days old." in page


async def test_a_file_that_is_no_register_is_explained_inside_the_form(
    console: ConsoleServer,
) -> None:
    """Where it can be corrected: another column, another file."""
    shown = await show_preview(console, await upload(console, b"telefono\nhola\n"))
    assert "The register has no number." in shown
    assert 'id="import-options"' in shown
    shown = await show_preview(console, await upload(console), "&phone=celular")
    assert "no header" in shown
    assert 'data-call="/v1/do-not-call"' not in shown


async def test_who_may_only_read_is_offered_no_import(short_folder: Path) -> None:
    """The registers stay in sight."""
    async with open_console(build_settings(short_folder), ROLE_SCOPES[Role.VIEWER]) as viewer:
        shown = (await get_page(viewer, "/personal-data")).document
    assert 'id="registers"' in shown
    assert 'id="import"' not in shown


@pytest.mark.parametrize(("role", "offered"), [(Role.OPERATOR, False), (Role.ADMIN, True)])
async def test_an_administrator_alone_is_offered_a_backup_as_a_file(
    short_folder: Path, role: Role, *, offered: bool
) -> None:
    """Its size and age are there for everybody."""
    settings = build_settings(short_folder)
    copy = SealedCopy("monday.age", DAYTIME, 3_000_000, DAYTIME, {}, 0)
    write_status(settings, BackupStatus(copies=(copy,)))
    async with open_console(settings, ROLE_SCOPES[role]) as made:
        shown = (await get_page(made, "/backups")).document
        assert "2.9 MB" in shown
        assert ('href="/v1/backups/monday.age"' in shown) is offered
