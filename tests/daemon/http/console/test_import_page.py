"""The import pages: what is known of a file before it is imported, and after."""

from __future__ import annotations

from storage import imports
from tests.helpers.client.console import ConsoleServer, get_page
from tests.helpers.services.database import list_prospects

LIST = "nombre;teléfono;origen\nAna;+5491141234567;feria\n".encode()


async def preview_upload(console: ConsoleServer, content: bytes, name: str, asked: str = "") -> str:
    """Upload a file; return the piece of its preview."""
    upload = await console.api.call("POST", f"/v1/uploads?filename={name}", data=content)
    path = f"/pieces/imports/preview?upload={upload.document['upload']}{asked}"
    return str((await get_page(console, path)).document)


async def test_the_same_bytes_are_known_by_any_name(console: ConsoleServer) -> None:
    """With who and when, and a link to the report; another import of them is on its report."""
    assert "known-file" not in await preview_upload(console, LIST, "feria.csv")
    await console.import_list(LIST)
    (past,) = await console.services.database.read(imports.list_imports)
    link = f'href="/prospects/imports/{past.record.id}"'
    shown = await preview_upload(console, LIST, "otra.csv")
    assert "known-file" in shown
    assert link in shown
    assert "l.csv" in shown
    await console.import_list(LIST, cartera_origen="padrón")
    (second, _) = await console.services.database.read(imports.list_imports)
    report = (await get_page(console, f"/prospects/imports/{second.record.id}")).document
    assert link in report
    assert "nothing was done again" not in report
    repeated = f"/prospects/imports/{second.record.id}?repeated=1"
    assert "nothing was done again" in (await get_page(console, repeated)).document


async def test_who_is_here_already_is_a_table_with_one_tick(console: ConsoleServer) -> None:
    """What the tick does is on the button once it is ticked; nobody's number is shown."""
    await console.import_list(LIST)
    again = "nombre;teléfono;ciudad;consentimiento\nAna;+5491141234567;Rosario;sí\n".encode()
    shown = await preview_upload(console, again, "dos.csv", "&statement=form")
    assert "1 person of the list is here already" in shown
    assert "1 says yes with evidence: record it" in shown
    assert '<tr id="known-2"><td>Ana' in shown
    assert "41234567" not in shown
    assert '"record_consents": false' in shown.replace("&#34;", '"')
    ticked = await preview_upload(console, again, "dos.csv", "&statement=form&record_consents=true")
    assert "Public listing, no consent → Agreed" in ticked
    assert '"record_consents": true' in ticked.replace("&#34;", '"')


async def test_where_the_people_are_from_is_kept_in_words(console: ConsoleServer) -> None:
    """The person's page has them beside the origin, for who is asked."""
    await console.import_list(LIST, origen_en_palabras="la feria de mayo")
    (ana,) = await console.services.database.read(list_prospects)
    assert "«la feria de mayo»" in (await get_page(console, f"/prospects/{ana.id}")).document


async def test_a_file_that_needs_an_encoding_has_a_field_for_it(console: ConsoleServer) -> None:
    """And one for the sheet; once it is read they are in the fold with the columns."""
    unread = await preview_upload(console, b"nombre\nAna\n", "l.csv")
    read = await preview_upload(console, LIST, "l.csv", "&encoding=utf-8")
    for shown in (unread, read):
        assert 'name="encoding"' in shown
        assert 'name="sheet"' in shown
    assert 'value="utf-8"' in read


async def test_an_import_is_undone_from_its_report(console: ConsoleServer) -> None:
    """The dialog says what it does; the page then has who stays, by name, and no button."""
    content = "nombre;teléfono;consentimiento\nAna;+5491141234567;\nBeto;+5491141234568;no\n"
    await console.import_list(content.encode())
    (past,) = await console.services.database.read(imports.list_imports)
    path, piece = f"/prospects/imports/{past.record.id}", f"/pieces/imports/{past.record.id}"
    assert f'data-dialog="{piece}/undo"' in (await get_page(console, path)).document
    dialog = (await get_page(console, f"{piece}/undo")).document
    assert f'data-call="/v1/imports/{past.record.id}/undo"' in dialog
    assert "Refusals and opt-outs stay always." in dialog
    reply = await console.api.call(
        "POST", f"/v1/imports/{past.record.id}/undo", json={"reason": "the wrong list"}
    )
    assert reply.status == 202
    await console.services.import_undo.finish_all()
    shown = (await get_page(console, f"{piece}/undone")).document
    assert "Import undone: 1 removed" in shown
    assert "Beto" in shown
    assert "said no: stays always" in shown
    assert "data-dialog" not in shown
    again = await console.api.call(
        "POST", f"/v1/imports/{past.record.id}/undo", json={"reason": "the wrong list"}
    )
    assert (again.status, again.document["code"]) == (409, "conflict")
