"""All that is stored of a person on one page, and nothing but a hash once they are forgotten."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest

from daemon.campaigns.service import CampaignChange
from daemon.contacts.personal_data import Dossier, Remainder
from daemon.contacts.prospect_filters import ProspectFilter
from daemon.errors import Conflict, NotFound
from statemachines.message import MessageState
from storage import prospects
from storage.dossier import SECTIONS
from storage.suppressions import SuppressionSource
from storage.tx import Tx
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import ANA, MessagingServices, build_phone
from tests.helpers.services.messaging_scenarios import add_receipt, plain_logs, services

__all__ = ["plain_logs", "services"]

PERSON: Final = build_phone(7)
WORDS: Final = ("Ana Quispe", "Bicicletería Quispe", "me interesa la bici", "ana@quispe.example")


async def fill(services: MessagingServices) -> tuple[str, str]:
    """Store a person with everything that the services store; return prospect and message."""
    contact = await services.add_prospect(PERSON)
    found = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert found
    texts = {"name": WORDS[0], "trade": WORDS[1], "email": WORDS[3]}
    await services.database.write(
        lambda tx: prospects.update_prospect(tx, found.id, at=services.clock.now(), **texts)
    )
    message = await services.enqueue_and_settle(PERSON, f"Hola {WORDS[0]}")
    await add_receipt(services, message, "delivered")
    await services.add_inbound(contact)
    await services.execute_sql("UPDATE inbound SET text = ?", WORDS[2])
    return found.id, message


def find_words(folder: Path, words: Sequence[str]) -> list[tuple[str, str]]:
    """Return each file below a folder in which a word stands, with the word."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return [
        (each.name, word) for each in files for word in words if word.encode() in each.read_bytes()
    ]


def list_strings(dossier: Dossier) -> str:
    """Return the whole dossier as text."""
    return msgspec.json.encode(dossier).decode()


async def test_each_table_that_refers_to_people_is_in_the_dossier(
    services: MessagingServices,
) -> None:
    """A new one is noticed here, before somebody asks what is known of them."""
    shown = " ".join(SECTIONS.values())
    found = await services.query_rows(
        "SELECT DISTINCT t.name FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND c.name IN ('contact', 'prospect', 'message', 'recipient')"
    )
    names = {str(name) for (name,) in found}
    assert {"evidence", "messages", "prospect_fields", "decisions"} <= names
    assert {name for name in names if not re.search(rf"\b{name}\b", shown)} == set()


async def test_a_dossier_has_the_words_and_says_who_asked(services: MessagingServices) -> None:
    """Whole numbers and texts, where else it is, and for how long; another person is not in it."""
    prospect, _ = await fill(services)
    dossier = await services.personal_data.build_dossier(prospect, "leo")
    text = list_strings(dossier)
    assert [each for each in (*WORDS, PERSON) if each not in text] == []
    assert ANA not in text
    assert {each.name for each in dossier.sections} >= {
        *("person", "identifiers", "origin", "evidence", "ours", "theirs", "moves", "decisions"),
        *("permits", "receipts", "budgets", "audit", "events"),
    }
    assert {each.place for each in dossier.elsewhere} == set(Remainder)
    assert ("leo", "dossier_shown", prospect, "") in await services.list_audit_entries()
    with pytest.raises(NotFound):
        await services.personal_data.build_dossier("pro_00000000000000000000000000", "leo")


async def test_of_a_forgotten_person_the_files_hold_nothing(
    services: MessagingServices, tmp_path: Path
) -> None:
    """Neither number nor words are in any file of the state folder; only the hash stops a list."""
    prospect, message = await fill(services)
    waiting = await services.enqueue(PERSON, "¿Seguís buscando?")
    await services.clock.settle()
    sought = (*WORDS, "¿Seguís buscando?", PERSON.removeprefix("+"))
    assert {word for _, word in find_words(tmp_path, sought)} == set(sought)
    result = await services.personal_data.forget(prospect, "leo", "They asked by telephone")
    assert await services.get_state(waiting) in {MessageState.CANCELLED, MessageState.SENT}
    assert await services.get_state(message) is MessageState.DELIVERED
    backups = next(each for each in result.remaining if each.place is Remainder.BACKUPS)
    assert backups.until == services.clock.now() + timedelta(days=14)
    assert find_words(tmp_path, sought) == []
    [record, *_] = await services.suppression.check(PERSON)
    assert (record.source, record.contact) == (SuppressionSource.CONTACT, None)


@pytest.mark.parametrize("text", [PERSON, "011 15 4556-0007", "ÁNA quispe", "quis"])
async def test_a_filter_that_finds_a_forgotten_person_alone_is_gone(
    services: MessagingServices, tmp_path: Path, text: str
) -> None:
    """A saved one is deleted; a campaign's finds nobody, for without its text it finds all."""
    prospect, _ = await fill(services)
    chosen = ProspectFilter(text=text)
    gone = await services.saved_filters.create("One of them", chosen, "leo")
    made = await services.campaigns.create(CampaignChange(name="March", audience=chosen), "leo")
    assert (await services.campaigns.count_audience(made.campaign.id)).total == 1
    await services.personal_data.forget(prospect, "leo", "They asked by telephone")
    assert await services.saved_filters.list_filters() == []
    view = await services.campaigns.get(made.campaign.id)
    assert view.campaign.audience == {"text": made.campaign.id}
    assert (await services.campaigns.count_audience(made.campaign.id)).total == 0
    erased = ProspectFilter(text=made.campaign.id)
    kept = await services.saved_filters.create("Nobody", erased, "leo")
    assert kept.sentence == "Nobody: who was searched for asked to be forgotten"
    assert find_words(tmp_path, [text]) == []
    entries = await services.list_audit_entries()
    assert ("leo", "saved_filter_deleted", gone.id, "") in entries
    assert ("leo", "campaign_changed", made.campaign.id, "") in entries


async def test_a_filter_about_others_too_outlives_a_forgotten_person(
    services: MessagingServices,
) -> None:
    """By a word of their name that others have, by their trade or by where they are from."""
    other = await services.add_prospect(build_phone(8))
    await services.database.write(
        lambda tx: prospects.update_prospect(
            tx, other_id(tx, other), at=services.clock.now(), name="Ana Sosa"
        )
    )
    prospect, _ = await fill(services)
    for text in ("Ana", "Bicicletería", "feria"):
        await services.saved_filters.create(text, ProspectFilter(text=text), "leo")
    before = await services.saved_filters.list_filters()
    await services.personal_data.forget(prospect, "leo", "They asked by telephone")
    after = await services.saved_filters.list_filters()
    assert [each.id for each in after] == [each.id for each in before]


def other_id(tx: Tx, contact: str) -> str:
    """Return the prospect of a contact."""
    found = prospects.find_prospect_by_contact(tx, contact)
    assert found is not None
    return found.id


async def test_nobody_is_forgotten_while_a_message_is_on_its_way(
    services: MessagingServices,
) -> None:
    """What is being sent to them can't be taken back; a person does it a moment later."""
    prospect, _ = await fill(services)
    services.wire.results.append(ScriptedSendResult.SILENCE)
    await services.enqueue_and_settle(PERSON, "¿Seguís buscando?")
    with pytest.raises(Conflict, match="on its way"):
        await services.personal_data.forget(prospect, "leo", "They asked")
