"""Deletes, blanks or pseudonymises data whose retention period is over.

Each function does up to ``limit`` rows and is called again, so that no transaction is long.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from statemachines.message import SETTLED_STATES
from storage.column_formats import format_timestamp
from storage.erasure import erase_contact
from storage.evidence import EvidenceKind
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Tx

_SETTLED = format_sql_list(SETTLED_STATES)
# Kept, because a permission and a validated number have to be explained for as long as they count.
_PROOFS = format_sql_list(
    {
        EvidenceKind.CLASSIFICATION,
        EvidenceKind.CONSENT,
        EvidenceKind.DATA_ASKED,
        EvidenceKind.DATA_GIVEN,
        EvidenceKind.GIVEN_AS_WHATSAPP,
        EvidenceKind.MAY_NOT_SHARE,
        EvidenceKind.MAY_SHARE,
        EvidenceKind.WITHDRAWN,
    }
)
# Kept, or somebody who said no to a former system would be a new contact in the next list.
_HAS_HISTORY = "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = {contact} AND e.imported = 1)"
_UNCONTACTED_PROSPECTS = (
    "SELECT p.contact FROM prospects AS p WHERE p.created_at < ?"
    " AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = p.contact)"
    " AND NOT EXISTS (SELECT 1 FROM inbound AS i WHERE i.contact = p.contact)"
    f" AND NOT {_HAS_HISTORY.format(contact='p.contact')} LIMIT ?"
)

_IS_STRANGERS = "NOT EXISTS (SELECT 1 FROM prospects AS p WHERE p.contact = i.contact)"
_SILENT_STRANGERS = (
    "SELECT c.id FROM contacts AS c WHERE c.created_at < :before AND c.merged_into IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM prospects AS p WHERE p.contact = c.id)"
    " AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = c.id)"
    " AND NOT EXISTS (SELECT 1 FROM inbound AS i WHERE i.contact = c.id"
    " AND i.received_at >= :before)"
    " AND NOT EXISTS (SELECT 1 FROM quarantined_signals AS q WHERE q.contact = c.id"
    f" AND q.received_at >= :before) AND NOT {_HAS_HISTORY.format(contact='c.id')} LIMIT :limit"
)


def blank_bodies(tx: Tx, before: datetime, limit: int) -> int:
    """Blank the text of settled messages, inbound messages and quotes; return how many rows."""
    cut = (format_timestamp(before), limit)
    return (
        tx.execute(
            "UPDATE messages SET text = '', typed = NULL WHERE id IN (SELECT id FROM messages"
            f" WHERE text <> '' AND state IN {_SETTLED} AND changed_at < ? LIMIT ?)",
            cut,
        ).rowcount
        + tx.execute(
            "UPDATE inbound SET text = '' WHERE id IN"
            " (SELECT id FROM inbound WHERE text <> '' AND at < ? LIMIT ?)",
            cut,
        ).rowcount
        + tx.execute(
            "UPDATE evidence SET quote = '' WHERE id IN"
            " (SELECT id FROM evidence WHERE quote <> '' AND at < ?"
            f" AND kind NOT IN {_PROOFS} LIMIT ?)",
            cut,
        ).rowcount
        + tx.execute(
            "UPDATE inbound_reviews SET quote = '' WHERE inbound IN"
            " (SELECT inbound FROM inbound_reviews WHERE quote <> '' AND asked_at < ? LIMIT ?)",
            cut,
        ).rowcount
        + tx.execute(
            "UPDATE outcomes SET quote = '' WHERE id IN"
            " (SELECT id FROM outcomes WHERE quote <> '' AND at < ? LIMIT ?)",
            cut,
        ).rowcount
        + tx.execute(
            "DELETE FROM conversation_drafts WHERE changed_at < ? AND (contact, who) IN"
            " (SELECT contact, who FROM conversation_drafts LIMIT ?)",
            cut,
        ).rowcount
    )


def forget_strangers(tx: Tx, before: datetime, limit: int) -> int:
    """Delete inbound messages and contacts of people who are no prospects and wrote before then.

    A contact with a message of ours, or of a former system, keeps aliases and evidence, and loses
    the inbound text. Returns how many inbound messages and contacts were deleted or blanked.
    """
    cut = format_timestamp(before)
    words = tx.execute(
        "DELETE FROM inbound WHERE id IN (SELECT i.id FROM inbound AS i WHERE i.received_at < ?"
        f" AND {_IS_STRANGERS} AND i.origin <> 'imported' LIMIT ?)",
        (cut, limit),
    ).rowcount
    # Without its words: when it was written is what the next message to them depends on.
    words += tx.execute(
        "UPDATE inbound SET text = '' WHERE id IN (SELECT i.id FROM inbound AS i"
        f" WHERE i.received_at < ? AND {_IS_STRANGERS} AND i.origin = 'imported' AND i.text <> ''"
        " LIMIT ?)",
        (cut, limit),
    ).rowcount
    strangers = tx.all(_SILENT_STRANGERS, {"before": cut, "limit": limit})
    for row in strangers:
        erase_contact(tx, row["id"])
    return words + len(strangers)


def erase_uncontacted_prospects(tx: Tx, before: datetime, limit: int) -> int:
    """Erase prospects without any message in either direction; return how many."""
    contacts = [
        row["contact"] for row in tx.all(_UNCONTACTED_PROSPECTS, (format_timestamp(before), limit))
    ]
    for contact in contacts:
        tx.execute(
            "UPDATE import_records SET phone = NULL, prospect = NULL WHERE prospect IN"
            " (SELECT id FROM prospects WHERE contact = ?)",
            (contact,),
        )
        erase_contact(tx, contact)
    return len(contacts)


def delete_quarantined_signals(tx: Tx, before: datetime, limit: int) -> int:
    """Delete quarantined signals, settled or not; return how many."""
    return tx.execute(
        "DELETE FROM quarantined_signals WHERE id IN"
        " (SELECT id FROM quarantined_signals WHERE received_at < ? LIMIT ?)",
        (format_timestamp(before), limit),
    ).rowcount


def pseudonymise_decisions(tx: Tx, before: datetime, limit: int) -> int:
    """Remove the number from old decisions; facts and verdict stay. Return how many."""
    return tx.execute(
        "UPDATE decisions SET recipient = '' WHERE id IN"
        " (SELECT id FROM decisions WHERE recipient <> '' AND at < ? LIMIT ?)",
        (format_timestamp(before), limit),
    ).rowcount
