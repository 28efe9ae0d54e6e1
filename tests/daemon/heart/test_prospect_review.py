"""A prospect's own place in the review queue: who stands there, who decides, what follows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.errors import BadRequest, NotFound
from statemachines.message import MessageState
from storage import cases, contacts, prospects, retention
from storage.evidence import EvidenceKind
from storage.prospect_reviews import ProspectReviewOutcome
from storage.tx import Tx
from tests.daemon.heart.looking import facts_of
from tests.daemon.heart.rules import written
from tests.helpers.heart import ANA, BETO, NO_VETOES, SmallHouse, small_house

S = MessageState
DAY = 86_400.0
LOOK = "Their words may ask us to stop; a person should read them."


async def standing(house: SmallHouse, to: str = ANA) -> object:
    """Return the fact as a message to them would be judged by it."""
    return (await facts_of(house, to))["prospect.review"]


async def prospect_of(house: SmallHouse, number: str) -> str:
    """Return the id of a number's prospect."""
    contact = await house.contact(number)
    found = await house.database.read(lambda reader: prospects.of_contact(reader, contact))
    assert found is not None
    return found.id


async def ask(house: SmallHouse, number: str = ANA, why: str = LOOK) -> None:
    """Let somebody's words ask for a person's look, as the listener does."""
    contact, at = await house.contact(number), house.clock.now()
    await house.database.write(lambda tx: contacts.ask_review(tx, contact, why, at))


async def queue(house: SmallHouse) -> list[tuple[str, str]]:
    """Return who stands in the queue themselves, and why."""
    found = await house.review.prospects(house.rulebook.judges.review_band)
    return [(each.prospect.phone, each.sentence) for each in found]


async def in_band(house: SmallHouse) -> str:
    """Enter Beto, whose score of 60 a person looks at first."""
    contact = await house.prospect(BETO, line_type="voip")
    long_ago = house.clock.now() - timedelta(days=200)
    await house.evidence(contact, EvidenceKind.INBOUND, "none", at=long_ago)
    return await prospect_of(house, BETO)


async def test_nobody_waits_of_whom_everything_is_known(house: SmallHouse) -> None:
    """A reachable prospect of whom nothing was asked."""
    assert await standing(house) == "none"
    assert await queue(house) == []


async def test_the_band_is_the_live_gates(house: SmallHouse) -> None:
    """From 50 to 69, by the shipped thresholds."""
    assert house.rulebook.judges.review_band == range(50, 70)


async def test_without_a_review_band_no_score_waits(tmp_path: Path) -> None:
    """An operator whose gate only allows and blocks."""
    async with small_house(tmp_path, rules=written(tmp_path)) as house:
        await house.session()
        await in_band(house)
        assert house.rulebook.judges.review_band == range(0)
        assert await standing(house, BETO) == "none"
        assert await queue(house) == []


async def test_a_prospect_in_the_review_band_waits_until_somebody_decides(
    house: SmallHouse,
) -> None:
    """Approved, for a day; then it waits again."""
    beto = await in_band(house)
    assert await standing(house, BETO) == "waiting"
    assert await queue(house) == [(BETO, "A score of 60 needs a person's approval")]
    said = await house.review.approve_prospect(beto, "eva", " I know him ")
    assert (said.word, said.reason, said.expires_at) == (
        ProspectReviewOutcome.APPROVED,
        "I know him",
        house.clock.now() + timedelta(hours=24),
    )
    assert await standing(house, BETO) == "approved"
    assert await queue(house) == []
    await house.clock.leap(DAY)
    assert await standing(house, BETO) == "waiting"
    assert [phone for phone, _ in await queue(house)] == [BETO]


async def test_words_that_a_person_should_read_make_a_prospect_wait(house: SmallHouse) -> None:
    """They come before the scores; read and approved, nothing is held for them any more."""
    await in_band(house)
    await ask(house)
    assert await queue(house) == [(ANA, LOOK), (BETO, "A score of 60 needs a person's approval")]
    assert await standing(house) == "waiting"
    await house.review.approve_prospect(await prospect_of(house, ANA), "eva", "she only jokes")
    assert await standing(house) == "approved"
    assert await house.state(await house.post()) is S.SENT


async def test_a_rejected_prospect_gets_nothing_but_answers(house: SmallHouse) -> None:
    """What waits is cancelled, what comes later blocked, approved messages too."""
    ana = await prospect_of(house, ANA)
    await ask(house)
    waiting = await house.post()
    assert await house.state(waiting) is S.HELD
    assert await queue(house) == [], "their message stands in the queue already"
    await house.review.reject_prospect(ana, "eva", "a competitor")
    cancelled = await house.message(waiting)
    assert (cancelled.state, cancelled.reason_code) == (S.CANCELLED, "prospect_rejected")
    blocked = await house.message(await house.post())
    assert blocked.state is S.BLOCKED
    assert blocked.sentence == "A person rejected this prospect: a competitor"
    await house.inbound(await house.contact(ANA))
    assert await house.state(await house.post(text="Hola, sí")) is S.SENT


async def test_a_rejection_holds_until_another_word(house: SmallHouse) -> None:
    """It does not run out; an approval, or new words of theirs, end it."""
    ana = await prospect_of(house, ANA)
    await house.review.reject_prospect(ana, "eva", "a competitor")
    await house.clock.leap(28 * DAY)
    assert await standing(house) == "rejected"
    await ask(house, why="Stop by tomorrow")
    assert await standing(house) == "waiting"
    assert await queue(house) == [(ANA, "Stop by tomorrow")]
    message = await house.post()
    assert await house.state(message) is S.HELD
    await house.review_through(message)
    assert await house.state(message) is S.SENT, "the old word is not the last one any more"
    assert await standing(house) == "none"
    await house.review.reject_prospect(ana, "eva", "a competitor")
    await house.review.approve_prospect(ana, "ivo", "they changed sides")
    assert await standing(house) == "approved"
    await house.clock.leap(DAY)
    assert await standing(house) == "none", "an older rejection does not come back"


async def test_who_decided_what_and_why_is_kept(house: SmallHouse) -> None:
    """In the audit, and as an event that moves what the doors show."""
    ana = await prospect_of(house, ANA)
    house.published.clear()
    await house.review.reject_prospect(ana, "eva", "a competitor")
    await house.review.approve_prospect(ana, "ivo", "they changed sides")
    assert await house.rows("SELECT who, action, subject, reason FROM audit") == [
        ("eva", "reject_prospect", ana, "a competitor"),
        ("ivo", "approve_prospect", ana, "they changed sides"),
    ]
    assert [(each.type, each.data["reason_code"]) for each in house.published] == [
        ("prospect.changed", "review_rejected"),
        ("prospect.changed", "review_approved"),
    ]


async def test_a_word_needs_a_reason_and_a_prospect(house: SmallHouse) -> None:
    """Each is refused with its own error, and nothing is written."""
    ana = await prospect_of(house, ANA)
    with pytest.raises(BadRequest):
        await house.review.approve_prospect(ana, "eva", " ")
    with pytest.raises(NotFound):
        await house.review.reject_prospect("pro_0", "eva", "why not")
    assert await house.rows("SELECT * FROM prospect_reviews") == []


@pytest.mark.parametrize("why_not", ["refused", "suppressed", "not_reachable", "unsettled"])
async def test_nobody_is_asked_about_who_is_not_written_to_anyway(
    house: SmallHouse, why_not: str
) -> None:
    """Nor twice about a number that waits for validation."""
    await in_band(house)
    change = {
        "refused": "UPDATE prospects SET permission = 'refused'",
        "not_reachable": "UPDATE prospects SET validation = 'not_reachable'",
        "unsettled": "UPDATE prospects SET validation = 'unchecked', check_attempts = 3",
    }
    if why_not in change:
        await house.execute(change[why_not])
    else:
        await house.suppress(BETO)
    assert await queue(house) == []


async def test_a_word_stays_with_the_person_whatever_name_they_go_by(house: SmallHouse) -> None:
    """A hidden id that turns out to be theirs changes nothing."""
    await house.review.reject_prospect(await prospect_of(house, ANA), "eva", "a competitor")
    names = (*house.aliases.of_lid("998877665544332@lid"), *house.aliases.of_phone(ANA))
    at = house.clock.now() - timedelta(days=400)
    await house.database.write(lambda tx: contacts.resolve(tx, names[:1], at))
    await house.database.write(lambda tx: contacts.resolve(tx, names, at))
    assert await standing(house) == "rejected"


async def test_a_look_asked_for_under_another_name_comes_after_the_word(
    house: SmallHouse,
) -> None:
    """What they wrote under a hidden id is to be read, whatever was decided before."""
    await house.review.reject_prospect(await prospect_of(house, ANA), "eva", "a competitor")
    names = (*house.aliases.of_lid("998877665544332@lid"), *house.aliases.of_phone(ANA))
    at = house.clock.now() + timedelta(minutes=1)

    def wrote(tx: Tx) -> None:
        hidden = contacts.resolve(tx, names[:1], at)
        contacts.ask_review(tx, hidden, LOOK, at)
        contacts.end_review(tx, hidden)
        contacts.resolve(tx, names, at)

    await house.database.write(wrote)
    assert await standing(house) == "none", "a person has read it since"


async def test_what_was_decided_goes_with_a_prospect_that_is_forgotten(house: SmallHouse) -> None:
    """Nothing of somebody we never wrote to is kept."""
    await house.review.reject_prospect(await prospect_of(house, ANA), "eva", "a competitor")
    at = house.clock.now() + timedelta(days=1)
    gone = await house.database.write(lambda tx: retention.forget_never_contacted(tx, at, 10))
    assert gone == 1
    assert await house.rows("SELECT * FROM prospect_reviews") == []


async def test_the_queue_counts_all_and_lists_some(house: SmallHouse) -> None:
    """The count is not cut."""
    await in_band(house)
    await ask(house)
    at, band = house.clock.now(), house.rulebook.judges.review_band
    assert len(await house.review.prospects(band, limit=1)) == 1
    counted = await house.database.read(
        lambda reader: cases.count_waiting_prospects(reader, band, at)
    )
    assert counted == 2


CAREFUL = """\
vetoes:
  - id: looked_at_first
    reason: "A person looks at each prospect first"
    when: {prospect.review|ne: approved}
    defer: 1h
"""


async def test_a_rule_on_the_review_decides_a_message(tmp_path: Path) -> None:
    """It waits; when its hour has come and the prospect is approved, it goes."""
    async with small_house(tmp_path, rules=written(tmp_path, NO_VETOES + CAREFUL)) as house:
        await house.session()
        house.outbox.serve("main")
        await house.prospect()
        message = await house.post()
        assert (await house.message(message)).reason_code == "looked_at_first"
        await house.review.approve_prospect(await prospect_of(house, ANA), "eva", "looked")
        await house.clock.advance(3601)
        assert await house.state(message) is S.SENT
