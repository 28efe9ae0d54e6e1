"""The audit as people read it: who did what, about whom by name."""

from __future__ import annotations

from tests.helpers.client.console import ConsoleServer
from tests.helpers.services.database import list_prospects

PEOPLE = (
    "Nombre;Teléfono;Origen;Consentimiento\nשרה;+5491141234567;feria;sí\n;+5491141234568;feria;no\n"
)


async def test_a_line_names_whom_it_is_about(console: ConsoleServer) -> None:
    """The name leads to their page, in its own direction; who has none is told by the id."""
    await console.import_list(PEOPLE.encode(), statement="ticked the box")
    found = await console.services.database.read(list_prospects)
    word = {"validated": True, "reason": "I called them"}
    for each in found:
        await console.api.call("POST", f"/v1/prospects/{each.id}/validate", json=word)
    shown = (await console.api.get("/audit?action=validate_by_hand")).document
    for each in found:
        said = "<bdi>שרה</bdi>" if each.name else f"<code>{each.id}</code>"
        assert f'<a href="/prospects/{each.id}">{said}</a>' in shown
