"""What each class of words does: permission, suppression, queue, intent, and who looks at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.api.effects import Intent, SetIntent
from daemon.gate.consent import Permission, derive_permission
from daemon.inbound import reading
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.vocabulary import MessageKind
from storage import contacts, evidence, suppressions
from storage.contacts import HoldScope
from storage.evidence import EvidenceKind
from tests.helpers.services.contacts import (
    ANA,
    InboundInterpreter,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)

P, S = Permission, MessageState
CONFIRMATION = "You get no more messages from us."


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[InboundServices]:
    """The handlers over a real database, with a text that confirms opt-outs."""
    async with open_contact_services(tmp_path) as people:
        yield build_inbound_services(people, confirmation=CONFIRMATION)


@dataclass(frozen=True)
class Outcome:
    """What is known of Ana after her message, and what became of what waited for her."""

    permission: Permission
    later: Permission
    """A day and a half after it."""
    suppressed: bool
    sale: MessageState
    reply: MessageState
    intent: str
    review: str | None
    scope: HoldScope | None


async def write_and_look(desk: InboundServices, text: str) -> Outcome:
    """Let Ana, found in a public list, write while a sale and a reply wait for her."""
    people = desk.people
    prospect = await desk.add_prospect()
    contact = await people.resolve_contact(ANA)
    long_ago = people.clock.now()
    await people.database.write(
        lambda tx: evidence.insert_evidence(
            tx, contact, EvidenceKind.PERMISSION, "public_source", at=long_ago, source="a list"
        )
    )
    await people.clock.advance(3600)
    sale = await people.queue_message(ANA)
    reply = await people.queue_message(ANA, kind=MessageKind.REPLY, text="Buenas")
    await desk.receive_text(text)
    found = await people.database.read(lambda r: contacts.get_contact(r, contact))
    assert found is not None
    outcome = Outcome(
        permission=await read_permission(desk),
        later=P.NONE,
        suppressed=bool(await people.suppression.check(ANA)),
        sale=await people.get_message_state(sale),
        reply=await people.get_message_state(reply),
        intent=str((await desk.get_prospect(prospect)).intent),
        review=found.review_reason,
        scope=found.hold_scope,
    )
    await people.clock.leap(36 * 3600)
    values = {**outcome.__dict__, "later": await read_permission(desk)}
    return Outcome(**values)


async def read_permission(desk: InboundServices) -> Permission:
    """Return what the evidence on Ana says now."""
    contact = await desk.people.resolve_contact(ANA)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    return derive_permission(known, desk.people.clock.now())


C, A = HoldScope.COMMERCIAL, HoldScope.ALL
MINOR, DIED = (reading.REVIEW_REASONS[each] for each in list(reading.REVIEW_REASONS)[2:])
ANGRY, OTHER = (reading.REVIEW_REASONS[each] for each in list(reading.REVIEW_REASONS)[:2])
UNREAD, MAY_STOP = reading.NOT_UNDERSTOOD_REASON, reading.WORDS_REVIEW_REASON


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (
            "sacame de tu base de datos",
            Outcome(P.REFUSED, P.REFUSED, True, S.CANCELLED, S.CANCELLED, "none", None, None),
        ),
        (
            "no, gracias",
            Outcome(P.REFUSED, P.REFUSED, False, S.CANCELLED, S.QUEUED, "none", None, None),
        ),
        (
            "los voy a denunciar",
            Outcome(P.REFUSED, P.REFUSED, False, S.QUEUED, S.QUEUED, "none", ANGRY, A),
        ),
        (
            "número equivocado",
            Outcome(P.NONE, P.NONE, False, S.CANCELLED, S.CANCELLED, "none", OTHER, C),
        ),
        (
            "tengo 14 años",
            Outcome(P.NONE, P.NONE, False, S.CANCELLED, S.CANCELLED, "none", MINOR, C),
        ),
        (
            "mi marido falleció",
            Outcome(P.NONE, P.NONE, False, S.CANCELLED, S.CANCELLED, "none", DIED, C),
        ),
        (
            "Gracias por comunicarte con Óptica Sur. En breve te atenderemos.",
            Outcome(
                P.PUBLIC_SOURCE, P.PUBLIC_SOURCE, False, S.QUEUED, S.QUEUED, "none", None, None
            ),
        ),
        (
            "me interesa",
            Outcome(
                P.CONVERSATION, P.RELATIONSHIP, False, S.CANCELLED, S.QUEUED, "clear", None, None
            ),
        ),
        (
            "¿cuánto sale?",
            Outcome(
                P.CONVERSATION, P.RELATIONSHIP, False, S.CANCELLED, S.QUEUED, "asked", None, None
            ),
        ),
        (
            "¿quién sos?",
            Outcome(
                P.CONVERSATION,
                P.PUBLIC_SOURCE,
                False,
                S.CANCELLED,
                S.QUEUED,
                "none",
                reading.ABOUT_US_REASON,
                C,
            ),
        ),
        (
            "ok, gracias",
            Outcome(
                P.CONVERSATION, P.PUBLIC_SOURCE, False, S.CANCELLED, S.QUEUED, "none", None, None
            ),
        ),
        (
            "el lunes te digo",
            Outcome(P.PUBLIC_SOURCE, P.PUBLIC_SOURCE, False, S.QUEUED, S.QUEUED, "none", UNREAD, C),
        ),
        (
            "no me mandes audios",
            Outcome(
                P.PUBLIC_SOURCE, P.PUBLIC_SOURCE, False, S.QUEUED, S.QUEUED, "none", MAY_STOP, C
            ),
        ),
        (
            "ALTA",
            Outcome(P.CONVERSATION, P.OPTED_IN, False, S.QUEUED, S.QUEUED, "none", None, None),
        ),
    ],
)
async def test_each_class_has_its_effects(
    desk: InboundServices, text: str, outcome: Outcome
) -> None:
    """Only an understood welcome raises permission; what is not understood holds."""
    assert await write_and_look(desk, text) == outcome


@pytest.mark.parametrize("text", ["tengo 14 años", "mi marido falleció, no escriban más"])
async def test_who_may_be_a_child_or_dead_is_stopped_as_if_suppressed(
    desk: InboundServices, text: str
) -> None:
    """At once, and no automatic word goes out: no confirmation either."""
    await desk.add_prospect()
    await desk.receive_text(text)
    contact = await desk.people.resolve_contact(ANA)
    read = desk.people.database.read
    assert await read(lambda r: suppressions.is_contact_suppressed(r, contact))
    rows = await read(lambda r: r.all("SELECT text FROM messages"))
    assert [row["text"] for row in rows] == []
    await desk.people.database.write(lambda tx: contacts.lift_contact_stop(tx, contact))
    opted_out = "no escriban" in text
    assert await read(lambda r: suppressions.is_contact_suppressed(r, contact)) is opted_out


async def test_a_stop_cancels_the_confirmation_of_an_opt_out_too(desk: InboundServices) -> None:
    """They asked for a stop, and then said how old they are."""
    await desk.receive_text("BAJA")
    [row] = await desk.people.database.read(lambda r: r.all("SELECT id FROM messages"))
    await desk.receive_text("tengo 14 años")
    assert await desk.people.get_message_state(row["id"]) is S.CANCELLED


async def test_a_wrong_person_leaves_the_number_undecided(desk: InboundServices) -> None:
    """It was validated before; the message proves that somebody else answers."""
    prospect = await desk.add_prospect()
    await desk.receive_text("hola")
    assert (await desk.get_prospect(prospect)).validado_tecnicamente is True
    await desk.receive_text("no soy Carlos, se equivocaron de número")
    after = await desk.get_prospect(prospect)
    assert (after.validation, after.validado_tecnicamente) == (ValidationState.UNCHECKED, None)


async def test_a_complaint_counts_for_the_breaker(desk: InboundServices) -> None:
    """It is evidence of its own, with the words."""
    await desk.receive_text("esto es acoso")
    contact = await desk.people.resolve_contact(ANA)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    [found] = [each for each in known if each.kind is EvidenceKind.COMPLAINT]
    assert (found.value, found.quote) == ("hostile_refusal", "esto es acoso")


async def test_a_greeting_of_a_shop_is_no_interaction(desk: InboundServices) -> None:
    """It proves that the number is on WhatsApp, and nothing else."""
    await desk.receive_text("¡Hola! Gracias por comunicarte con Sol. En breve te responderemos.")
    contact = await desk.people.resolve_contact(ANA)
    known = await desk.people.database.read(lambda r: evidence.list_contact_evidence(r, contact))
    assert [each.kind for each in known] == [EvidenceKind.ON_WHATSAPP]


async def test_a_later_unclear_message_does_not_weaken_a_hold_of_everything(
    desk: InboundServices,
) -> None:
    """The complaint stays what a person reads first."""
    await desk.receive_text("esto es acoso")
    await desk.receive_text("el lunes te digo")
    contact = await desk.people.resolve_contact(ANA)
    hold = await desk.people.database.read(lambda r: contacts.get_contact_hold(r, contact))
    assert hold == (ANGRY, A)


@pytest.mark.parametrize(
    ("text", "kept"),
    [("hola", "weak"), ("el lunes te digo", "none"), ("no me interesa", "none")],
)
async def test_a_plugin_reads_no_intent_into_what_was_not_understood(
    desk: InboundServices, text: str, kept: str
) -> None:
    """Nor into a no; a greeting may be more than one."""
    plugin = InboundInterpreter([SetIntent(Intent.WEAK, text)])
    own = build_inbound_services(desk.people, more={"own": plugin})
    prospect = await own.add_prospect()
    await own.receive_text(text)
    assert (await own.get_prospect(prospect)).intent == kept
