"""The audit as people read it: who did what, about whom by name."""

from __future__ import annotations

import ast
from pathlib import Path

import daemon
from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.http.console.language import LANGUAGES, load_language
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


def test_every_action_has_words() -> None:
    """Each one that the sources name; else a page shows the word of the database."""
    product, actions = Path(daemon.__file__).parent, set[str]()
    for file in (each for each in product.rglob("*.py") if "http/console" not in str(each)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("audit_entry"):
                given = [each.value for each in node.keywords if each.arg == "action"]
                actions |= {
                    str(each.value)
                    for each in (given or node.args[3:4])
                    if isinstance(each, ast.Constant)
                }
    assert "create_prospect" in actions
    for code in LANGUAGES:
        words = load_language(code)
        assert [each for each in sorted(actions) if not words.has(f"action.{each}")] == []
