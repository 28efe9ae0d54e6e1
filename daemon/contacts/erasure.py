"""Erases a person in the caller's transaction: suppressed by hash for good, all else deleted."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from daemon.contacts.suppression import SuppressionService
from daemon.errors import Conflict
from storage import audit, erasure, messages
from storage.suppressions import SuppressionSource
from storage.tx import Tx


class ErasureCommand(Struct, frozen=True, kw_only=True):
    """Who erases a person, when, and why.

    ``reason`` is kept beside the hash and in the audit; ``sentence`` is what the messages say that
    are cancelled by it.
    """

    who: str
    at: datetime
    reason: str
    reason_code: str
    sentence: str


def erase_person(
    tx: Tx, suppression: SuppressionService, contact: str, command: ErasureCommand
) -> int:
    """Suppress a person for good, and erase all that is stored of them but the hash.

    Filters that find them alone are erased as well; each is audited.

    Returns how many messages that cancelled. Raises Conflict while one is on its way.
    """
    cancelled = messages.cancel_unsent_messages(
        tx,
        contact,
        at=command.at,
        reason_code=command.reason_code,
        sentence=command.sentence,
        who=command.who,
        commercial_only=False,
        confirmations=True,
    )
    if erasure.has_message_on_its_way(tx, contact):
        raise Conflict(
            "A message to them is on its way, so their data can't be erased yet.",
            hint="Wait until it was sent, or say whether it was, and do this again.",
        )
    suppression.enter(
        tx,
        suppression.resolve_target(tx, contact),
        # As their own, which nobody here can undo.
        source=SuppressionSource.CONTACT,
        reason=command.reason,
        who=command.who,
        at=command.at,
    )
    for id_ in erasure.erase_saved_filters(tx, contact):
        audit.insert_audit_entry(tx, command.at, command.who, "saved_filter_deleted", id_)
    for id_ in erasure.erase_campaign_filters(tx, contact):
        audit.insert_audit_entry(tx, command.at, command.who, "campaign_changed", id_)
    erasure.erase_person(tx, contact)
    return cancelled
