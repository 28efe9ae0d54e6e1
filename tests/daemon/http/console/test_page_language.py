"""No English on a Spanish page and no Spanish on an English one: in errors, files and problems too.

`test_words` reads each page in each of its states in both languages; here is what stands on none:
refusals of a sign-in, the end of a stream, files, and the problems of rule files.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from daemon.auth.password_check import PER_USER
from daemon.http.console.language import load_language
from storage import imports
from tests.helpers.client.console import ConsoleServer, get_page
from tests.helpers.client.http import HttpReply, HttpServer, build_settings, open_http_server
from tests.helpers.page_language import find_foreign_texts, find_language

RULE_CASES: Final = Path(__file__).parents[3] / "data" / "rule_cases" / "expected.toml"
RULE_PROBLEMS: Final = sorted(
    {
        problem
        for problems in tomllib.loads(RULE_CASES.read_text(encoding="utf-8")).values()
        for problem in problems
    }
)
SPANISH_HEADERS: Final = {"Accept-Language": "es-AR,es;q=0.9"}


@pytest.mark.parametrize(
    ("page", "foreign"),
    [
        ("es", "It is sent at nine."),
        ("es", "Nothing to do."),
        ("en", "No hay ninguna página."),
        ("en", "Teléfonos"),
    ],
)
def test_a_text_of_the_other_language_is_found(page: str, foreign: str) -> None:
    """In an element or in an attribute; not in code, and not where the language is named."""
    own = {"es": "Hola, Ana.", "en": "Hello, Ana."}[page]
    for planted in (f"<p>{foreign}</p>", f'<p title="{foreign}">7</p>'):
        assert find_foreign_texts(page, f"<html lang={page}><p>{own}</p>{planted}") == [foreign]
    for hidden in (f"<code>{foreign}</code>", f'<p lang="xx">{foreign}</p>'):
        assert find_foreign_texts(page, f"<html lang={page}><p>{own}</p>{hidden}") == []
    assert find_foreign_texts(page, f"<p>{foreign}</p>", {foreign}) == []


@pytest.mark.parametrize("problem", RULE_PROBLEMS)
def test_a_mistake_in_a_rule_file_is_said_in_spanish(problem: str) -> None:
    """What people write into rule files, as the journey of the rule files finds it."""
    translated = load_language("es").translate(f"rules.d/{problem}")
    assert translated != f"rules.d/{problem}"
    assert find_language("en", [re.sub(r"`[^`]*`", "", translated)]) == []


@pytest.fixture
async def server(short_folder: Path) -> AsyncIterator[HttpServer]:
    """Open the real servers, with a user who signs in by a password."""
    async with open_http_server(build_settings(short_folder)) as opened:
        user = {"name": "ana", "role": "admin", "password": "correct horse battery staple"}
        assert (await opened.control.post("/v1/users", **user)).status == 201
        yield opened


@pytest.mark.slow
async def test_a_refused_sign_in_is_said_in_spanish(server: HttpServer) -> None:
    """Also over plain HTTP to another machine, where browsers send an `Origin` and no more."""
    public = server.public
    page = {**SPANISH_HEADERS, "Origin": public.base}

    async def sign_in(**body: str) -> HttpReply:
        return await public.call("POST", "/v1/sign-in", json=body, headers=page)

    wrong = {"user": "ana", "password": "wrong horse"}
    replies = [await sign_in(**wrong), await sign_in(user="ana")]
    replies += [await sign_in(**wrong) for _ in range(PER_USER.free + 1)]
    link = {"link": "x" * 43}
    replies += [await public.call("POST", "/v1/sign-in/link", json=link, headers=page)]
    assert {reply.status for reply in replies} == {400, 401, 429}
    for reply in replies:
        said = [reply.document["detail"], reply.document["hint"]]
        assert find_language("en", said) == [], said
    # Programs, and pages of another site, get English.
    program = await public.call("POST", "/v1/sign-in", json=wrong, headers=SPANISH_HEADERS)
    assert find_language("en", [program.document["detail"]])


@pytest.mark.slow
async def test_an_import_that_is_refused_at_its_end_says_so_in_spanish(server: HttpServer) -> None:
    """The problem is a line of a stream, which began before it was known."""
    made = await server.control.post("/v1/sign-in-links", user="ana")
    secret = made.document["url"].partition("#")[2]
    signed = await server.public.call("POST", "/v1/sign-in/link", json={"link": secret})
    page = {**SPANISH_HEADERS, "Origin": server.public.base, "Cookie": signed.cookie}
    frame = await server.public.call("GET", "/", headers={**page, "Accept": "text/html"})
    page["X-CSRF-Token"] = frame.document.partition('data-csrf="')[2].partition('"')[0]
    order = {"upload": "up_0", "options": {}, "plan": "0"}
    reply = await server.public.call("POST", "/v1/imports", json=order, headers=page)
    problem = reply.document[-1]["problem"] if isinstance(reply.document, list) else reply.document
    said = [problem["detail"], problem["hint"]]
    assert find_language("en", said) == [], said


@pytest.mark.slow
async def test_a_file_of_rejects_is_in_the_readers_language(console: ConsoleServer) -> None:
    """Its head and each reason; the code stays for programs."""
    rows = "Nombre;Teléfono;Origen\nAna;no tiene;x\nBeto;0800 555 0000;x\nCarla;12;x\n"
    await console.import_list(rows.encode())
    (past,) = await console.services.database.read(imports.list_imports)
    path = f"/prospects/imports/{past.record.id}/rejects.csv"
    file = (await get_page(console, path, Cookie="language=es")).document
    head, *found = csv.reader(io.StringIO(file))
    assert head == ["registro", "código", "motivo"]
    assert len(found) == 2
    assert find_language("en", [reason for _, _, reason in found]) == []
