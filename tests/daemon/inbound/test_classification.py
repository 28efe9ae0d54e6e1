"""What a person says that a message means: evidence, queue, suppression, and what is final."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.gate.consent import Permission, derive_permission
from daemon.gate.facts import build_prospect_facts
from daemon.inbound.classification_effects import ClassificationResult
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import evidence, inbound, prospects, suppressions
from storage.evidence import Evidence, EvidenceKind
from storage.first_contacts import get_first_contact_rates
from storage.inbound_reviews import Meaning, ReviewCause
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    OUR_NUMBER,
    MessagingServices,
    open_messaging_services,
)

C, M, P, S = ReviewCause, Meaning, Permission, MessageState
VAGUE, LIMIT = "el lunes te digo", "no me mandes audios"
ANGRY, ABOUT_US = "los voy a denunciar", "¿quién sos?"
OTHER, CHILD, DEAD = "número equivocado", "tengo 14 años", "mi marido falleció"
STOP = "sacame de tu base de datos"


@dataclass
class Desk:
    """All services, with one session, and contacts who write."""

    services: MessagingServices
    _wire_ids: itertools.count[int] = field(default_factory=itertools.count)

    async def receive(self, text: str, *, sender: str = ANA, age: float = 0) -> str:
        """Receive a message of so many seconds ago; return its id."""
        written_at = self.services.clock.now() - timedelta(seconds=age)
        wire_id = f"IN{next(self._wire_ids)}"
        await self.services.signal_handlers.inbound.handle_inbound(
            "main", InboundMessage(wire_id, parse_identity(sender), text, written_at)
        )
        await self.services.clock.settle()
        rows = await self.services.query_rows("SELECT id FROM inbound WHERE wire_id = ?", wire_id)
        return str(rows[0][0])

    async def classify(
        self, message: str, meaning: Meaning, reason: str = "I read it"
    ) -> ClassificationResult:
        """Classify a message as Eva, who is sure."""
        result = await self.services.classification.classify(
            message, meaning, who="eva", reason=reason, confirmed=True
        )
        await self.services.clock.settle()
        return result

    async def list_waiting(self) -> list[tuple[str, ReviewCause]]:
        """Return the words that show why, and the cause, of each message that waits."""
        return [
            (each.message.quote, each.message.cause)
            for each in await self.services.classification.list_waiting()
        ]

    async def get_prospect(self, phone: str = ANA) -> ProspectRecord | None:
        """Return the prospect of a number, if there is one."""
        contact = await self.services.resolve_contact(phone)
        return await self.services.database.read(
            lambda r: prospects.find_prospect_by_contact(r, contact)
        )

    async def list_evidence(self) -> list[Evidence]:
        """Return what is known of Ana, newest first."""
        contact = await self.services.resolve_contact(ANA)
        return await self.services.database.read(
            lambda r: evidence.list_contact_evidence(r, contact)
        )

    async def get_permission(self) -> Permission:
        """Return what the evidence on Ana says now."""
        return derive_permission(await self.list_evidence(), self.services.clock.now())

    async def is_suppressed(self) -> bool:
        """Tell whether nothing may go to Ana."""
        contact = await self.services.resolve_contact(ANA)
        return await self.services.database.read(
            lambda r: suppressions.is_contact_suppressed(r, contact)
        )

    async def enqueue_later(self) -> str:
        """Ask for a sale to Ana that goes in an hour, or is held until a person has read."""
        later = self.services.clock.now() + timedelta(hours=1)
        return await self.services.enqueue_and_settle(ANA, "Oferta", not_before=later)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Everything that runs; Ana agreed to our messages long ago."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        await services.add_prospect(ANA)
        await services.clock.advance(60)
        yield Desk(services)


async def test_complaints_come_first_and_the_longest_waiting_before_the_others(
    desk: Desk,
) -> None:
    """What was understood, an opt-out and a stranger's words are not in the list."""
    await desk.services.add_prospect(BETO)
    for text in (VAGUE, LIMIT, ABOUT_US, ANGRY, "ok, gracias"):
        await desk.receive(text)
        await desk.services.clock.advance(1)
    await desk.receive(STOP, sender=BETO)
    await desk.receive(VAGUE, sender="+5491145567777")
    assert await desk.list_waiting() == [
        (ANGRY, C.COMPLAINT),
        (LIMIT, C.MAY_ASK_TO_STOP),
        ("quién sos", C.ABOUT_US),
        (VAGUE, C.NOT_UNDERSTOOD),
    ]


@pytest.mark.parametrize("text", [VAGUE, LIMIT, ANGRY])
@pytest.mark.parametrize(
    ("meaning", "permission", "state"),
    [
        (M.WELCOME, P.CONVERSATION, S.CLEARED),
        (M.NEITHER, P.OPTED_IN, S.CLEARED),
        (M.NO, P.REFUSED, S.CANCELLED),
    ],
)
async def test_a_persons_word_releases_or_cancels_what_was_held(
    desk: Desk, text: str, meaning: Meaning, permission: Permission, state: MessageState
) -> None:
    """A welcome raises permission, neither leaves it, a no refuses; all are dated evidence."""
    message = await desk.receive(text, age=10)
    sale = await desk.enqueue_later()
    assert await desk.services.get_state(sale) is S.HELD
    assert (await desk.services.get_message(sale)).reason_code == "waits_for_a_person"
    result = await desk.classify(message, meaning)
    assert await desk.get_permission() is permission
    assert await desk.services.get_state(sale) is state
    moved = result.cancelled_messages if meaning is M.NO else result.released_messages
    assert moved == 1
    piece = (await desk.list_evidence())[0]
    word = next(
        each for each in await desk.list_evidence() if each.kind is EvidenceKind.CLASSIFICATION
    )
    assert (word.value, word.source, word.quote) == (meaning, "classified by eva", text)
    assert word.at == desk.services.clock.now() - timedelta(seconds=10) <= piece.at
    assert await desk.list_waiting() == []
    entry = ("eva", "classify", message, "I read it")
    assert entry in await desk.services.list_audit_entries()
    assert [each.type for each in desk.services.published].count("inbound.classified") == 1


async def test_the_same_word_again_changes_nothing(desk: Desk) -> None:
    """One piece of evidence, one audit entry, one event."""
    message = await desk.receive(VAGUE)
    await desk.classify(message, M.NO)
    before = await desk.list_evidence()
    assert (await desk.classify(message, M.NO)).cancelled_messages == 0
    assert await desk.list_evidence() == before
    assert [each.type for each in desk.services.published].count("inbound.classified") == 1


async def test_a_wrong_key_can_be_taken_back(desk: Desk) -> None:
    """A welcome becomes a no: the first word is withdrawn, not deleted."""
    message = await desk.receive(VAGUE)
    await desk.classify(message, M.WELCOME)
    assert await desk.get_permission() is P.CONVERSATION
    await desk.classify(message, M.NO)
    assert await desk.get_permission() is P.REFUSED
    words = [
        each.value
        for each in await desk.list_evidence()
        if each.kind is EvidenceKind.CLASSIFICATION
    ]
    assert sorted(words) == ["no", "welcome"]


async def test_a_welcome_from_before_a_refusal_opens_nothing(desk: Desk) -> None:
    """A word counts by the time of the message's writing, not by when the key was pressed."""
    old = await desk.receive(VAGUE, age=100)
    await desk.receive("no me interesa", age=50)
    await desk.services.clock.advance(3600)
    await desk.classify(old, M.WELCOME)
    assert await desk.get_permission() is P.REFUSED


async def test_what_is_not_read_yet_holds_on(desk: Desk) -> None:
    """Two messages: the sale goes when a person has read both."""
    first, second = await desk.receive(VAGUE), await desk.receive(ANGRY)
    sale = await desk.enqueue_later()
    await desk.classify(second, M.NEITHER)
    assert await desk.services.get_state(sale) is S.HELD
    await desk.classify(first, M.NEITHER)
    assert await desk.services.get_state(sale) is S.CLEARED


async def test_approving_the_prospect_does_not_say_what_they_meant(desk: Desk) -> None:
    """Only a classification ends the hold of their words."""
    await desk.receive(VAGUE)
    ana = await desk.get_prospect()
    assert ana is not None
    await desk.services.review.approve_prospect(ana.id, "eva", "a good customer")
    assert await desk.services.get_state(await desk.enqueue_later()) is S.HELD


async def test_a_complaint_counts_until_a_person_reads_it_otherwise(desk: Desk) -> None:
    """The breaker's rate follows the correction."""
    await desk.services.enqueue_and_settle()
    await desk.services.clock.advance(60)
    message = await desk.receive(ANGRY)
    assert await count_complaints(desk) == 1
    await desk.classify(message, M.NEITHER)
    assert await count_complaints(desk) == 0


async def count_complaints(desk: Desk) -> int:
    """Return how many of the number's latest first contacts complained."""
    now = desk.services.clock.now()
    rates = await desk.services.database.read(lambda r: get_first_contact_rates(r, OUR_NUMBER, now))
    return rates.complained.count


async def test_the_fourth_key_of_a_complaint_suppresses(desk: Desk) -> None:
    """They refuse, they are on the list, and replies are cancelled too."""
    message = await desk.receive(ANGRY)
    sale = await desk.enqueue_later()
    result = await desk.classify(message, M.SUPPRESS, reason="")
    assert result.suppressed
    assert await desk.is_suppressed()
    assert await desk.get_permission() is P.REFUSED
    assert await desk.services.get_state(sale) is S.CANCELLED
    with pytest.raises(Conflict, match="classified it already"):
        await desk.classify(message, M.NEITHER)


async def test_only_a_complaint_has_the_fourth_key(desk: Desk) -> None:
    """The sentence names what it may mean."""
    message = await desk.receive(VAGUE)
    with pytest.raises(Conflict, match="can't be classified as suppress") as refused:
        await desk.classify(message, M.SUPPRESS)
    assert refused.value.hint == "What it may mean: welcome, no, neither."


async def test_a_number_with_another_owner_is_no_way_to_the_prospect(desk: Desk) -> None:
    """Undecided until a person says so; then the number is rejected."""
    message = await desk.receive(OTHER)
    ana = await desk.get_prospect()
    assert ana is not None
    assert ana.validado_tecnicamente is None
    await desk.classify(message, M.NUMBER_CHANGED_OWNER)
    ana = await desk.get_prospect()
    assert ana is not None
    assert (ana.validation, ana.validado_tecnicamente) == (ValidationState.NOT_REACHABLE, False)
    facts = build_prospect_facts(
        ana, await desk.list_evidence(), suppressed=False, at=desk.services.clock.now()
    )
    assert facts["prospect.validado_tecnicamente"] is False, "the rules see it decided, not open"
    assert await desk.get_permission() is P.NONE


async def test_a_third_party_is_closed(desk: Desk) -> None:
    """Their words are not the prospect's: no permission, and the number is not rejected."""
    message = await desk.receive(OTHER)
    await desk.classify(message, M.THIRD_PARTY)
    ana = await desk.get_prospect()
    assert ana is not None
    assert ana.validation is ValidationState.UNCHECKED
    assert await desk.get_permission() is P.NONE


async def test_a_misread_wrong_number_gives_their_permission_back(desk: Desk) -> None:
    """A person corrects it: what was read is withdrawn."""
    message = await desk.receive(OTHER)
    assert await desk.get_permission() is P.NONE
    await desk.classify(message, M.NEITHER)
    assert await desk.get_permission() is P.OPTED_IN


async def test_a_confirmed_minor_leaves_nothing_but_the_hash(desk: Desk) -> None:
    """Number, words, evidence and the texts of our messages are gone; the suppression stays."""
    await desk.services.enqueue_and_settle(ANA, "Hola, Ana")
    message = await desk.receive(CHILD)
    assert await desk.is_suppressed(), "a reading stops at once"
    result = await desk.classify(message, M.MINOR, reason="")
    assert (result.erased, result.suppressed) == (True, True)
    tables = ("prospects", "aliases", "evidence", "inbound", "inbound_reviews")
    counts = [
        (await desk.services.query_rows(f"SELECT count(*) FROM {table}"))[0][0] for table in tables
    ]
    assert counts == [0] * len(tables)
    texts = await desk.services.query_rows(
        "SELECT text, recipient FROM messages UNION SELECT recipient, '' FROM decisions"
        " UNION SELECT document, '' FROM permits"
    )
    assert texts == [("", "")]
    assert await desk.services.suppression.check(ANA)
    with pytest.raises(Conflict, match="opted out themselves"):
        await desk.services.suppression.correct(ANA, who="eva", reason="a mistake")


@pytest.mark.parametrize(("text", "meaning"), [(CHILD, M.MINOR), (DEAD, M.DECEASED)])
async def test_a_minor_and_a_death_are_confirmed_by_a_person(
    desk: Desk, text: str, meaning: Meaning
) -> None:
    """Without that nothing is stored: they stay stopped, and their message waits."""
    message = await desk.receive(text)
    with pytest.raises(BadRequest, match="which a person confirms"):
        await desk.services.classification.classify(message, meaning, who="eva", reason="I read")
    assert len(await desk.list_waiting()) == 1
    assert await desk.services.suppression.check(ANA) == []
    assert await desk.is_suppressed()
    assert await desk.get_prospect() is not None


async def test_nobody_is_erased_while_a_message_is_on_its_way(desk: Desk) -> None:
    """Whoever has the link open may be sending it: the answer waits, and nothing is half done."""
    await desk.services.add_session("hand", channel="manual")
    by_hand = await desk.services.enqueue_and_settle(ANA, "Hola", session="hand")
    await desk.services.manual.take(by_hand, "eva")
    await desk.services.manual.reveal(by_hand, "eva")
    message = await desk.receive(CHILD)
    with pytest.raises(Conflict, match="on its way"):
        await desk.classify(message, M.MINOR)
    assert await desk.list_waiting() == [(CHILD, C.MINOR)]
    assert not await desk.services.suppression.check(ANA)
    await desk.services.manual.confirm(by_hand, "eva")
    assert (await desk.classify(message, M.MINOR)).erased


async def test_the_words_go_with_the_bodies(desk: Desk) -> None:
    """Retention blanks what was quoted; that a person said what it means stays."""
    message = await desk.receive(VAGUE)
    await desk.classify(message, M.NO)
    await desk.services.clock.leap(200 * 86_400)
    await desk.services.retention.sweep()
    rows = await desk.services.query_rows("SELECT quote, meaning FROM inbound_reviews")
    assert rows == [("", "no")]
    assert await desk.get_permission() is P.REFUSED


async def test_a_confirmed_death_suppresses(desk: Desk) -> None:
    """Until then they are stopped as if suppressed; their history stays."""
    message = await desk.receive(DEAD)
    assert await desk.is_suppressed()
    assert await desk.services.suppression.check(ANA) == []
    await desk.classify(message, M.DECEASED)
    in_force = await desk.services.suppression.check(ANA)
    assert {each.source for each in in_force} == {SuppressionSource.OPERATOR}
    assert await desk.get_prospect() is not None


@pytest.mark.parametrize("text", [CHILD, DEAD])
async def test_a_misread_child_or_death_ends_the_stop(desk: Desk, text: str) -> None:
    """With a reason, once."""
    message = await desk.receive(text)
    with pytest.raises(BadRequest, match="reason is missing"):
        await desk.classify(message, M.NEITHER, reason=" ")
    await desk.classify(message, M.NEITHER)
    assert not await desk.is_suppressed()
    assert await desk.get_permission() is P.OPTED_IN
    with pytest.raises(Conflict, match="eva has classified it already, as neither"):
        await desk.classify(message, M.WELCOME)


@pytest.mark.parametrize(
    ("meaning", "permission"), [(M.WELCOME, P.CONVERSATION), (M.NO, P.REFUSED)]
)
async def test_a_misread_opt_out_is_corrected_once(
    desk: Desk, meaning: Meaning, permission: Permission
) -> None:
    """The suppression ends, in the journal too; the next opt-out stands."""
    message = await desk.receive(STOP)
    correctable = await desk.services.classification.list_correctable()
    assert [each.message.id for each in correctable] == [message]
    with pytest.raises(BadRequest, match="reason is missing"):
        await desk.classify(message, meaning, reason="")
    await desk.classify(message, meaning, "she meant the mailing list of another shop")
    assert not await desk.is_suppressed()
    assert await desk.get_permission() is permission
    assert await desk.services.suppression.replay_journal() == 0
    assert not await desk.services.classification.list_correctable()
    await desk.services.clock.advance(60)
    second = await desk.receive(STOP)
    with pytest.raises(Conflict, match="corrected once already"):
        await desk.classify(second, M.NEITHER)
    assert await desk.is_suppressed()


async def test_a_listed_word_was_not_misread(desk: Desk) -> None:
    """Nobody here can undo it."""
    message = await desk.receive("BAJA")
    with pytest.raises(Conflict, match="listed word"):
        await desk.classify(message, M.NEITHER)
    assert await desk.is_suppressed()
    assert not await desk.services.classification.list_correctable()


async def test_an_opt_out_that_stands_twice_is_not_lifted(desk: Desk) -> None:
    """Another message of theirs, or an operator's entry, is a reason of its own."""
    await desk.receive("BAJA")
    message = await desk.receive(STOP)
    with pytest.raises(Conflict, match="in another message too"):
        await desk.classify(message, M.NEITHER)


async def test_an_operators_entry_outlives_a_misread_opt_out(desk: Desk) -> None:
    """Their own opt-out took its place in the table, not in the audit."""
    await desk.services.suppress(ANA)
    message = await desk.receive(STOP)
    with pytest.raises(Conflict, match="for another reason too"):
        await desk.classify(message, M.NEITHER)
    assert await desk.is_suppressed()


async def test_an_opt_out_beside_something_else_stays(desk: Desk) -> None:
    """A message that also asks us to stop is no welcome, and its suppression stays."""
    message = await desk.receive(f"{DEAD}, no escriban más")
    with pytest.raises(Conflict, match="also ask us to stop"):
        await desk.classify(message, M.WELCOME)
    await desk.classify(message, M.NEITHER)
    assert await desk.is_suppressed()
    assert await desk.get_permission() is P.REFUSED


async def test_what_nobody_waits_for_is_refused_with_a_sentence(desk: Desk) -> None:
    """A message that was understood, and one that there is not."""
    message = await desk.receive("me interesa")
    with pytest.raises(Conflict, match="does not wait for a person"):
        await desk.classify(message, M.NO)
    with pytest.raises(NotFound, match="no message inb_none"):
        await desk.classify("inb_none", M.NO)


async def test_no_words_in_the_representation(desk: Desk) -> None:
    """They must not get into a log by way of an error."""
    message = await desk.receive(VAGUE)
    (waiting,) = await desk.services.classification.list_waiting()
    shown = f"{waiting!r} {waiting.message!r}"
    assert VAGUE not in shown
    assert ANA not in shown
    stored = await desk.services.database.read(lambda r: inbound.get_inbound(r, message))
    assert stored is not None
    assert stored.text == VAGUE
