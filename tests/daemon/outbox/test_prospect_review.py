"""A prospect's own place in the review queue: who stands there, who decides, what follows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.errors import BadRequest, NotFound
from statemachines.message import MessageState
from storage import contacts, prospects, retention, review_queries
from storage.evidence import EvidenceKind
from storage.prospect_reviews import ProspectReviewOutcome
from storage.tx import Tx
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import get_facts, write_gate_rules

S = MessageState
DAY = 86_400.0
LOOK = "They may be asking us to stop; a person should read the message."


async def standing(services: MessagingServices, to: str = ANA) -> object:
    """Return the fact as a message to them would be judged by it."""
    return (await get_facts(services, to))["prospect.review"]


async def prospect_of(services: MessagingServices, number: str) -> str:
    """Return the id of a number's prospect."""
    contact = await services.resolve_contact(number)
    found = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert found is not None
    return found.id


async def ask(services: MessagingServices, number: str = ANA, why: str = LOOK) -> None:
    """Let somebody's words ask for a person's look, as the listener does."""
    contact, at = await services.resolve_contact(number), services.clock.now()
    await services.database.write(lambda tx: contacts.request_contact_review(tx, contact, why, at))


async def queue(services: MessagingServices) -> list[tuple[str, str]]:
    """Return who stands in the queue themselves, and why."""
    found = await services.review.list_prospects(services.rulesets.compiled.review_band)
    return [(each.prospect.phone, each.sentence) for each in found]


async def in_band(services: MessagingServices) -> str:
    """Enter Beto, whose score of 60 a person looks at first."""
    contact = await services.add_prospect(BETO, line_type="voip")
    long_ago = services.clock.now() - timedelta(days=200)
    await services.add_evidence(contact, EvidenceKind.INBOUND, "none", at=long_ago)
    return await prospect_of(services, BETO)


async def test_nobody_waits_of_whom_everything_is_known(services: MessagingServices) -> None:
    """A reachable prospect of whom nothing was asked."""
    assert await standing(services) == "none"
    assert await queue(services) == []


async def test_the_band_is_the_live_gates(services: MessagingServices) -> None:
    """From 50 to 69, by the shipped thresholds."""
    assert services.rulesets.compiled.review_band == range(50, 70)


async def test_without_a_review_band_no_score_waits(tmp_path: Path) -> None:
    """An operator whose gate only allows and blocks."""
    async with open_messaging_services(tmp_path, rules=write_gate_rules(tmp_path)) as services:
        await services.add_session()
        await in_band(services)
        assert services.rulesets.compiled.review_band == range(0)
        assert await standing(services, BETO) == "none"
        assert await queue(services) == []


async def test_a_prospect_in_the_review_band_waits_until_somebody_decides(
    services: MessagingServices,
) -> None:
    """Approved, for a day; then it waits again."""
    beto = await in_band(services)
    assert await standing(services, BETO) == "waiting"
    assert await queue(services) == [(BETO, "A score of 60 needs a person's approval")]
    said = await services.review.approve_prospect(beto, "eva", " I know him ")
    assert (said.outcome, said.reason, said.expires_at) == (
        ProspectReviewOutcome.APPROVED,
        "I know him",
        services.clock.now() + timedelta(hours=24),
    )
    assert await standing(services, BETO) == "approved"
    assert await queue(services) == []
    await services.clock.leap(DAY)
    assert await standing(services, BETO) == "waiting"
    assert [phone for phone, _ in await queue(services)] == [BETO]


async def test_words_that_a_person_should_read_make_a_prospect_wait(
    services: MessagingServices,
) -> None:
    """They come before the scores; read and approved, nothing is held for them any more."""
    await in_band(services)
    await ask(services)
    assert await queue(services) == [(ANA, LOOK), (BETO, "A score of 60 needs a person's approval")]
    assert await standing(services) == "waiting"
    await services.review.approve_prospect(
        await prospect_of(services, ANA), "eva", "she only jokes"
    )
    assert await standing(services) == "approved"
    assert await services.get_state(await services.enqueue_and_settle()) is S.SENT


async def test_a_rejected_prospect_gets_nothing_but_answers(services: MessagingServices) -> None:
    """What waits is cancelled, what comes later blocked, approved messages too."""
    ana = await prospect_of(services, ANA)
    await ask(services)
    waiting = await services.enqueue_and_settle()
    assert await services.get_state(waiting) is S.HELD
    assert await queue(services) == [], "their message stands in the queue already"
    await services.review.reject_prospect(ana, "eva", "a competitor")
    cancelled = await services.get_message(waiting)
    assert (cancelled.state, cancelled.reason_code) == (S.CANCELLED, "prospect_rejected")
    blocked = await services.get_message(await services.enqueue_and_settle())
    assert blocked.state is S.BLOCKED
    assert blocked.sentence == "A person rejected this prospect: a competitor"
    await services.add_inbound(await services.resolve_contact(ANA))
    assert await services.get_state(await services.enqueue_and_settle(text="Hola, sí")) is S.SENT


async def test_a_rejection_holds_until_another_word(services: MessagingServices) -> None:
    """It does not run out; an approval, or new words of theirs, end it."""
    ana = await prospect_of(services, ANA)
    await services.review.reject_prospect(ana, "eva", "a competitor")
    await services.clock.leap(28 * DAY)
    assert await standing(services) == "rejected"
    await ask(services, why="Stop by tomorrow")
    assert await standing(services) == "waiting"
    assert await queue(services) == [(ANA, "Stop by tomorrow")]
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.HELD
    await services.approve_and_settle(message)
    assert await services.get_state(message) is S.SENT, "the old word is not the last one any more"
    assert await standing(services) == "none"
    await services.review.reject_prospect(ana, "eva", "a competitor")
    await services.review.approve_prospect(ana, "ivo", "they changed sides")
    assert await standing(services) == "approved"
    await services.clock.leap(DAY)
    assert await standing(services) == "none", "an older rejection does not come back"


async def test_who_decided_what_and_why_is_kept(services: MessagingServices) -> None:
    """In the audit, and as an event that moves what the doors show."""
    ana = await prospect_of(services, ANA)
    services.published.clear()
    await services.review.reject_prospect(ana, "eva", "a competitor")
    await services.review.approve_prospect(ana, "ivo", "they changed sides")
    assert await services.query_rows(
        "SELECT who, action, subject, reason FROM audit WHERE who <> 'daemon'"
    ) == [
        ("eva", "reject_prospect", ana, "a competitor"),
        ("ivo", "approve_prospect", ana, "they changed sides"),
    ]
    assert [(each.type, each.data["reason_code"]) for each in services.published] == [
        ("prospect.changed", "review_rejected"),
        ("prospect.changed", "review_approved"),
    ]


async def test_a_word_needs_a_reason_and_a_prospect(services: MessagingServices) -> None:
    """Each is refused with its own error, and nothing is written."""
    ana = await prospect_of(services, ANA)
    with pytest.raises(BadRequest):
        await services.review.approve_prospect(ana, "eva", " ")
    with pytest.raises(NotFound):
        await services.review.reject_prospect("pro_0", "eva", "why not")
    assert await services.query_rows("SELECT * FROM prospect_reviews") == []


@pytest.mark.parametrize("why_not", ["refused", "suppressed", "not_reachable", "unsettled"])
async def test_nobody_is_asked_about_who_is_not_written_to_anyway(
    services: MessagingServices, why_not: str
) -> None:
    """Nor twice about a number that waits for validation."""
    await in_band(services)
    change = {
        "refused": "UPDATE prospects SET permission = 'refused'",
        "not_reachable": "UPDATE prospects SET validation = 'not_reachable'",
        "unsettled": "UPDATE prospects SET validation = 'unchecked', check_attempts = 3",
    }
    if why_not in change:
        await services.execute_sql(change[why_not])
    else:
        await services.suppress(BETO)
    assert await queue(services) == []


async def test_a_word_stays_with_the_person_whatever_name_they_go_by(
    services: MessagingServices,
) -> None:
    """A hidden id that turns out to be theirs changes nothing."""
    await services.review.reject_prospect(await prospect_of(services, ANA), "eva", "a competitor")
    names = (
        *services.aliases.from_identities(parse_identity("998877665544332@lid")),
        *services.aliases.from_phone(ANA),
    )
    at = services.clock.now() - timedelta(days=400)
    await services.database.write(lambda tx: contacts.resolve_contact(tx, names[:1], at))
    await services.database.write(lambda tx: contacts.resolve_contact(tx, names, at))
    assert await standing(services) == "rejected"


async def test_a_look_asked_for_under_another_name_comes_after_the_word(
    services: MessagingServices,
) -> None:
    """What they wrote under a hidden id is to be read, whatever was decided before."""
    await services.review.reject_prospect(await prospect_of(services, ANA), "eva", "a competitor")
    names = (
        *services.aliases.from_identities(parse_identity("998877665544332@lid")),
        *services.aliases.from_phone(ANA),
    )
    at = services.clock.now() + timedelta(minutes=1)

    def wrote(tx: Tx) -> None:
        hidden = contacts.resolve_contact(tx, names[:1], at)
        contacts.request_contact_review(tx, hidden, LOOK, at)
        contacts.end_contact_review(tx, hidden)
        contacts.resolve_contact(tx, names, at)

    await services.database.write(wrote)
    assert await standing(services) == "none", "a person has read it since"


async def test_what_was_decided_goes_with_a_prospect_that_is_forgotten(
    services: MessagingServices,
) -> None:
    """Nothing of somebody we never wrote to is kept."""
    await services.review.reject_prospect(await prospect_of(services, ANA), "eva", "a competitor")
    at = services.clock.now() + timedelta(days=1)
    gone = await services.database.write(
        lambda tx: retention.erase_uncontacted_prospects(tx, at, 10)
    )
    assert gone == 1
    assert await services.query_rows("SELECT * FROM prospect_reviews") == []


async def test_the_queue_counts_all_and_lists_some(services: MessagingServices) -> None:
    """The count is not cut."""
    await in_band(services)
    await ask(services)
    at, band = services.clock.now(), services.rulesets.compiled.review_band
    assert len(await services.review.list_prospects(band, limit=1)) == 1
    counted = await services.database.read(
        lambda reader: review_queries.count_waiting_prospects(reader, band, at)
    )
    assert counted.count == 2


CAREFUL = """\
vetoes:
  - id: looked_at_first
    reason: "A person looks at each prospect first"
    when: {prospect.review|ne: approved}
    defer: 1h
"""


async def test_a_rule_on_the_review_decides_a_message(tmp_path: Path) -> None:
    """It waits; when its hour has come and the prospect is approved, it goes."""
    async with open_messaging_services(
        tmp_path, rules=write_gate_rules(tmp_path, GATE_WITHOUT_VETOES + CAREFUL)
    ) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        assert (await services.get_message(message)).reason_code == "looked_at_first"
        await services.review.approve_prospect(await prospect_of(services, ANA), "eva", "looked")
        await services.clock.advance(3601)
        assert await services.get_state(message) is S.SENT
