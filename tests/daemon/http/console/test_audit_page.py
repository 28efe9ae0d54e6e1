"""The audit as people read it: who did what, about whom by name."""

from __future__ import annotations

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from storage.inbound_reviews import Meaning
from tests.helpers.client.console import ConsoleServer, get_page
from tests.helpers.client.http import DAYTIME
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


async def test_a_classification_leads_to_its_message_with_the_name(console: ConsoleServer) -> None:
    """What they wrote, whose it is, and the reason of the daemon in the reader's language."""
    await console.add_ready_session()
    await console.import_list(PEOPLE.encode(), statement="ticked the box")
    for number, text in enumerate(("el lunes te digo", "BAJA")):
        sender = parse_identity("+5491141234567")
        await console.services.signal_handlers.inbound.handle_inbound(
            "ventas", InboundMessage(f"W{number}", sender, text, DAYTIME)
        )
    (row,) = await console.services.database.read(
        lambda r: r.all("SELECT id FROM inbound WHERE wire_id = 'W0'")
    )
    await console.services.classification.classify(row["id"], Meaning.NEITHER, who="eva")
    shown = (await get_page(console, "/audit", **{"Accept-Language": "es-AR"})).document
    assert f'<a href="/review/meanings/{row["id"]}"><bdi>שרה</bdi></a>' in shown
    assert "“pidió la baja en un mensaje”" in shown
    assert "clasificó un mensaje de" in shown
    assert "motivo: No se entendió" in shown
    assert "quiso decir: Ni sí ni no" in shown
