"""The history of a former system, through the daemon's services: what its lines change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.contacts.imports.options import ImportOptions
from daemon.errors import Conflict, ImportRejected
from daemon.gate.consent import Permission
from daemon.history.options import HistoryOptions
from daemon.lists.dates import DateOrder
from statemachines.message import MessageState
from storage.contacts import HoldScope
from storage.history import HistoryKind
from tests.helpers.services.history import HistoryServices, open_history_services
from tests.helpers.services.messaging import ANA, ANA_OLD_FORM
from tests.helpers.services.messaging_scenarios import get_facts


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[HistoryServices]:
    """Open the services; nobody is known."""
    async with open_history_services(tmp_path) as opened:
        yield opened


async def import_prospect(past: HistoryServices) -> None:
    """Import Ana as a prospect who opted in, as a list says today."""
    path = past.folder / "prospects.csv"
    path.write_text(f"telefono,consentimiento,evidencia\n{ANA},si,form\n", encoding="utf-8")
    await past.services.imports.run(path, ImportOptions(), "eva")


async def test_an_opt_out_suppresses_every_spelling_of_a_number_that_nobody_knew(
    past: HistoryServices,
) -> None:
    """Also once the number comes in a list of prospects."""
    await past.import_rows((ANA_OLD_FORM, "2025-03-01 10:00", "recibido", "BAJA"))
    assert (await past.get_person()).suppressed
    await import_prospect(past)
    assert (await past.get_person()).suppressed


async def test_a_refusal_of_an_unknown_number_holds_when_a_list_brings_it(
    past: HistoryServices,
) -> None:
    """The list of today does not say that they changed their mind."""
    await past.import_rows((ANA_OLD_FORM, "2025-03-01 10:00", "recibido", "no, gracias"))
    await import_prospect(past)
    assert (await past.get_person()).permission is Permission.REFUSED


async def test_a_later_welcome_in_their_own_words_reopens_a_refusal(past: HistoryServices) -> None:
    """By the dates of writing, whatever the order of the lines."""
    await past.import_rows(
        (ANA, "2025-04-01 10:00", "recibido", "me interesa, mandame información"),
        (ANA, "2025-03-01 10:00", "recibido", "no me interesa"),
    )
    assert (await past.get_person()).permission is Permission.RELATIONSHIP


async def test_own_lines_are_evidence_and_a_contact_made(past: HistoryServices) -> None:
    """No message row: what a former system calls sent has no acknowledged id."""
    await past.import_rows((ANA, "2025-03-01 10:00", "enviado", "Hola, ¿le interesa?"))
    await past.services.add_prospect()
    facts = await get_facts(past.services)
    assert facts["message.first_contact"] is False
    assert facts["history.commercial_unanswered"] == 1
    assert await past.services.query_rows("SELECT text FROM inbound") == [("",)]
    assert await past.services.query_rows(
        "SELECT kind, value, source FROM evidence WHERE kind = 'own_message'"
    ) == [("own_message", "sent", "history history.csv, record 2")]


async def test_a_message_of_an_hour_ago_opens_no_conversation(past: HistoryServices) -> None:
    """No window, no review of an answer, no chat that waits, no automatic word."""
    an_hour_ago = (past.services.clock.now() - timedelta(hours=1)).isoformat()
    await past.import_rows((ANA, an_hour_ago, "recibido", "me interesa, ¿cuánto sale?"))
    await past.services.add_prospect(permission=None)
    assert (await past.get_person()).permission is Permission.RELATIONSHIP
    facts = await get_facts(past.services)
    assert facts["session.window_open"] is False
    assert await past.services.query_rows("SELECT past, origin FROM inbound") == [(1, "imported")]


async def test_a_message_queued_later_than_they_wrote_stays(past: HistoryServices) -> None:
    """Whoever queued it could have known."""
    await past.services.add_prospect()
    at = past.services.clock.now()
    queued = await past.services.enqueue(not_before=at + timedelta(hours=1))
    await past.import_rows(
        (ANA, "2025-03-01 10:00", "recibido", "hola, ¿qué precio tiene?"),
        (ANA, "2025-03-01 11:00", "enviado", "200"),
    )
    assert await past.services.get_state(queued) not in {
        MessageState.CANCELLED,
        MessageState.BLOCKED,
    }


async def test_what_is_not_understood_waits_for_a_person_and_holds(past: HistoryServices) -> None:
    """It opens no chat; a later clear word of theirs makes the look needless."""
    await past.import_rows((ANA, "2025-03-01 10:00", "recibido", "no me manden más audios"))
    person = await past.get_person()
    assert (person.hold, len(person.unread)) == (HoldScope.COMMERCIAL, 1)
    await past.import_rows((ANA, "2025-03-02 10:00", "recibido", "no me interesa"), name="b.csv")
    person = await past.get_person()
    assert (person.hold, person.unread, person.permission) == (
        None,
        frozenset(),
        Permission.REFUSED,
    )


async def test_the_same_lines_change_nothing_in_whatever_file_they_come(
    past: HistoryServices,
) -> None:
    """Spelled otherwise, and beside a line that is new."""
    first = (ANA, "2025-03-01 10:00", "recibido", "no me interesa")
    done = await past.import_rows(first, first)
    assert (done.new[HistoryKind.RECEIVED], done.known) == (1, 1)
    before = await past.get_person()
    again = await past.import_rows(first, first)
    assert again.repeated
    other = (ANA_OLD_FORM, "01/03/2025 10:00", "Received", "no  me interesa ")
    new = (ANA, "28/02/2025 10:00", "sent", "Hola")
    report = await past.import_rows(other, new, name="other.csv")
    assert (report.known, report.new[HistoryKind.SENT]) == (1, 1)
    after = await past.get_person()
    assert len(after.evidence) == len(before.evidence) + 1


async def test_recorded_refusals_and_opt_outs_need_no_words_and_no_date(
    past: HistoryServices,
) -> None:
    """They count from the import on; an employee's note that reads as an opt-out is one."""
    other, third = "+5491150001111", "+5491150002222"
    await past.import_rows(
        (ANA, "", "rechazado", "llamar en otro momento"),
        (other, "", "baja", ""),
        (third, "", "no interesado", "dice que no le escribamos más"),
    )
    assert (await past.get_person()).permission is Permission.REFUSED
    assert not (await past.get_person()).suppressed
    assert (await past.get_person(other)).suppressed


async def test_an_opt_in_of_the_past_lifts_no_opt_out(past: HistoryServices) -> None:
    """Only one that they write to us does."""
    await past.import_rows(
        (ANA, "2025-03-01 10:00", "recibido", "BAJA"),
        (ANA, "2025-04-01 10:00", "recibido", "ALTA"),
    )
    assert (await past.get_person()).suppressed


async def test_a_file_with_an_unreadable_record_is_refused_whole(past: HistoryServices) -> None:
    """With the record numbers; unless a person says to leave them out."""
    rows = (
        (ANA, "2025-03-01 10:00", "recibido", "BAJA"),
        ("hola", "2025-03-01 10:00", "recibido", "BAJA"),
        (ANA, "2025-03-01 10:00", "carta", "x"),
        (ANA, "ayer", "enviado", "x"),
    )
    with pytest.raises(ImportRejected, match=r"3 of 4 records .* \(3, 4, 5\)\."):
        await past.import_rows(*rows)
    assert await past.services.query_rows("SELECT count(*) FROM evidence") == [(0,)]
    options = HistoryOptions(leave_out_rejected=True)
    report = await past.import_rows(*rows, options=options)
    assert (report.rejected, report.new[HistoryKind.RECEIVED]) == (3, 1)


async def test_a_preview_says_what_the_lines_are_and_asks_what_it_does_not_know(
    past: HistoryServices,
) -> None:
    """It writes nothing, and what differs from it is not imported."""
    path = past.write_csv(
        (
            (ANA, "01/02/2025 10:00", "recibido", "no me interesa"),
            (ANA, "03/02/2025 10:00", "carta", "x"),
        )
    )
    preview = await past.history.preview(path, HistoryOptions())
    assert [(each.word, each.count) for each in preview.unknown_words] == [("carta", 1)]
    assert (preview.open_dates, preview.date_examples[0]) == (2, "01/02/2025 10:00")
    answered = HistoryOptions(words={"Carta": HistoryKind.SENT}, date_order=DateOrder.DAY_FIRST)
    preview = await past.history.preview(path, answered)
    assert preview.rejected == 0
    assert dict(preview.requests) == {"declined": 1}
    assert await past.services.query_rows("SELECT count(*) FROM contacts") == [(0,)]
    with pytest.raises(Conflict):
        await past.history.require_plan(path, HistoryOptions(), preview.plan)


async def test_the_past_is_open_until_it_is_imported_or_declared_not_to_be(
    past: HistoryServices,
) -> None:
    """With who said it, when, and why."""
    assert not (await past.history.get_status()).settled
    status = await past.history.declare_none("a new firm", "eva")
    assert status.settled
    assert status.declaration is not None
    assert (status.declaration.who, status.declaration.reason) == ("eva", "a new firm")
    assert ("eva", "declare_no_history", "installation", "a new firm") in (
        await past.services.list_audit_entries()
    )
