"""Prospects as documents: found by whatever one knows, listed page by page, told whole."""

from __future__ import annotations

import csv
import io
import json
from functools import partial

import pytest

from daemon.contacts.imports.options import IMPORT_COLUMNS
from daemon.http.console.imports import COLUMN_ORDER
from statemachines.message import MessageState
from storage import imports
from storage.column_formats import format_timestamp
from storage.prospects import ProspectRecord
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_ROW,
    HTMX_HEADERS,
    ConsoleServer,
    get_page,
    hold_messages,
    wait_for_message_state,
)
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow

LIST = (
    "Nombre;Teléfono;Rubro;Origen;Consentimiento\n"
    "Ana;+5491141234567;Panadería;feria;sí\n"
    "Beto;no tiene;Café;feria;sí\n"
    "Carla;+5491141234568;Gimnasio;web;no\n"
    "Dora;+5491141234569;Café;web;\n"
).encode()


async def person(console: ConsoleServer, name: str) -> ProspectRecord:
    """Return the prospect of this name."""
    found = await console.services.database.read(list_prospects)
    return next(each for each in found if each.name == name)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", ["Dora", "Carla", "Ana"]),
        ("text=gimn", ["Carla"]),
        ("text=4123-4567", ["Ana"]),
        ("text=011 15 4123-4567", ["Ana"]),
        ("text=WEB", ["Dora", "Carla"]),
        ("text=41", []),
        ("permission=refused", ["Carla"]),
        ("validation=validated", []),
    ],
)
async def test_people_are_found(console: ConsoleServer, asked: str, names: list[str]) -> None:
    """By trade, origin, part of a number however it is written, and by what is known of them."""
    await console.import_list(LIST)
    shown = (await get_page(console, f"/prospects?{asked}", **HTMX_HEADERS)).document
    places = [shown.find(f"<bdi>{name}</bdi>") for name in names]
    assert -1 not in places
    assert places == sorted(places)
    assert shown.count("prospect-row") == len(names)
    if not names:
        assert "No prospect matches" in shown


async def test_a_list_goes_on_where_it_stopped(console: ConsoleServer) -> None:
    """The next page is fetched by cursor, and adds rows alone."""
    await console.import_list(LIST)
    first = (await get_page(console, "/prospects?limit=2")).document
    assert first.count("prospect-row") == 2
    carla = await person(console, "Carla")
    assert f"after={carla.id}" in first
    rest = (
        await get_page(console, f"/prospects?limit=2&after={carla.id}", **HTMX_HEADERS)
    ).document
    assert rest.count("prospect-row") == 1
    assert "<ul" not in rest


async def test_a_life_is_told_from_the_list_to_the_last_word(console: ConsoleServer) -> None:
    """Imported, agreed, scored, suppressed, corrected: each with its why, newest first."""
    await console.import_list(LIST, statement="signed at the fair")
    ana = await person(console, "Ana")
    await console.api.call(
        "POST", f"/v1/prospects/{ana.id}/validate", json={"validated": True, "reason": "I called"}
    )
    order = {"phone": ana.contact, "reason": "asked on the phone"}
    await console.api.call("POST", "/v1/suppressions", json=order)
    during = (await get_page(console, f"/prospects/{ana.id}")).document
    assert "Do not write" in during
    assert f"/pieces/contacts/{ana.contact}/lift" in during
    order = {"phone": ana.contact, "reason": "the wrong Ana"}
    await console.api.call("POST", "/v1/suppressions/lift", json=order)
    shown = (await get_page(console, f"/pieces/prospects/{ana.id}")).document
    story = shown[shown.index('class="timeline"') :]
    told = ["Opt-out undone", "Opted out", "Scored 70", "I called", "Scored 30", "Agreed"]
    places = [*(story.index(words) for words in told), story.rindex("Imported")]
    assert places == sorted(places)
    assert "signed at the fair" in story
    assert "+5491141234567" not in shown


async def test_the_further_data_of_a_list_is_on_the_page_in_the_answer_and_in_the_export(
    console: ConsoleServer,
) -> None:
    """City and e-mail, and a column that was kept, as text; a formula runs nowhere."""
    text = "Nombre;Tel;Ciudad;Mail;=Talle\nAna;+5491141234567;Rosario;a@example.org;=<b>1</b>\n"
    await console.import_list(text.encode(), fields=["=Talle"])
    ana = await person(console, "Ana")
    shown = (await get_page(console, f"/prospects/{ana.id}")).document
    assert all(each in shown for each in ("Rosario", "a@example.org", "=&lt;b&gt;1&lt;/b&gt;"))
    answer = (await console.api.call("GET", f"/v1/prospects/{ana.id}")).document
    assert answer["fields"] == {"=Talle": "=<b>1</b>"}
    assert (answer["prospect"]["city"], answer["prospect"]["email"]) == ("Rosario", "a@example.org")
    exported = (await console.api.call("GET", "/v1/exports/prospects.csv")).document
    (row,) = csv.DictReader(io.StringIO(exported))
    assert (row["city"], row["'=Talle"]) == ("Rosario", "'=<b>1</b>")


async def test_a_report_tells_remarks_on_permission_from_others(console: ConsoleServer) -> None:
    """A date that can't be read lowers nobody's permission."""
    text = (
        "Nombre;Tel;Acepta;Fecha;Signo\nAna;+5491141234567;sí;;Leo\n"
        "Beto;+5491141234568;;hace mucho;\nCarla;+5491141234569;;01/02/26;\n"
    )
    await console.import_list(text.encode())
    (past,) = await console.services.database.read(imports.list_imports)
    shown = (await get_page(console, f"/prospects/imports/{past.record.id}")).document
    other, on_permission = (
        shown.split(f'id="{place}"', 1)[1].split("</section>", 1)[0]
        for place in ("other-remarks", "remarks")
    )
    assert "It says yes, but not how they agreed" in on_permission
    assert "The date is not understood" in other
    assert "Day and month of the date" in other
    assert "Columns that were not used: Signo." in shown


async def test_messages_and_answers_stand_in_the_life(console: ConsoleServer) -> None:
    """Held, approved by whom and why, read; then their words, and what was typed on the phone."""
    (message,) = await hold_messages(console, ANA_ROW)
    await console.services.review.approve(message, "eva", "I know her")
    await wait_for_message_state(console, message, {MessageState.READ})
    ana = await person(console, "Ana")
    for own, text in ((0, "¿Cuánto cuesta?"), (1, "")):
        sql = (
            "INSERT INTO inbound"
            " (id, session, wire_id, contact, at, received_at, text, request, own)"
            f" VALUES ('inb_{own}', 'ventas', 'w{own}', ?, ?, ?, ?, 'none', {own})"
        )
        at = format_timestamp(console.services.clock.now())
        values = (ana.contact, at, at, text)
        await console.services.database.write(partial(Tx.execute, sql=sql, params=values))
    shown = (await get_page(console, f"/prospects/{ana.id}")).document
    story = shown[shown.index('class="timeline"') :]
    told = ["They wrote", "Read", "Approved", "I know her", "Waiting for approval", "Imported"]
    places = [story.index(words) for words in told]
    assert places == sorted(places)
    assert "¿Cuánto cuesta?" in story
    assert "Written on the phone itself" in story
    assert f'href="/messages/{message}"' in story


async def test_one_entered_by_hand_was_never_imported(console: ConsoleServer) -> None:
    """Its life begins with whoever entered it."""
    order = {"phone": "+5491141234567", "cartera_origen": "a call", "name": "Ana"}
    made = await console.api.call("POST", "/v1/prospects", json=order)
    shown = (await get_page(console, f"/prospects/{made.document['id']}")).document
    assert "Entered by hand" in shown
    assert "Imported" not in shown


async def test_their_own_word_is_nobodys_to_correct(console: ConsoleServer) -> None:
    """Where the contact asked for it, the page says what ends it, and offers no correction."""
    await console.import_list(LIST)
    ana = await person(console, "Ana")
    await console.services.database.write(
        lambda tx: tx.execute(
            "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
            " VALUES ('h', ?, 'contact', 'BAJA', '2026-03-03T14:00:00.000Z')",
            (ana.contact,),
        )
    )
    shown = (await get_page(console, f"/prospects/{ana.id}")).document
    assert "They opted out themselves" in shown
    assert "/lift" not in shown


async def test_a_preview_says_exactly_what_would_be_imported(console: ConsoleServer) -> None:
    """The order on its button is the one that was looked at; whole numbers are nowhere."""
    upload = await console.api.call("POST", "/v1/uploads?filename=feria.csv", data=LIST)
    asked = f"/pieces/imports/preview?upload={upload.document['upload']}&region=ar&map.name=Rubro"
    shown = (await get_page(console, asked)).document
    assert "41234567" not in shown
    order = shown.split('data-import="')[1].split('"')[0].replace("&#34;", '"')
    options = json.loads(order)["options"]
    assert (options["region"], options["mapping"]) == ("AR", {"name": "Rubro"})
    assert await console.services.database.read(imports.list_imports) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("permission=opted_in", "without saying how they agreed"),
        ("permission=perhaps", "it may be opted_in, relationship"),
        ("map.phone=Fax", "has no header"),
    ],
)
async def test_a_preview_that_can_not_be_says_why(
    console: ConsoleServer, asked: str, said: str
) -> None:
    """The settings stay, so that they can be put right; there is no button."""
    upload = await console.api.call("POST", "/v1/uploads?filename=feria.csv", data=LIST)
    path = f"/pieces/imports/preview?upload={upload.document['upload']}&{asked}"
    shown = (await get_page(console, path)).document
    assert said in shown
    assert "data-import" not in shown
    assert "import-options" in shown


async def test_what_was_left_out_is_kept_and_told(console: ConsoleServer) -> None:
    """On the page of the list, and as a file; remarks are counted by sentence."""
    await console.import_list(LIST)
    (past,) = await console.services.database.read(imports.list_imports)
    shown = (await get_page(console, f"/prospects/imports/{past.record.id}")).document
    assert "The text is not a phone number." in shown
    assert "It says yes, but not how they agreed" in shown
    assert "l.csv" in (await get_page(console, "/prospects/import")).document
    reply = await get_page(console, f"/prospects/imports/{past.record.id}/rejects.csv")
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.document.splitlines() == [
        "record,reason_code,sentence",
        "3,not_a_number,The text is not a phone number.",
    ]
    brought = (await get_page(console, f"/prospects?import_id={past.record.id}")).document
    assert brought.count("prospect-row") == 3


async def test_one_may_be_entered_by_hand(console: ConsoleServer) -> None:
    """The question offers every permission that a person can vouch for."""
    shown = (await get_page(console, "/pieces/prospects/new")).document
    assert 'data-call="/v1/prospects"' in shown
    assert 'value="opted_in"' in shown


def test_no_column_is_forgotten() -> None:
    """The page offers each column that a header can be mapped to."""
    assert set(COLUMN_ORDER) == IMPORT_COLUMNS


async def test_the_consent_dialog_says_what_it_opens_or_why_it_can_not(
    console: ConsoleServer,
) -> None:
    """A form for who may agree; for who said no the reason, and nothing to fill in."""
    await console.import_list(LIST)
    dora, carla = await person(console, "Dora"), await person(console, "Carla")
    shown = (await get_page(console, f"/pieces/prospects/{dora.id}/consent")).document
    assert f'data-call="/v1/prospects/{dora.id}/consent"' in shown
    assert all(f'name="{name}"' in shown for name in ("how", "when", "heard_by", "words"))
    refused = (await get_page(console, f"/pieces/prospects/{carla.id}/consent")).document
    assert "They said no on" in refused
    assert "Only a message of theirs opens it again." in refused
    assert "<form" not in refused


async def test_a_record_can_be_withdrawn_from_the_page(console: ConsoleServer) -> None:
    """What grants something stands beside the permission; what was withdrawn no more."""
    await console.import_list(LIST)
    dora = await person(console, "Dora")
    consent = {"how": "paper", "when": "2026-03-01", "heard_by": "Eva", "words": "signed"}
    made = await console.api.post(f"/v1/prospects/{dora.id}/consent", **consent)
    path = f"/pieces/prospects/{dora.id}/withdraw/{made.document['record']}"
    shown = (await get_page(console, f"/prospects/{dora.id}")).document
    assert f'data-dialog="{path}"' in shown
    assert "Agreed on paper" in shown
    asked = (await get_page(console, path)).document
    assert f"/evidence/{made.document['record']}/withdraw" in asked
    record = made.document["record"]
    await console.api.post(f"/v1/prospects/{dora.id}/evidence/{record}/withdraw", reason="not hers")
    after = (await get_page(console, f"/prospects/{dora.id}")).document
    assert f'data-dialog="{path}"' not in after


async def test_a_dossier_is_whole_and_in_the_readers_words(console: ConsoleServer) -> None:
    """The number is not masked, states have the words of the pages; the forgotten have none."""
    await console.import_list(LIST)
    carla = await person(console, "Carla")
    path = f"/prospects/{carla.id}/dossier"
    shown = (await get_page(console, path, **{"Accept-Language": "es-AR"})).document
    for text in (carla.phone, "Dijo que no", "De dónde salieron", "vio todo lo guardado de"):
        assert text in shown
    assert "refused" not in shown.partition("<main")[2]
    dialog = (await get_page(console, f"/pieces/prospects/{carla.id}/forget")).document
    assert "Forget Carla?" in dialog
    await console.api.post(f"/v1/prospects/{carla.id}/forget", reason="They asked")
    assert (await console.api.call("GET", path)).status == 404
