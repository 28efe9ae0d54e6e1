"""Erases all that is stored of a contact; a suppression stays, by its keyed hash alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from statemachines.message import MessageState
from storage.deliveries import erase_from_deliveries
from storage.prospect_search import finds_contact_alone
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Tx

_ON_ITS_WAY: Final = format_sql_list({MessageState.SENDING, MessageState.REVEALED})
_ERASED_PREFIX: Final = "cmp_"  # of the id of a campaign, which no prospect has
_TABLES_OF_FACTS: Final = (
    "prospects",
    "campaign_exclusions",
    "campaign_people",
    "dry_run_people",
    "prospect_reviews",
    "outcomes",
    "share_questions",
    "conversations",
    "conversation_drafts",
    "conversation_reads",
    "inbound_reviews",
    "inbound",
    "evidence",
    "aliases",
)
_MESSAGES_OF_CONTACT: Final = "(SELECT id FROM messages WHERE contact = :contact)"


def has_message_on_its_way(tx: Tx, contact: str) -> bool:
    """Return whether a message to the contact is being sent right now, by us or by a person."""
    found = tx.value(
        f"SELECT 1 FROM messages WHERE contact = ? AND state IN {_ON_ITS_WAY}", (contact,)
    )
    return found is not None


def erase_saved_filters(tx: Tx, contact: str) -> list[str]:
    """Delete the saved filters that find this person alone by name or number; return their ids.

    Call it, and `erase_campaign_filters`, before the person is erased.
    """
    found = _find_filters_of_contact(tx, "saved_filters", "filter", contact)
    for id_ in found:
        tx.execute("DELETE FROM saved_filters WHERE id = ?", (id_,))
    return found


def erase_campaign_filters(tx: Tx, contact: str) -> list[str]:
    """Let campaigns whose filter finds this person alone find nobody; return their ids."""
    found = _find_filters_of_contact(tx, "campaigns", "audience", contact)
    for id_ in found:
        # Not without a text, for then it would find everybody. An id of nobody finds nobody.
        tx.execute(
            "UPDATE campaigns SET audience = json_set(audience, '$.text', id) WHERE id = ?", (id_,)
        )
    return found


def is_erased_text(text: str) -> bool:
    """Return whether a filter has this text because its person was forgotten."""
    return text.startswith(_ERASED_PREFIX)


def _find_filters_of_contact(tx: Tx, table: str, column: str, contact: str) -> list[str]:
    rows = tx.all(f"SELECT id, json_extract({column}, '$.text') AS searched FROM {table}")
    return [
        row["id"]
        for row in rows
        if row["searched"] and finds_contact_alone(tx, row["searched"], contact)
    ]


def erase_contact(tx: Tx, contact: str) -> None:
    """Delete everything about a contact who has no message of ours."""
    tx.execute("UPDATE quarantined_signals SET contact = NULL WHERE contact = ?", (contact,))
    _delete_facts(tx, contact)
    tx.execute("DELETE FROM contacts WHERE merged_into = ?", (contact,))
    tx.execute("DELETE FROM contacts WHERE id = ?", (contact,))


def erase_person(tx: Tx, contact: str) -> None:
    """Delete everything about a contact; of our messages to them only states and times stay.

    Their number and every text is gone afterwards, and so is what they wrote.
    """
    mine = {"contact": contact}
    tx.execute(
        "UPDATE import_records SET phone = NULL, prospect = NULL, sentence = ''"
        " WHERE prospect IN (SELECT id FROM prospects WHERE contact = :contact)",
        mine,
    )
    tx.execute("DELETE FROM quarantined_signals WHERE contact = :contact", mine)
    for table in ("decisions", "approvals"):
        tx.execute(
            f"UPDATE {table} SET recipient = '' WHERE message IN {_MESSAGES_OF_CONTACT}", mine
        )
    tx.execute(f"UPDATE permits SET document = '' WHERE message IN {_MESSAGES_OF_CONTACT}", mine)
    tx.execute("UPDATE messages SET text = '', recipient = '' WHERE contact = :contact", mine)
    # What a person typed as a reason may name them.
    tx.execute(
        "UPDATE events SET data = json_set(data, '$.reason', '') WHERE subject = :contact"
        " AND json_extract(data, '$.reason') <> ''",
        mine,
    )
    if tx.value("SELECT 1 FROM messages WHERE contact = :contact", mine) is None:
        erase_contact(tx, contact)
        return
    _delete_facts(tx, contact)
    # The bare id stays: messages are never deleted, and they refer to it.
    tx.execute(
        "UPDATE contacts SET review_reason = NULL, hold_scope = NULL WHERE id = :contact", mine
    )


def _delete_facts(tx: Tx, contact: str) -> None:
    # Unlinked, not deleted: a suppression holds for ever, by its keyed hash.
    for table in ("suppressions", "receipts"):
        tx.execute(f"UPDATE {table} SET contact = NULL WHERE contact = ?", (contact,))
    erase_from_deliveries(tx, contact)
    for table in _TABLES_OF_FACTS:
        tx.execute(f"DELETE FROM {table} WHERE contact = ?", (contact,))
