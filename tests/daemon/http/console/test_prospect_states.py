"""The pages of prospects and imports in every state, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.api.effects import Intent
from daemon.api.signals import InboundKind
from daemon.api.transport import OnWhatsApp
from daemon.auth import ROLE_SCOPES, Role
from daemon.gate.consent import Permission
from daemon.http.console.evidence_view import EVIDENCE_SEVERITY
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, evidence, imports, inbound, prospects
from storage.evidence import EvidenceKind
from storage.imports import ImportRowOutcome
from storage.inbound import InboundRecord
from storage.prospects import ProspectRecord
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_ROW,
    BETO_ROW,
    HTMX_HEADERS,
    LANDLINE_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    move_message_to_state,
    open_console,
    render,
)
from tests.helpers.client.http import DAYTIME, build_settings
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow

ANA = "+5491141234567"
LISTS = ("/prospects", "/review", "/review/numbers", "/pieces/review/queue", "/prospects/import")
MANY_REJECTS = (
    "Nombre;Teléfono;Origen;Consentimiento\n"
    "Ana;+5491141234567;feria;sí\n"
    "Ana;+5491141234567;feria;sí\n"
    "Carla;+541143219876;feria;no\n"
    "Dora;0800 555 0000;web;\n" + "".join(f"N{n};no tiene;web;\n" for n in range(102))
).encode()


async def find_prospect(console: ConsoleServer, name: str = "Ana") -> ProspectRecord:
    """Return the prospect of a name."""
    found = await console.services.database.read(list_prospects)
    return next(each for each in found if each.name == name)


async def update(console: ConsoleServer, prospect: ProspectRecord, **columns: object) -> None:
    """Store other columns of a prospect."""
    await console.services.database.write(
        lambda tx: prospects.update_prospect(tx, prospect.id, at=DAYTIME, **columns)
    )


def list_paths(prospect: ProspectRecord) -> list[str]:
    """Return every page and piece of one prospect."""
    piece, case = f"/pieces/prospects/{prospect.id}", f"/pieces/review/cases/{prospect.id}"
    return [
        *(f"/prospects/{prospect.id}", f"/review/{prospect.id}"),
        *(piece, f"{piece}/validate", f"{piece}/validate?case={prospect.id}", f"{piece}/correct"),
        *(case, f"{case}/approve", f"{case}/reject"),
        f"/pieces/contacts/{prospect.contact}/suppress",
        f"/pieces/contacts/{prospect.contact}/suppress?case={prospect.id}",
        f"/pieces/contacts/{prospect.contact}/lift",
    ]


@pytest.mark.parametrize("rights", ["all", "viewer"])
async def test_a_prospect_in_every_state_of_its_validation(short_folder: Path, rights: str) -> None:
    """With and without a score, checked too often, of every line, and for who may only look."""
    scopes = ROLE_SCOPES[Role.VIEWER if rights == "viewer" else Role.ADMIN]
    async with open_console(build_settings(short_folder), scopes) as console:
        await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW + LANDLINE_ROW).encode())
        ana = await find_prospect(console)
        for state in ValidationState:
            soon = DAYTIME + timedelta(days=1) if state is ValidationState.VALIDATED else None
            for attempts in (0, 3):
                await update(
                    console, ana, validation=state, check_attempts=attempts, expires_at=soon
                )
                shown = await render(console, *LISTS, *list_paths(ana))
                assert f'data-state="{state}"' in shown
                writes = f"/pieces/prospects/{ana.id}/correct?" in shown
                waits = state in {ValidationState.UNCHECKED, ValidationState.EXPIRED}
                assert writes is (waits and rights == "all")
        await update(console, ana, score_contactabilidad=None, score_explanation=None)
        assert "Not scored yet." in await render(console, *LISTS, *list_paths(ana))


async def test_a_prospect_of_which_much_or_little_is_known(console: ConsoleServer) -> None:
    """Each line, intent and answer of a check; notes, trade and dates, or none of them."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    ana = await find_prospect(console)
    known: list[Mapping[str, object]] = [
        *({"on_whatsapp": answer} for answer in OnWhatsApp),
        *({"intent": intent} for intent in Intent),
        *({"line_type": line, "country": None} for line in ("mobile", "fixed_line", "voip")),
        {"notes": "Calls back", "trade": "Café", "data_date": DAYTIME, "country": "AR"},
        {"name": "", "trade": "", "notes": "", "data_date": None},
    ]
    for columns in known:
        await update(console, ana, **columns)
        shown = await render(console, "/prospects", *list_paths(ana)[:3])
        assert "data-state" in shown


async def test_a_prospect_with_every_permission_and_its_proof(console: ConsoleServer) -> None:
    """What they wrote, what a list said, what a person noted, and nothing at all."""
    entry = {"phone": ANA, "cartera_origen": "a call", "name": "Ana", "permission": "none"}
    await console.api.call("POST", "/v1/prospects", json=entry)
    ana = await find_prospect(console)
    assert "Nobody has written yet." in await render(console, *list_paths(ana))
    seen = set()
    for kind, value, at in (
        (EvidenceKind.PERMISSION, "none", DAYTIME),
        (EvidenceKind.PERMISSION, "public_source", DAYTIME),
        (EvidenceKind.PERMISSION, "relationship", DAYTIME),
        (EvidenceKind.PERMISSION, "opted_in", DAYTIME),
        (EvidenceKind.DECLINED, "refused", DAYTIME),
        (EvidenceKind.INBOUND, "opt_in", DAYTIME + timedelta(seconds=1)),
        (EvidenceKind.INBOUND, "opt_out", DAYTIME + timedelta(seconds=2)),
    ):
        await add_evidence(console, ana, kind, value, at=at)
        shown = await render(console, f"/prospects/{ana.id}", *LISTS, *list_paths(ana))
        seen |= {each for each in Permission if f'data-state="{each}"' in shown}
    assert seen == set(Permission)
    pages = [f"/prospects?permission={each}" for each in Permission]
    pages += [f"/prospects?validation={each}" for each in ValidationState]
    for path in (*pages, "/prospects?text=nobody", "/prospects?limit=1"):
        await render(console, path)
        await render(console, path, headers=HTMX_HEADERS)


async def add_evidence(
    console: ConsoleServer, prospect: ProspectRecord, kind: EvidenceKind, value: str, **more: object
) -> None:
    """Store a piece of evidence about a prospect."""
    words = {"at": DAYTIME, "source": "somebody told", "quote": "So it is."} | more
    await console.services.database.write(
        lambda tx: evidence.insert_evidence(tx, prospect.contact, kind, value, **words)  # type: ignore[arg-type]
    )


async def test_every_piece_of_evidence_is_shown(console: ConsoleServer) -> None:
    """Those that have words of their own, and what a plugin adds, which has those of its kind."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    ana = await find_prospect(console)
    kinds = [kind for kind in EvidenceKind if kind is not EvidenceKind.INBOUND]
    for kind, value in (*EVIDENCE_SEVERITY, *((kind, "another") for kind in kinds)):
        await add_evidence(console, ana, kind, value)
    shown = await render(console, *list_paths(ana))
    for words in ("Left WhatsApp", "Blocked us", "Asked to buy", "Complained", "Bounced"):
        assert words in shown


async def test_what_they_sent_is_named_where_there_are_no_words(console: ConsoleServer) -> None:
    """A voice message, a reaction with its emoji, words that retention has taken out."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    ana = await find_prospect(console)
    await console.start_session("main")
    for number, kind in enumerate(InboundKind):
        record = InboundRecord(
            id=f"inb_{number}",
            session="main",
            wire_id=f"W{number}",
            contact=ana.contact,
            at=DAYTIME + timedelta(seconds=number),
            received_at=DAYTIME + timedelta(seconds=number),
            text="👍" if kind is InboundKind.REACTION else "",
            request="none",
            kind=kind,
        )
        await console.services.database.write(partial(_insert_inbound, record))
    shown = await render(console, *list_paths(ana))
    assert "Written on the phone itself." not in shown
    for words in ("A voice message", "A reaction: 👍", "The text is no longer kept"):
        assert words in shown


def _insert_inbound(record: InboundRecord, tx: Tx) -> None:
    inbound.insert_inbound(tx, record)


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_a_dialog_about_a_person_counts_what_it_would_cancel(
    console: ConsoleServer, waiting: int
) -> None:
    """None, one and many; suppressed then, corrected, and corrected no more."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    ana = await find_prospect(console)
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.services.outbox.stop(1)
    for number in range(waiting):
        order = {"to": ana.phone, "text": f"Hola {number}", "session": "ventas"}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        move = partial(move_message_to_state, reply.document["id"], MessageState.HELD, "simulated")
        await console.services.database.write(move)
    shown = await render(console, *list_paths(ana))
    said = {
        0: "No message is waiting",
        1: "Cancels 1 waiting message",
        2: "Cancels 2 waiting messages",
    }
    assert said[waiting] in shown
    order = {"phone": ana.contact, "reason": "asked on the phone"}
    await console.api.call("POST", "/v1/suppressions", json=order)
    assert f"/pieces/contacts/{ana.contact}/lift" in await render(console, *list_paths(ana))
    await console.services.database.write(
        lambda tx: tx.execute("UPDATE suppressions SET source = 'contact'")
    )
    assert "They opted out themselves" in await render(console, *LISTS, *list_paths(ana))


async def test_a_prospect_that_waits_for_a_word(console: ConsoleServer) -> None:
    """For its words, for its score, and decided; many of them are counted."""
    people = "".join(f"N{n};+549114123{n:04};feria;sí\n" for n in range(102))
    content = (PROSPECT_CSV_HEADER + ANA_ROW + BETO_ROW + people).encode()
    await console.import_list(content, statement="ticked the box")
    ana, beto = await find_prospect(console), await find_prospect(console, "Beto")
    look = "They may be asking us to stop; a person should read the message."

    def ask(tx: Tx) -> None:
        tx.execute("UPDATE prospects SET validation = 'validated', check_attempts = 3")
        tx.execute("UPDATE prospects SET validation = 'unchecked' WHERE name LIKE 'N%'")
        tx.execute("UPDATE prospects SET score_contactabilidad = 60 WHERE name = 'Beto'")
        contacts.request_contact_review(tx, ana.contact, look, DAYTIME)

    await console.services.database.write(ask)
    shown = await render(console, *LISTS, *list_paths(ana), *list_paths(beto))
    assert look in shown
    assert "And 2 more." in shown
    await console.services.review.approve_prospect(ana.id, "eva", "I read it")
    await console.services.review.reject_prospect(beto.id, "eva", "a competitor")
    shown = await render(console, *LISTS, *list_paths(ana), *list_paths(beto))
    assert "Rejected as a prospect" in shown


async def test_no_prospect_yet(console: ConsoleServer) -> None:
    """The lists say what a prospect is and how one comes in."""
    shown = await render(console, *LISTS, "/pieces/prospects/new", "/prospects?import_id=imp_0")
    assert "No prospects yet" in shown
    assert "No prospect matches" in shown
    await console.api.post("/v1/prospects", phone=ANA, cartera_origen="a call")
    (made,) = await console.services.database.read(list_prospects)
    assert "Entered by hand" in await render(console, *LISTS, *list_paths(made))


async def test_a_preview_in_every_state(console: ConsoleServer) -> None:
    """One that can be imported, one that can't, one whose number is missing, one of nothing."""
    for content, query, words in (
        (MANY_REJECTS, "&region=AR&map.notes=Nombre", "data-import"),
        (MANY_REJECTS, "&permission=perhaps", "it may be"),
        (MANY_REJECTS, "&map.phone=Fax", "Name of the header"),
        (b"Nombre;Tel\xc3\xa9fono;Origen\n", "", "preview-name"),
        (b"\x00\x01\x02", "", "preview-name"),
    ):
        upload = await console.api.call("POST", "/v1/uploads?filename=l.csv", data=content)
        path = f"/pieces/imports/preview?upload={upload.document['upload']}{query}"
        assert words in await render(console, path)


async def test_a_report_in_every_state(console: ConsoleServer) -> None:
    """With remarks and more that was left out than is shown; with neither; cut short."""
    await console.import_list(MANY_REJECTS)
    (past,) = await console.services.database.read(imports.list_imports)
    assert set(past.counts) == set(ImportRowOutcome)
    path = f"/prospects/imports/{past.record.id}"
    shown = await render(console, path, f"/prospects?import_id={past.record.id}", *LISTS)
    assert "And 2 more." in shown
    assert "It says yes, but not how they agreed" in shown
    assert len((await render(console, f"{path}/rejects.csv")).splitlines()) > 100
    await console.services.database.write(
        lambda tx: tx.execute("UPDATE imports SET finished_at = NULL")
    )
    assert "It was interrupted." in await render(console, path, *LISTS)
    await console.import_list((PROSPECT_CSV_HEADER + BETO_ROW).encode())
    newest = (await console.services.database.read(imports.list_imports))[0]
    assert "Every record was imported." in await render(
        console, f"/prospects/imports/{newest.record.id}"
    )
