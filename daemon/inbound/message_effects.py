"""What a contact's message changes as it is stored: evidence, suppression, and who reads it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from daemon.api.effects import ContactRequest
from daemon.contacts.suppression import SuppressionService
from daemon.gate.consent import Permission
from daemon.inbound import plugin_effects
from daemon.inbound.classification import build_inbound_review
from daemon.inbound.context import InboundContext
from daemon.inbound.imported_reviews import is_settled_later
from daemon.inbound.reading import list_evidence_values
from daemon.settings import SendingSettings
from statemachines.prospect import ValidationState
from statemachines.vocabulary import MessageKind, WaitsFor
from storage import contacts, evidence, inbound_reviews, prospects, queue
from storage.contacts import HoldScope
from storage.evidence import EvidenceKind
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from storage.tx import Tx

CONFIRMATION_WINDOW: Final = timedelta(minutes=5)
OPT_OUT_REASON: Final = "asked us to stop, in a message"

RENEWABLE_STATES: Final = frozenset(
    {
        ValidationState.UNCHECKED,
        ValidationState.CHECKING,
        ValidationState.VALIDATED,
        ValidationState.EXPIRED,
    }
)
"""Whoever writes is on WhatsApp; but a number known as not reachable needs an operator."""


class MessageEffects:
    """Does what contacts ask of us, in the transaction that stores their message."""

    def __init__(self, suppression: SuppressionService, sending: SendingSettings) -> None:
        self._suppression = suppression
        self._sending = sending

    def apply_request(self, tx: Tx, context: InboundContext) -> tuple[int, list[str]]:
        """Do what their message asks of us: suppress, reopen, or ask for a review.

        Returns how many messages that cancelled, and the hashes whose suppression it lifted. What
        they wrote to a former system lifts nothing.
        """
        contact, at, reading = context.contact, context.record.at, context.reading
        lifted: list[str] = []
        _request_review(tx, context)
        if reading.words.says(ContactRequest.OPT_OUT):
            if not has_opted_in_later(tx, contact, at):
                return self._suppress_contact(tx, context), []
        elif (
            reading.words.says(ContactRequest.OPT_IN)
            and not context.imported
            and not _has_opted_out_later(tx, contact, at)
        ):
            lifted = self._suppression.reopen(tx, contact, at=at)
        # A message may show another name of somebody who is suppressed.
        self._suppression.extend_to_new_aliases(tx, contact, at=context.now)
        return 0, lifted

    def _suppress_contact(self, tx: Tx, context: InboundContext) -> int:
        """Suppress them and, where the settings have a text for it, confirm that once."""
        said_at = context.record.at
        done = self._suppression.enter(
            tx,
            self._suppression.resolve_target(tx, context.contact),
            source=SuppressionSource.CONTACT,
            reason=OPT_OUT_REASON,
            who="contact",
            at=context.now,
            said_at=said_at,
        )
        text, not_after = self._sending.opt_out_confirmation, said_at + CONFIRMATION_WINDOW
        reading = context.reading
        # Nobody waits, a program would answer, or nothing may go to whoever reads it.
        silent = reading.past or reading.automatic or reading.effects.stops
        if text and done.new and not silent and context.now < not_after:
            plugin_effects.queue_reply(
                tx,
                context,
                text,
                kind=MessageKind.OPT_OUT_CONFIRMATION,
                who="suppression",
                not_after=not_after,
            )
        return done.cancelled_messages


def withdraw_validation(tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
    """Leave it undecided whether the number is the prospect's, until a person has decided."""
    if prospect.validation in RENEWABLE_STATES:
        prospects.update_prospect(
            tx,
            prospect.id,
            at=now,
            validation=ValidationState.UNCHECKED.value,
            validado_tecnicamente=None,
            validated_at=None,
            expires_at=None,
        )


def renew_validation(
    tx: Tx, prospect: ProspectRecord, written_at: datetime, now: datetime, valid_for: timedelta
) -> None:
    """Count a message of theirs as a number check: who writes can be reached."""
    expires_at = written_at + valid_for
    if expires_at <= now:
        return  # it proved that once
    columns: dict[str, object] = {}
    if prospect.checked_at is None or prospect.checked_at < written_at:
        columns["on_whatsapp"] = "yes"
    newer = prospect.validated_at is None or prospect.validated_at < written_at
    if prospect.validation in RENEWABLE_STATES and newer:
        columns |= {
            "validation": ValidationState.VALIDATED.value,
            "validado_tecnicamente": True,
            "validated_at": written_at,
            "expires_at": expires_at,
        }
    prospects.update_prospect(tx, prospect.id, at=now, **columns)
    queue.requeue_waiting_messages(tx, now, WaitsFor.CHECKED, contact=prospect.contact)


def has_opted_in_later(tx: Tx, contact: str, at: datetime) -> bool:
    """Return whether the contact opted in here later than ``at``."""
    latest = evidence.get_latest_evidence_time(
        tx, contact, EvidenceKind.INBOUND, ContactRequest.OPT_IN, imported=False
    )
    return latest is not None and latest > at


def _has_opted_out_later(tx: Tx, contact: str, at: datetime) -> bool:
    latest = evidence.get_latest_evidence_time(
        tx, contact, EvidenceKind.INBOUND, ContactRequest.OPT_OUT
    )
    return latest is not None and latest > at


def _request_review(tx: Tx, context: InboundContext) -> None:
    """Let a person read the message where that is needed, and hold messages until then."""
    reading = context.reading
    if context.imported and is_settled_later(tx, context):
        return
    if reading.review_reason:
        scope = reading.effects.holds or HoldScope.COMMERCIAL
        contacts.request_contact_review(
            tx, context.contact, reading.review_reason, context.now, scope=scope
        )
    if review := build_inbound_review(context):
        inbound_reviews.insert_inbound_review(tx, review)


def insert_message_evidence(tx: Tx, context: InboundContext) -> None:
    """Add what the message proves, each piece by the date of its writing."""
    record, reading = context.record, context.reading
    # A file of a former system is no proof of the platform's.
    found = [] if context.imported else [(EvidenceKind.ON_WHATSAPP, "yes", "")]
    found += [(EvidenceKind.INBOUND, value, "") for value in list_evidence_values(reading)]
    if reading.words.says(ContactRequest.DECLINED):
        found.append((EvidenceKind.DECLINED, Permission.REFUSED.value, record.text))
    if reading.words.says(ContactRequest.COMPLAINT):
        found.append((EvidenceKind.COMPLAINT, "hostile_refusal", record.text))
    if reading.words.says(ContactRequest.OPT_IN):
        found.append((EvidenceKind.PERMISSION, "opted_in", record.text))
    for kind, value, quote in found:
        evidence.insert_evidence(
            tx,
            record.contact,
            kind,
            value,
            at=record.at,
            source=context.source,
            quote=quote,
            inbound=record.id,
            imported=context.imported,
        )


def insert_push_name(tx: Tx, context: InboundContext, name: str) -> None:
    """Store the name that a prospect chose on WhatsApp, where it is another than before."""
    record, name = context.record, " ".join(name.split())
    known = evidence.get_latest_quote(tx, record.contact, EvidenceKind.PUSH_NAME)
    if not name or name == known or context.reading.past:
        return
    if prospects.find_prospect_by_contact(tx, record.contact) is not None:
        evidence.insert_evidence(
            tx,
            record.contact,
            EvidenceKind.PUSH_NAME,
            "given",
            at=record.at,
            source=context.source,
            quote=name,
            inbound=record.id,
        )
