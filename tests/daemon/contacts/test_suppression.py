"""Suppression: every name at once, in one transaction, and only two ways out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.message import MessageState
from storage import audit, contacts, suppressions
from storage.journal import JournalAction, SuppressionJournal
from storage.suppressions import SuppressionSource
from storage.tx import Tx
from tests.helpers.services.contacts import (
    ANA,
    ANA_OLD_FORM,
    BETO,
    LID,
    ContactServices,
    open_contact_services,
)
from tests.helpers.services.database import lose_suppressions


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[ContactServices]:
    """A database, a session and an empty book."""
    async with open_contact_services(tmp_path) as opened:
        yield opened


async def suppress(
    people: ContactServices, target: str, source: SuppressionSource = SuppressionSource.OPERATOR
) -> None:
    """Suppress without looking at the answer."""
    await people.suppression.suppress(target, source=source, reason="asked by phone", who="eva")


async def is_suppressed(people: ContactServices, phone: str) -> bool:
    """Ask through the number."""
    return bool(await people.suppression.check(phone))


async def test_a_suppression_holds_for_every_form_of_the_number(people: ContactServices) -> None:
    """The list says +54 9 11, they wrote from +54 11: one line, one wish."""
    await suppress(people, ANA_OLD_FORM)
    assert await is_suppressed(people, ANA)
    assert await is_suppressed(people, ANA_OLD_FORM)
    assert not await is_suppressed(people, BETO)


async def test_it_cancels_everything_that_waits_for_them_in_the_same_transaction(
    people: ContactServices,
) -> None:
    """Replies too; another contact's messages stay."""
    mine = [await people.queue_message(ANA), await people.queue_message(ANA, kind="reply")]
    other = await people.queue_message(BETO)
    done = await people.suppression.suppress(
        ANA_OLD_FORM, source=SuppressionSource.OPERATOR, reason="asked", who="eva"
    )
    assert done.cancelled_messages == 2
    assert [await people.get_message_state(each) for each in mine] == [MessageState.CANCELLED] * 2
    assert await people.get_message_state(other) is MessageState.QUEUED
    assert people.event_types()[-3:] == ["message.changed"] * 2 + ["contact.suppressed"]


async def test_a_name_learned_later_is_suppressed_too(people: ContactServices) -> None:
    """A hidden id joins the contact: the book and the journal take it in."""
    contact = await people.resolve_contact(ANA)
    await suppress(people, contact, SuppressionSource.CONTACT)
    at = people.clock.now()

    def learn(tx: Tx) -> bool:
        names = (
            *people.aliases.from_phone(ANA),
            *people.aliases.from_identities(parse_identity(LID)),
        )
        return people.suppression.extend_to_new_aliases(
            tx, contacts.resolve_contact(tx, names, at), at=at
        )

    assert await people.database.write(learn)
    [record] = [r for r in await people.suppression.check(LID) if r.alias == LID]
    assert record.source is SuppressionSource.CONTACT
    assert people.aliases.from_identities(parse_identity(LID))[0].hash in {
        e.alias_hash for e in people.journal.entries()
    }


async def test_merging_with_a_suppressed_contact_cancels_what_waited(
    people: ContactServices,
) -> None:
    """The hidden id said stop before anybody knew whose it was."""
    message = await people.queue_message(ANA)
    at = people.clock.now()
    lid = people.aliases.from_identities(parse_identity(LID))
    await people.database.write(lambda tx: contacts.resolve_contact(tx, lid, at))
    await suppress(people, LID, SuppressionSource.CONTACT)
    assert await people.get_message_state(message) is MessageState.QUEUED

    def learn(tx: Tx) -> bool:
        contact = contacts.resolve_contact(tx, (*lid, *people.aliases.from_phone(ANA)), at)
        return people.suppression.extend_to_new_aliases(tx, contact, at=at)

    assert await people.database.write(learn)
    assert await people.get_message_state(message) is MessageState.CANCELLED
    assert await is_suppressed(people, ANA_OLD_FORM)


async def test_who_is_not_suppressed_is_not_covered(people: ContactServices) -> None:
    """Covering adds names to a suppression; it never makes one."""
    contact = await people.resolve_contact(ANA)
    at = people.clock.now()
    assert not await people.database.write(
        lambda tx: people.suppression.extend_to_new_aliases(tx, contact, at=at)
    )
    assert not await is_suppressed(people, ANA)


async def test_suppressing_makes_every_open_decision_stale(people: ContactServices) -> None:
    """What was judged a moment ago is judged again before it may go."""
    contact = await people.resolve_contact(ANA)
    before = await people.database.read(lambda r: contacts.get_contact_revision(r, contact))
    await suppress(people, ANA)
    assert await people.database.read(lambda r: contacts.get_contact_revision(r, contact)) > before


async def test_a_number_without_a_contact_is_suppressed_by_its_hash_alone(
    people: ContactServices,
) -> None:
    """A do-not-call list makes no contacts, and binds the contact that is made later."""
    await suppress(people, ANA, SuppressionSource.IMPORT)
    assert await people.database.read(lambda r: contacts.find_contact_by_alias(r, ANA)) is None
    contact = await people.resolve_contact(ANA_OLD_FORM)
    assert await people.database.read(lambda r: suppressions.is_contact_suppressed(r, contact))


async def test_a_suppressed_hash_counts_for_whoever_has_it_though_nothing_links_them(
    people: ContactServices,
) -> None:
    """Were the link lost, the wish would not be: the hash is compared with each alias as well."""
    contact = await people.resolve_contact(ANA)

    def job(tx: Tx) -> None:
        hashes = [alias.hash for alias in contacts.list_aliases(tx, contact)]
        suppressions.suppress_aliases(
            tx,
            people.journal,
            hashes,
            contact=None,
            source=SuppressionSource.IMPORT,
            reason="on a list",
            at=people.clock.now(),
        )

    await people.database.write(job)
    assert await people.database.read(lambda r: suppressions.is_contact_suppressed(r, contact))


async def test_an_operators_mistake_is_corrected_with_a_reason_that_stays(
    people: ContactServices,
) -> None:
    """The audit and the journal both hear of it."""
    contact = await people.resolve_contact(ANA)
    await suppress(people, contact)
    await people.suppression.correct(ANA, who="eva", reason="wrong number typed")
    assert not await is_suppressed(people, ANA)
    entries = await people.database.read(lambda r: audit.list_subject_audit_entries(r, contact))
    assert [(entry.action, entry.reason) for entry in entries] == [
        ("suppress", "asked by phone"),
        ("lift_suppression", "wrong number typed"),
    ]
    assert [entry.action for entry in people.journal.entries()] == (
        [JournalAction.SUPPRESSED] * 2 + [JournalAction.LIFTED] * 2
    )
    assert people.event_types()[-1] == "contact.reopened"


async def test_a_number_without_a_contact_can_be_corrected_too(people: ContactServices) -> None:
    """There is nobody to publish an event about."""
    await suppress(people, ANA, SuppressionSource.IMPORT)
    await people.suppression.correct(ANA, who="eva", reason="wrong list")
    assert not await is_suppressed(people, ANA)
    assert people.event_types() == []


async def test_nobody_here_lifts_what_the_contact_asked_for(people: ContactServices) -> None:
    """Not even where an operator had suppressed them before."""
    await suppress(people, ANA)
    await suppress(people, ANA, SuppressionSource.CONTACT)
    with pytest.raises(Conflict, match="opted out themselves"):
        await people.suppression.correct(ANA, who="eva", reason="but I want to")
    assert await is_suppressed(people, ANA)


async def test_a_weaker_word_does_not_replace_a_stronger_one(people: ContactServices) -> None:
    """An import after their own opt-out changes nothing."""
    await suppress(people, ANA, SuppressionSource.CONTACT)
    done = await people.suppression.suppress(
        ANA, source=SuppressionSource.IMPORT, reason="list", who="import"
    )
    assert done.new == 0
    assert {record.source for record in await people.suppression.check(ANA)} == {
        SuppressionSource.CONTACT
    }


async def test_correcting_nothing_is_said(people: ContactServices) -> None:
    """There is nothing to lift."""
    with pytest.raises(Conflict, match="not suppressed"):
        await people.suppression.correct(ANA, who="eva", reason="why not")


async def test_a_reason_is_always_given(people: ContactServices) -> None:
    """Neither in nor out without one."""
    with pytest.raises(BadRequest):
        await people.suppression.suppress(
            ANA, source=SuppressionSource.OPERATOR, reason=" ", who="eva"
        )
    with pytest.raises(BadRequest):
        await people.suppression.correct(ANA, who="eva", reason="")


async def test_an_unknown_contact_is_not_found(people: ContactServices) -> None:
    """The id is wrong, and nothing is entered."""
    with pytest.raises(NotFound):
        await suppress(people, "con_00000000000000000000000000")


async def test_their_own_later_opt_in_reopens(people: ContactServices) -> None:
    """Even what they themselves asked for before."""
    contact = await people.resolve_contact(ANA)
    await suppress(people, contact, SuppressionSource.CONTACT)
    suppressed_at = people.clock.now()
    await people.clock.advance(60)
    at = people.clock.now()
    early = await people.database.write(
        lambda tx: people.suppression.reopen(tx, contact, at=suppressed_at)
    )
    assert early == []
    hashes = await people.database.write(lambda tx: people.suppression.reopen(tx, contact, at=at))
    await people.suppression.journal_lifted(hashes)
    assert len(hashes) == 2
    assert not await is_suppressed(people, ANA)
    await suppress(people, contact, SuppressionSource.CONTACT)
    assert await is_suppressed(people, ANA)


async def test_the_journal_brings_back_what_an_older_database_lost(tmp_path: Path) -> None:
    """The table is emptied as a restore would; the start puts it back and cancels what waits."""
    async with open_contact_services(tmp_path) as people:
        await suppress(people, ANA, SuppressionSource.CONTACT)
        await suppress(people, BETO)
        await people.suppression.correct(BETO, who="eva", reason="mistake")
        message = await people.queue_message(ANA)
        await people.database.write(lose_suppressions)
    async with open_contact_services(tmp_path) as people:
        assert await people.suppression.replay_journal() == 2
        assert await people.suppression.replay_journal() == 0
        assert {r.source for r in await people.suppression.check(ANA)} == {
            SuppressionSource.CONTACT
        }
        assert not await is_suppressed(people, BETO)
        assert await people.get_message_state(message) is MessageState.CANCELLED


async def test_a_crash_between_a_lifting_and_its_journal_line_is_harmless(
    people: ContactServices,
) -> None:
    """The table knows the newer word."""
    contact = await people.resolve_contact(ANA)
    await suppress(people, contact, SuppressionSource.CONTACT)
    await people.clock.advance(5)
    at = people.clock.now()
    await people.database.write(lambda tx: people.suppression.reopen(tx, contact, at=at))
    assert await people.suppression.replay_journal() == 0
    assert not await is_suppressed(people, ANA)


async def test_a_suppression_that_the_disk_refuses_is_not_there_at_all(
    people: ContactServices,
) -> None:
    """The journal can't be written: neither table nor queue change."""
    message = await people.queue_message(ANA)
    journal = people.folder / "suppressions.journal"
    journal.mkdir()
    with pytest.raises(Exception, match=r"suppressions\.journal"):
        await suppress(people, ANA)
    assert not await is_suppressed(people, ANA)
    assert await people.get_message_state(message) is MessageState.QUEUED


async def test_no_number_shows_in_what_is_printed(people: ContactServices) -> None:
    """Records may end in a log line."""
    await people.resolve_contact(ANA)
    await suppress(people, ANA)
    assert ANA[-6:] not in repr(await people.suppression.check(ANA))


async def test_the_journal_is_written_before_the_table_is_committed(
    people: ContactServices,
) -> None:
    """A second reader of the journal finds each alias there as soon as the answer is."""
    await suppress(people, ANA)
    entries = SuppressionJournal(people.folder).entries()
    assert {entry.alias_hash for entry in entries} == {
        alias.hash for alias in people.aliases.from_phone(ANA)
    }
