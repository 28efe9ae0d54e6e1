"""A delivery: who qualifies, what is frozen, what a client gets, and what becomes of each row."""

from __future__ import annotations

import csv
import hashlib
import io
import sqlite3
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from python_calamine import CalamineWorkbook

from daemon.api.effects import Intent
from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.deliveries.qualification import LeftOutReason
from daemon.deliveries.service import DeliveryDetail, DeliveryRequest
from daemon.errors import BadRequest, Conflict, NotFound
from storage import contacts, decision_entries, delivery_queries, prospects
from storage.client_terms import USUAL_COLUMNS, DeliveryTerms
from storage.clients import ClientRecord
from storage.deliveries import DeliveryFormat, DeliveryGround
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord
from storage.tx import Reader
from tests.helpers.services.messaging import (
    GATE_WITHOUT_VETOES,
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules

ALREADY, UNREACHABLE = "Ya era cliente", "No contesta"
TERMS = DeliveryTerms(
    price_cents=450_000,
    currency="ARS",
    dispute_days=7,
    reasons=(ALREADY, UNREACHABLE),
    exclusive_days=30,
    columns=USUAL_COLUMNS,
    silence_accepts=True,
    language="es",
)
DAY = 86_400


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open the services with a session that is ready."""
    rules = write_gate_rules(tmp_path, GATE_WITHOUT_VETOES)
    async with open_messaging_services(tmp_path, rules=rules) as opened:
        await opened.add_session()
        yield opened


async def add_client(
    services: MessagingServices, name: str = "Dentalia SA", terms: DeliveryTerms = TERMS
) -> ClientRecord:
    """Add a client with terms."""
    client = await services.sharing.add_client(name, "eva")
    await services.client_terms.set_terms(client.id, terms, "eva")
    return client


async def add_writer(
    services: MessagingServices, number: int, name: str, text: str = "Sí, me interesa"
) -> ProspectRecord:
    """Add a validated prospect who wrote; nobody has read it yet."""
    phone = build_phone(number)
    contact = await services.add_prospect(phone)
    signal = InboundMessage(f"IN-{number}", parse_identity(phone), text, services.clock.now())
    await services.signal_handlers.inbound.handle_inbound("main", signal)
    await services.execute_sql("UPDATE prospects SET name = ? WHERE contact = ?", name, contact)
    return await get_prospect(services, contact)


async def get_prospect(services: MessagingServices, contact: str) -> ProspectRecord:
    """Return the prospect of a contact."""

    def read(reader: Reader) -> ProspectRecord:
        found = prospects.find_prospect_by_contact(reader, contact)
        assert found is not None
        return found

    return await services.database.read(read)


async def add_ready(
    services: MessagingServices,
    client: ClientRecord,
    number: int,
    name: str,
    text: str = "Sí, me interesa",
) -> ProspectRecord:
    """Add somebody who is interested, as a person recorded, and whom the client may write to."""
    prospect = await add_writer(services, number, name, text)
    await services.outcomes.record(prospect.contact, Outcome.INTERESTED, "eva")
    await services.sharing.record_answer(prospect.contact, client.id, "eva", allowed=True)
    return await get_prospect(services, prospect.contact)


async def freeze(services: MessagingServices, client: ClientRecord) -> DeliveryDetail:
    """Freeze all that qualifies now."""
    request = DeliveryRequest(client=client.id)
    preview = await services.deliveries.preview(request)
    return await services.deliveries.freeze(request, "leo", hash_=preview.hash)


async def list_left_out(
    services: MessagingServices, request: DeliveryRequest
) -> dict[str, LeftOutReason]:
    """Return who is left out of a delivery, and why."""
    preview = await services.deliveries.preview(request)
    return {each.name: each.reason for each in preview.left_out}


def read_sheets(content: bytes) -> dict[str, list[list[Any]]]:
    """Return the cells of each sheet of a workbook, as a reader of another maker finds them."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


async def test_everybody_who_does_not_qualify_is_named_with_the_reason(
    services: MessagingServices,
) -> None:
    """Each for one lack of its own; who qualifies is frozen with four pieces of evidence."""
    client, other = await add_client(services), await add_client(services, "Odonto SRL")
    paula = await add_ready(services, client, 1, "Paula Núñez", "¿Cuánto sale?")
    silent = await services.add_prospect(build_phone(2))
    await services.execute_sql("UPDATE prospects SET name = 'Callado' WHERE contact = ?", silent)
    proposed = await add_writer(services, 3, "Propuesta")
    unasked = await add_writer(services, 4, "Sin pregunta")
    await services.outcomes.record(unasked.contact, Outcome.INTERESTED, "eva")
    refused = await add_ready(services, client, 5, "Otra respuesta")
    await services.sharing.record_answer(refused.contact, client.id, "eva", allowed=False)
    gone = await add_ready(services, client, 6, "Baja")
    await services.suppress(gone.phone)
    landline = await add_ready(services, client, 7, "Sin validar")
    await services.execute_sql(
        "UPDATE prospects SET validado_tecnicamente = NULL WHERE id = ?", landline.id
    )
    taken = await add_ready(services, client, 8, "De otro")
    await services.sharing.record_answer(taken.contact, other.id, "eva", allowed=True)
    only = DeliveryRequest(client=other.id, ids=[taken.id])
    shown = await services.deliveries.preview(only)
    await services.deliveries.freeze(only, "leo", hash_=shown.hash)
    mind = await add_ready(services, client, 9, "Cambió de idea")
    await services.outcomes.record(mind.contact, Outcome.NOT_INTERESTED, "eva", refuse=False)
    ids = [
        (await get_prospect(services, each)).id
        for each in (silent, *(p.contact for p in (paula, proposed, unasked, refused, gone)))
    ]
    request = DeliveryRequest(client=client.id, ids=[*ids, landline.id, taken.id, mind.id])
    expected = {
        "Callado": LeftOutReason.NO_INTENT,
        "Propuesta": LeftOutReason.NOT_CONFIRMED,
        "Sin pregunta": LeftOutReason.SHARING_UNKNOWN,
        "Otra respuesta": LeftOutReason.SHARING_REFUSED,
        "Baja": LeftOutReason.SUPPRESSED,
        "Sin validar": LeftOutReason.NOT_VALIDATED,
        "De otro": LeftOutReason.EXCLUSIVE,
        "Cambió de idea": LeftOutReason.NO_INTENT,
    }
    assert await list_left_out(services, request) == expected
    preview = await services.deliveries.preview(request)
    assert [each.name for each in preview.left_out if each.decidable] == ["Sin pregunta"]
    [qualified] = preview.people
    assert (qualified.id, qualified.row.ground) == (paula.id, DeliveryGround.MAY_SHARE)
    facts = {each.fact.value: (each.value, each.quote) for each in qualified.row.evidence}
    assert (facts["intent"], facts["sharing"]) == (
        *(("asked", "¿Cuánto sale?"), ("may_share", "¿Cuánto sale?")),
    )
    detail = await services.deliveries.freeze(request, "leo", hash_=preview.hash)
    assert [each.name for each in detail.rows] == ["Paula Núñez"]
    again = await list_left_out(services, request)
    assert again == expected | {"Paula Núñez": LeftOutReason.DELIVERED_BEFORE}


async def test_a_proposal_alone_delivers_nobody(services: MessagingServices) -> None:
    """Neither what the listener reads, nor with permission to share; a person's word does."""
    client = await add_client(services)
    ana = await add_writer(services, 1, "Ana")
    await services.sharing.record_answer(ana.contact, client.id, "eva", allowed=True)
    assert (await get_prospect(services, ana.contact)).intent in {Intent.CLEAR, Intent.ASKED}
    with pytest.raises(Conflict, match="Nobody qualifies"):
        await freeze(services, client)
    await services.outcomes.record(ana.contact, Outcome.INTERESTED, "eva")
    assert [each.name for each in (await freeze(services, client)).rows] == ["Ana"]


async def test_without_may_share_only_a_decision_delivers(services: MessagingServices) -> None:
    """It has a reason, is stored and shown as the ground; a "no" of theirs is above it."""
    client = await add_client(services)
    ana = await add_writer(services, 1, "Ana")
    await services.outcomes.record(ana.contact, Outcome.INTERESTED, "eva")
    request = DeliveryRequest(client=client.id, decided=[ana.id])
    preview = await services.deliveries.preview(request)
    with pytest.raises(BadRequest, match="reason"):
        await services.deliveries.freeze(request, "leo", hash_=preview.hash)
    detail = await services.deliveries.freeze(
        request, "leo", hash_=preview.hash, decision="She told us on the phone"
    )
    assert detail.rows[0].ground is DeliveryGround.DECISION
    sharing = detail.rows[0].evidence[-1]
    assert (sharing.source, sharing.quote) == ("leo", "She told us on the phone")
    subject = f"delivery.{detail.delivery.id}"
    entry = await services.database.read(
        lambda reader: decision_entries.find_decision_entry(reader, subject)
    )
    assert entry is not None
    assert (entry.who, entry.value, entry.reason) == ("leo", 1, "She told us on the phone")
    beto = await add_writer(services, 2, "Beto")
    await services.outcomes.record(beto.contact, Outcome.INTERESTED, "eva")
    await services.sharing.record_answer(beto.contact, client.id, "eva", allowed=False)
    both = DeliveryRequest(client=client.id, ids=[beto.id], decided=[beto.id])
    assert await list_left_out(services, both) == {"Beto": LeftOutReason.SHARING_REFUSED}


async def test_a_yes_to_one_client_is_none_to_another(services: MessagingServices) -> None:
    """Each was named to them; a later no to one leaves the yes to the other."""
    client, other = await add_client(services), await add_client(services, "Odonto SRL")
    ana = await add_ready(services, client, 1, "Ana")
    unasked = {"Ana": LeftOutReason.SHARING_UNKNOWN}
    assert await list_left_out(services, DeliveryRequest(client=other.id)) == unasked
    await services.sharing.record_answer(ana.contact, other.id, "eva", allowed=False)
    assert await list_left_out(services, DeliveryRequest(client=client.id)) == {}


async def test_what_was_frozen_keeps_its_bytes_and_its_terms(services: MessagingServices) -> None:
    """After a prospect is corrected, terms change, and by SQL; each download is audited."""
    client = await add_client(services)
    paula = await add_ready(services, client, 1, "Paula Núñez")
    detail = await freeze(services, client)
    id_ = detail.delivery.id
    await services.prospects.update_texts(paula.id, "eva", "wrong name", {"name": "Paola"})
    await services.client_terms.set_terms(client.id, replace(TERMS, price_cents=1), "eva")
    for file in detail.files:
        got = await services.deliveries.download(id_, 0, file.format, "leo")
        assert (hashlib.sha256(got.content).hexdigest(), got.whole) == (file.hash, True)
        assert got.name == f"delivery-1.{file.format}"
    now = await services.deliveries.get_delivery(id_)
    assert (now.rows[0].name, now.delivery.price_cents) == ("Paula Núñez", 450_000)
    downloads = [each for each in await services.list_audit_entries() if each[2] == id_]
    assert [each[:2] for each in downloads] == [
        ("leo", "delivery_frozen"),
        *[("leo", "delivery_downloaded")] * 2,
    ]
    for statement in (
        "UPDATE delivery_rows SET name = 'x'",
        "UPDATE delivery_rows SET number = 9",
        "UPDATE delivery_rows SET state = 'replaced'",
        "DELETE FROM delivery_rows",
        "UPDATE delivery_files SET content = NULL",
        "UPDATE delivery_files SET hash = 'x'",
        "DELETE FROM delivery_files",
        "UPDATE deliveries SET price_cents = 1",
        "DELETE FROM deliveries",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            await services.execute_sql(statement)
    with pytest.raises(NotFound):
        await services.deliveries.download(id_, 3, DeliveryFormat.CSV, "leo")


async def test_no_cell_is_a_number_or_a_formula(services: MessagingServices) -> None:
    """A reader of another maker finds texts; the second sheet has evidence and meanings."""
    client = await add_client(services)
    await add_ready(services, client, 1, "=1+1", "=SUM(A1) ¿Cuánto sale?")
    detail = await freeze(services, client)
    made = {
        each: (await services.deliveries.download(detail.delivery.id, 0, each, "leo")).content
        for each in DeliveryFormat
    }
    sheets = read_sheets(made[DeliveryFormat.XLSX])
    assert list(sheets) == ["Prospectos", "Evidencia"]
    header, row = sheets["Prospectos"]
    cells = dict(zip(header, row, strict=True))
    assert (cells["N.º"], cells["Nombre"], cells["WhatsApp"], cells["Intención de compra"]) == (
        *("1", "=1+1", "+54 9 11 4556 0001", "La pidió"),
    )
    assert str(cells["Sus palabras"]).startswith("=SUM(A1)")
    assert str(cells["Número verificado"]) == "Nos escribió, 03/03/2026"
    evidence_sheet = sheets["Evidencia"]
    assert [line[1] for line in evidence_sheet[1:5]] == [
        *("Número verificado", "Por qué se le escribió", "Intención de compra"),
        "Se puede entregar",
    ]
    meanings = [line[2:5:2] for line in evidence_sheet[7:]]
    assert ["La pidió", "Pidió precio, una visita o la compra misma."] in meanings
    text = made[DeliveryFormat.CSV].decode("utf-8-sig")
    [_, line] = csv.reader(io.StringIO(text))
    assert line[:3] == ["1", "'=1+1", "+54 9 11 4556 0001"]


async def test_what_moved_since_the_preview_is_not_frozen(services: MessagingServices) -> None:
    """Somebody opts out in between; a client without terms gets nothing."""
    client = await add_client(services)
    ana = await add_ready(services, client, 1, "Ana")
    await add_ready(services, client, 2, "Beto")
    request = DeliveryRequest(client=client.id)
    preview = await services.deliveries.preview(request)
    await services.suppress(ana.phone)
    with pytest.raises(Conflict, match="another one by now"):
        await services.deliveries.freeze(request, "leo", hash_=preview.hash)
    assert await services.deliveries.list_deliveries() == []
    bare = await services.sharing.add_client("Sin trato", "eva")
    with pytest.raises(Conflict, match="no terms yet"):
        await services.deliveries.preview(DeliveryRequest(client=bare.id))
    with pytest.raises(NotFound, match="no terms yet"):
        await services.client_terms.get_terms(bare.id)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"currency": "pesos"}, "currency"),
        ({"language": "fr"}, "language"),
        ({"columns": ("name",)}, "columns"),
        ({"reasons": ()}, "reasons"),
        ({"reasons": ("  ",)}, "reasons"),
    ],
)
async def test_terms_that_make_no_sense_are_refused(
    services: MessagingServices, change: dict[str, object], named: str
) -> None:
    """By the name of the field."""
    client = await services.sharing.add_client("Dentalia SA", "eva")
    with pytest.raises(BadRequest, match=named):
        await services.client_terms.set_terms(
            client.id,
            replace(TERMS, **change),  # by name
            "eva",
        )


async def count_money(services: MessagingServices, month: str = "2026-03") -> tuple[int, int]:
    """Return how many rows were accepted in a month, and what is owed for them."""
    found = await services.settlement.list_money(month)
    return sum(each.accepted for each in found), sum(each.amount_cents for each in found)


async def test_dispute_and_replacement_and_the_money_at_each_step(
    services: MessagingServices,
) -> None:
    """Accepted counts by the frozen price; a disputed row counts once it is settled so."""
    client, settle = await add_client(services), services.settlement
    for number, name in enumerate(("Ana", "Beto", "Caro", "Dino"), 1):
        await add_ready(services, client, number, name)
    detail = await freeze(services, client)
    id_, today = detail.delivery.id, date(2026, 3, 3)
    await services.client_terms.set_terms(client.id, replace(TERMS, price_cents=1), "eva")
    await settle.accept(id_, 1, "leo")
    assert await count_money(services) == (1, 450_000)
    for wrong, on in (("Otra cosa", today), (ALREADY, today + timedelta(days=1))):
        with pytest.raises(BadRequest):
            await settle.dispute(id_, 2, "leo", reason=wrong, on=on)
    for number in (2, 3, 4):
        detail = await settle.dispute(id_, number, "leo", reason=ALREADY, on=today, note="mail")
    assert detail.delivery.counts == {"accepted": 1, "disputed": 3}
    assert await count_money(services) == (1, 450_000)
    with pytest.raises(BadRequest):
        await settle.accept(id_, 2, "leo")
    await settle.accept(id_, 2, "leo", note="They had bought elsewhere")
    assert await count_money(services) == (2, 900_000)
    await settle.withdraw(id_, 3, "leo", note="They are right")
    eva = await add_ready(services, client, 5, "Eva")
    with pytest.raises(Conflict, match="has them already"):
        await settle.replace(id_, 4, "leo", prospect=detail.rows[0].prospect or "", note="so it is")
    detail = await settle.replace(id_, 4, "leo", prospect=eva.id, note="They are right")
    assert [(each.number, each.state, each.replaces) for each in detail.rows] == [
        *((1, "accepted", None), (2, "accepted", None), (3, "withdrawn", None)),
        *((4, "replaced", None), (5, "delivered", 4)),
    ]
    assert await count_money(services) == (2, 900_000)
    await settle.accept(id_, 5, "leo")
    with pytest.raises(Conflict, match="can't be accepted from there"):
        await settle.accept(id_, 5, "leo")
    assert await count_money(services) == (3, 1_350_000)
    assert await count_money(services, "2026-04") == (0, 0)
    parts = [(each.part, each.format) for each in detail.files]
    assert parts == [(0, "xlsx"), (0, "csv"), (5, "xlsx"), (5, "csv")]
    extra = await services.deliveries.download(id_, 5, DeliveryFormat.CSV, "leo")
    assert (extra.name, "Eva" in extra.content.decode()) == ("delivery-1-row-5.csv", True)
    with pytest.raises(Conflict, match="can't be disputed"):
        await settle.dispute(id_, 1, "leo", reason=ALREADY, on=today)
    text = await settle.export_money("2026-03")
    assert text.splitlines()[1] == "Dentalia SA,1,3,4500.00,13500.00,ARS,2026-03"
    for month in ("2026-13", "9999-12", "marzo"):
        with pytest.raises(BadRequest, match="month"):
            await settle.list_money(month)
    moves = [(m.row, m.state, m.reason, m.disputed_on, m.note) for m in detail.moves]
    assert moves[1] == (2, "disputed", ALREADY, today, "mail")
    changed = [each for each in services.published if each.type == "delivery.row_changed"]
    assert [each.data["state"] for each in changed][-2:] == ["replaced", "accepted"]


async def test_silence_accepts_after_the_last_day_where_the_terms_say_so(
    services: MessagingServices,
) -> None:
    """Not on that day, not the disputed ones, and not for a client who agreed to no such thing."""
    client = await add_client(services)
    careful = await add_client(services, "Odonto SRL", replace(TERMS, silence_accepts=False))
    await add_ready(services, client, 1, "Ana")
    await add_ready(services, client, 2, "Beto")
    await add_ready(services, careful, 3, "Caro")
    first = (await freeze(services, client)).delivery.id
    second = (await freeze(services, careful)).delivery.id
    await services.settlement.dispute(first, 2, "leo", reason=ALREADY, on=date(2026, 3, 3))
    await services.clock.leap(7 * DAY)
    assert await services.settlement.accept_silent_rows() == 0
    await services.clock.leap(DAY)
    assert await services.settlement.accept_silent_rows() == 1
    detail = await services.deliveries.get_delivery(first)
    assert [each.state for each in detail.rows] == ["accepted", "disputed"]
    assert detail.moves[-1].who == "deadline"
    assert (await services.deliveries.get_delivery(second)).rows[0].state == "delivered"
    with pytest.raises(BadRequest, match="could be disputed until 2026-03-10"):
        await services.settlement.dispute(second, 1, "leo", reason=ALREADY, on=date(2026, 3, 11))


async def test_who_opts_out_later_is_in_the_clients_file_until_it_is_reported(
    services: MessagingServices,
) -> None:
    """By row, name and day; a file that has others by now is not reported."""
    client = await add_client(services)
    ana = await add_ready(services, client, 1, "Ana")
    beto = await add_ready(services, client, 2, "Beto")
    await freeze(services, client)
    settle = services.settlement
    assert await settle.list_later_opt_outs(client.id) == []
    await services.clock.leap(3 * DAY)
    await services.suppress(ana.phone)
    [found] = await settle.list_later_opt_outs()
    assert (found.row, found.name, found.reported_at) == (1, "Ana", None)
    file = await settle.download_later_opt_outs(client.id, "leo")
    [_, line] = csv.reader(io.StringIO(file.content.decode("utf-8-sig")))
    assert line == ["1", "1", "Ana", "+54 9 11 4556 0001", "2026-03-06"]
    await services.suppress(beto.phone)
    with pytest.raises(Conflict, match="has 2 people now"):
        await settle.report_later_opt_outs(client.id, "leo", count=1)
    reported = await settle.report_later_opt_outs(client.id, "leo", count=2)
    assert [each.reported_at is None for each in reported] == [False, False]
    actions = [each[1] for each in await services.list_audit_entries() if each[2] == client.id]
    assert actions[-2:] == ["later_opt_outs_downloaded", "later_opt_outs_reported"]


async def test_who_takes_their_yes_to_sharing_back_is_in_that_clients_file(
    services: MessagingServices,
) -> None:
    """Of this client alone, while it stands; they may still be written to by us."""
    client, other = await add_client(services), await add_client(services, "Odonto SRL")
    ana = await add_ready(services, client, 1, "Ana")
    beto = await add_ready(services, client, 2, "Beto")
    await freeze(services, client)
    settle = services.settlement
    await services.clock.leap(DAY)
    now = services.clock.now()
    signal = InboundMessage("IN-NO", parse_identity(ana.phone), "No les pasen mi contacto", now)
    await services.signal_handlers.inbound.handle_inbound("main", signal)
    await services.sharing.record_answer(ana.contact, client.id, "eva", allowed=False)
    await services.sharing.record_answer(beto.contact, other.id, "eva", allowed=False)
    [found] = await settle.list_later_opt_outs()
    assert (found.client, found.name, found.opted_out_at) == (client.id, "Ana", now)
    file = await settle.download_later_opt_outs(client.id, "leo")
    [_, line] = csv.reader(io.StringIO(file.content.decode("utf-8-sig")))
    assert line == ["1", "1", "Ana", "+54 9 11 4556 0001", "2026-03-04"]
    counts = await services.database.read(delivery_queries.count_unreported_opt_outs)
    assert counts == [(client.id, "Dentalia SA", 1)]
    await services.sharing.record_answer(ana.contact, client.id, "eva", allowed=True)
    assert await settle.list_later_opt_outs() == []


async def test_of_a_forgotten_person_the_row_stays_without_them(
    services: MessagingServices,
) -> None:
    """State, price and hash stay; name, number, words and the old bytes are gone."""
    client = await add_client(services)
    ana = await add_ready(services, client, 1, "Ana Peña", "¿Cuánto sale la ortodoncia?")
    await add_ready(services, client, 2, "Beto")
    detail = await freeze(services, client)
    id_ = detail.delivery.id
    await services.settlement.dispute(
        id_, 1, "leo", reason=ALREADY, on=date(2026, 3, 3), note="Ana Peña is known"
    )
    await services.settlement.accept(id_, 1, "leo", note="Ana Peña is not")
    dossier = await services.personal_data.build_dossier(ana.id, "leo")
    sections = {each.name: each.rows for each in dossier.sections}
    assert sections["deliveries"][0]["client"] == "Dentalia SA"
    assert [each["note"] for each in sections["delivery_moves"]] == [
        *("Ana Peña is known", "Ana Peña is not"),
    ]
    await services.clock.leap(60)
    await services.personal_data.forget(ana.id, "leo", "They asked for it")
    after = await services.deliveries.get_delivery(id_)
    row = after.rows[0]
    assert (row.name, row.phone, row.evidence, row.contact, row.erased, row.state) == (
        *("", "", (), None, True, "accepted"),
    )
    assert [each.note for each in after.moves] == ["", ""]
    assert await count_money(services) == (1, 450_000)
    assert [(f.hash, f.whole) for f in after.files] == [(f.hash, False) for f in detail.files]
    stored = await services.query_rows("SELECT content FROM delivery_files")
    assert stored == [(None,), (None,)]
    got = await services.deliveries.download(id_, 0, DeliveryFormat.XLSX, "leo")
    sheets = read_sheets(got.content)
    assert got.whole is False
    assert "borráramos" in str(sheets["Prospectos"][1])
    assert sheets["Prospectos"][2][1] == "Beto"
    assert "ortodoncia" not in str(sheets)
    [told] = await services.settlement.list_later_opt_outs(client.id)
    assert (told.row, told.erased, told.name) == (1, True, "")


async def test_a_merged_contact_takes_their_rows_with_them(services: MessagingServices) -> None:
    """Who was delivered under one number is delivered under the other too."""
    client = await add_client(services)
    elder = await services.resolve_contact("+34600000009")
    ana = await add_ready(services, client, 1, "Ana")
    await freeze(services, client)
    both = [
        alias
        for number in ("+34600000009", ana.phone)
        for alias in services.aliases.from_phone(number)
    ]
    now = services.clock.now()
    await services.database.write(lambda tx: contacts.resolve_contact(tx, both, now))
    rows = await services.query_rows("SELECT contact FROM delivery_rows")
    assert rows == [(elder,)]
    left_out = await list_left_out(services, DeliveryRequest(client=client.id))
    assert left_out == {"Ana": LeftOutReason.DELIVERED_BEFORE}
