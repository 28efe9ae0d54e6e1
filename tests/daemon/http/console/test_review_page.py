"""The review as documents: who waits, why, what is known, and what whoever looks may decide."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from markupsafe import escape

from daemon.auth import ROLE_SCOPES, Role
from daemon.gate.consent import Permission
from daemon.http.console import evidence_view
from daemon.http.console.language import load_language
from daemon.http.console.time_format import format_day
from statemachines.message import MessageState
from storage import contacts, evidence, messages, prospects, queue, review_queries
from storage.evidence import Evidence, EvidenceKind
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_ROW,
    BETO_ROW,
    LANDLINE_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    get_page,
    hold_messages,
    open_console,
    render,
    wait_for_message_state,
)
from tests.helpers.client.http import DAYTIME, build_settings
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow


async def test_the_queue_tells_who_and_why(console: ConsoleServer) -> None:
    """Names, masked numbers and the server's sentence; the first one is open already."""
    first, second = await hold_messages(console, ANA_ROW, BETO_ROW)
    shown = (await get_page(console, "/review")).document
    assert shown.index(first) < shown.index(second)
    assert "Existing relationship: someone checks the first message" in shown
    assert f'<article class="case" data-case="{first}"' in shown
    assert "41234567" not in shown
    assert second in (await get_page(console, "/pieces/review/queue")).document


async def test_a_case_holds_what_a_decision_needs(console: ConsoleServer) -> None:
    """The words, the verdict with its points, the permission with its proof, every decision."""
    (message,) = await hold_messages(console, ANA_ROW)
    shown = (await get_page(console, f"/pieces/review/cases/{message}")).document
    for words in (
        "Hola Ana",
        "Existing relationship",
        "l.csv, record 2, from feria",
        "“relación previa”",
        "first_time_relationship",
        "gate.yaml:",
        'data-shortcut="a"',
        'data-shortcut="s"',
        "data-leasable",
    ):
        assert words in shown


async def test_what_is_decided_says_so(console: ConsoleServer) -> None:
    """A case that somebody opens too late offers nothing any more."""
    (message,) = await hold_messages(console, ANA_ROW)
    await console.services.review.reject(message, "eva", "not now")
    shown = (await get_page(console, f"/review/{message}")).document
    assert "Nothing is left to do here" in shown
    assert "data-shortcut" not in shown.split('class="case"')[1].split("</article>")[0]


async def test_what_another_has_open_is_shown_as_theirs(console: ConsoleServer) -> None:
    """With their name, in the queue and in the case; without a single button."""
    (message,) = await hold_messages(console, ANA_ROW)
    await console.services.review.take(message, "eva")
    shown = (await get_page(console, f"/review/{message}")).document
    assert "eva is looking at it" in shown
    assert "eva is looking at this until" in shown
    assert "data-leasable" not in shown


async def test_a_number_waits_where_no_check_can_settle_it(console: ConsoleServer) -> None:
    """A landline, and one that three checks said nothing about; the why is told apart."""
    await console.import_list((PROSPECT_CSV_HEADER + LANDLINE_ROW + ANA_ROW).encode())
    database = console.services.database
    before = await database.read(lambda reader: review_queries.get_review_queue(reader, 10))
    assert [each.prospect.name for each in before.numbers] == ["Carla"]
    ana = next(p for p in await database.read(list_prospects) if p.name == "Ana")
    await database.write(
        lambda tx: prospects.update_prospect(tx, ana.id, at=DAYTIME, check_attempts=3)
    )
    shown = (await get_page(console, "/pieces/review/queue?tab=numbers")).document
    assert "It is a landline" in shown
    assert "Three checks could not tell" in shown
    case = (await get_page(console, f"/review/{ana.id}")).document
    assert 'data-shortcut="v"' in case
    assert 'data-shortcut="a"' not in case


async def test_a_prospect_whose_words_are_to_be_read_is_decided_on_itself(
    console: ConsoleServer,
) -> None:
    """It is to be approved, beside the numbers; with what a word would do; decided, it is over."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW + LANDLINE_ROW).encode())
    database = console.services.database
    ana = next(p for p in await database.read(list_prospects) if p.name == "Ana")
    room = console.services.validation
    await room.set_by_hand(ana.id, validated=True, who="eva", reason="I called her")
    look = "They may be asking us to stop; a person should read the message."
    await database.write(lambda tx: contacts.request_contact_review(tx, ana.contact, look, DAYTIME))
    shown = (await get_page(console, "/review")).document
    assert "queue-prospects" in shown
    assert "queue-numbers" not in shown
    numbers = (await get_page(console, "/review/numbers")).document
    assert "queue-numbers" in numbers
    assert "queue-prospects" not in numbers
    assert f'<article class="case" data-case="{ana.id}"' in shown
    assert look in shown
    assert 'data-shortcut="a"' in shown
    assert "data-leasable" not in shown
    asked = (await get_page(console, f"/pieces/review/cases/{ana.id}/reject")).document
    assert f'data-call="/v1/review/prospects/{ana.id}/reject"' in asked
    assert "Reject this prospect?" in asked
    await console.services.review.reject_prospect(ana.id, "eva", "a competitor")
    over = (await get_page(console, f"/review/{ana.id}")).document
    assert "Nothing is left to do here" in over
    assert "queue-prospects" not in over
    assert "Rejected as a prospect" in (await get_page(console, f"/prospects/{ana.id}")).document


async def test_a_prospect_in_the_review_band_says_its_score(console: ConsoleServer) -> None:
    """In the reader's language."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    database = console.services.database
    (ana,) = await database.read(list_prospects)
    columns: dict[str, object] = {"validation": "validated", "score_contactabilidad": 60}
    await database.write(lambda tx: prospects.update_prospect(tx, ana.id, at=DAYTIME, **columns))
    shown = (await get_page(console, f"/review/{ana.id}")).document
    assert str(escape("A score of 60 needs a person's approval")) in shown


async def test_an_approved_one_that_waits_leaves_the_queue(console: ConsoleServer) -> None:
    """A deferred message was looked at: it waits for its time, not for a person."""
    (message,) = await hold_messages(console, ANA_ROW)

    def defer(tx: Tx) -> None:
        for state in (MessageState.QUEUED, MessageState.DEFERRED):
            messages.transition_message(
                tx,
                message,
                state,
                at=DAYTIME,
                reason_code="test",
                sentence="It waits.",
                who="gate",
                **({"due_at": DAYTIME + timedelta(days=1)} if state == "deferred" else {}),
            )
        tx.execute("UPDATE messages SET needs_review = 1 WHERE id = ?", (message,))

    await console.services.database.write(defer)
    await wait_for_message_state(console, message, {MessageState.DEFERRED})
    asked = (await get_page(console, f"/pieces/review/cases/{message}/approve")).document
    assert "It keeps waiting" in asked
    after = await console.services.review.approve(message, "eva", "I know them")
    assert (after.state, after.needs_review) == (MessageState.DEFERRED, False)
    waiting = await console.services.database.read(
        lambda reader: queue.list_messages_for_review(reader, 10)
    )
    assert waiting == []


async def test_nobody_is_offered_what_they_may_not_do(short_folder: Path) -> None:
    """A viewer sees the case whole, and not one button of decision."""
    async with open_console(build_settings(short_folder)) as console:
        await console.import_list((PROSPECT_CSV_HEADER + LANDLINE_ROW).encode())
        (carla,) = await console.services.database.read(list_prospects)
    async with open_console(build_settings(short_folder), ROLE_SCOPES[Role.VIEWER]) as console:
        for path in (f"/review/{carla.id}", f"/prospects/{carla.id}"):
            shown = (await get_page(console, path)).document.split("<main")[1].split("</main>")[0]
            assert "data-shortcut" not in shown
            assert "data-dialog" not in shown


@pytest.mark.parametrize(
    "path",
    [
        "/review/msg_none",
        "/pieces/review/cases/msg_none/approve",
        "/pieces/prospects/pro_none/validate",
        "/pieces/contacts/con_none/suppress",
        "/pieces/manual/msg_none/not-sent",
        "/pieces/messages/msg_none/settle",
        "/prospects/pro_none",
        "/prospects/imports/imp_none",
    ],
)
async def test_what_is_not_there_is_said(console: ConsoleServer, path: str) -> None:
    """A page or a piece that tells it, with what to do; never an error."""
    reply = await console.api.get(path)
    assert reply.status == 404
    assert "There is n" in reply.document


async def test_every_question_tells_its_consequence(console: ConsoleServer) -> None:
    """In numbers, as of now."""
    (message,) = await hold_messages(console, ANA_ROW)
    (ana,) = await console.services.database.read(list_prospects)
    for path, words in (
        (f"/pieces/review/cases/{message}/approve", "then it goes out from ventas"),
        (f"/pieces/review/cases/{message}/reject", "It is blocked and never goes"),
        (f"/pieces/prospects/{ana.id}/validate", escape("1 waiting message can no longer go out")),
        (f"/pieces/prospects/{ana.id}/correct", "1 waiting message is cancelled"),
        (f"/pieces/contacts/{ana.contact}/suppress?case={message}", "Cancels 1 waiting message"),
        (f"/pieces/contacts/{ana.contact}/lift", "Cancelled messages stay cancelled"),
    ):
        assert words in (await get_page(console, path)).document


def test_every_piece_of_evidence_has_words() -> None:
    """Those that are known, and one for what a plugin may add."""
    for code in ("en", "es"):
        words = load_language(code)
        for kind in EvidenceKind:
            if kind is not EvidenceKind.INBOUND:
                assert words.has(f"evidence.{kind}.other")
        assert all(
            words.has(f"evidence.{kind}.{value}") for kind, value in evidence_view.EVIDENCE_SEVERITY
        )
        assert all(words.has(f"permission.{each}") for each in Permission)
        assert all(words.has(f"permission_means.{each}") for each in Permission)


@pytest.mark.parametrize(
    ("permission", "kind", "value"),
    [
        (Permission.REFUSED, EvidenceKind.DECLINED, "refused"),
        (Permission.REFUSED, EvidenceKind.INBOUND, "opt_out"),
        (Permission.CONVERSATION, EvidenceKind.INBOUND, "courtesy"),
        (Permission.RELATIONSHIP, EvidenceKind.INBOUND, "interested"),
        (Permission.OPTED_IN, EvidenceKind.PERMISSION, "opted_in"),
        (Permission.PUBLIC_SOURCE, EvidenceKind.PERMISSION, "public_source"),
    ],
)
def test_a_permission_is_shown_with_what_it_stands_on(
    permission: Permission, kind: EvidenceKind, value: str
) -> None:
    """The newest piece that gives it; nothing else passes for its proof."""
    other = Evidence(EvidenceKind.ON_WHATSAPP, "yes", DAYTIME, "number check", "")
    piece = Evidence(kind, value, DAYTIME, "somewhere", "")
    assert evidence_view.find_permission_evidence(permission, [other, piece]) is piece
    assert evidence_view.find_permission_evidence(permission, [other]) is None


async def test_what_was_said_stands_in_the_case(console: ConsoleServer) -> None:
    """Their words and ours, in the order in which they were said; the proof quotes nobody else."""
    (message,) = await hold_messages(console, ANA_ROW)
    found = await wait_for_message_state(console, message, {MessageState.HELD})

    def wrote(tx: Tx) -> None:
        tx.execute(
            "INSERT INTO inbound (id, session, wire_id, contact, at, received_at, text, request)"
            " VALUES ('inb_1', 'ventas', 'w1', ?, ?, ?, '¿Quién es?', 'none')",
            (found.contact, "2026-03-03T14:00:00.000Z", "2026-03-03T14:00:00.000Z"),
        )
        evidence.insert_evidence(
            tx,
            found.contact,
            EvidenceKind.INBOUND,
            "question_about_us",
            at=DAYTIME,
            source="their message",
        )

    await console.services.database.write(wrote)
    shown = (await get_page(console, f"/pieces/review/cases/{message}")).document
    assert "¿Quién es?" in shown
    assert "In conversation" in shown
    assert "they wrote to us" in shown


async def test_a_number_that_nobody_may_check_yet_is_dated_with_what_waits_for_it(
    short_folder: Path,
) -> None:
    """In the queue, in its case, on the message's page, and on Today once it expires within a day.

    In both languages, and nowhere with a command.
    """
    built = build_settings(short_folder)
    pacing = msgspec.structs.replace(built.pacing, number_check_min_age_days=14)
    async with open_console(msgspec.structs.replace(built, pacing=pacing)) as console:
        await console.add_ready_session()
        await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
        until = (console.services.clock.now() + timedelta(hours=20)).isoformat()
        order = {"to": "+5491141234567", "text": "Hola Ana", "not_after": until}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        message = reply.document["id"]
        waiting = await wait_for_message_state(console, message, {MessageState.DEFERRED})
        assert waiting.due_at is not None
        [number] = await console.services.review.list_numbers()
        day = format_day(waiting.due_at.date(), load_language("en"))
        dated = f"may check numbers from {day} on"
        queue_piece = await render(console, "/pieces/review/queue?tab=numbers")
        assert dated in queue_piece
        assert "1 message waits for it and expires" in queue_piece
        case = await render(console, f"/review/{number.prospect.id}")
        assert dated in case
        assert f'href="/messages/{message}"' in case
        assert 'data-shortcut="v"' in case
        page = await render(console, f"/messages/{message}")
        assert dated in page
        assert "before a phone can check its number" in page
        assert '<a href="/review/numbers">No phone may check numbers yet</a>' in page
        assert "1 message expires within a day" in await render(console, "/")
        for path in ("/review/numbers", f"/messages/{message}", "/"):
            spanish = await console.api.call("GET", path, headers={"Cookie": "language=es"})
            assert "validá el número vos o llamá" in spanish.document or path == "/"
            assert "leadmaster" not in spanish.document.partition("<main")[2]
