"""What an inbound changes of a contact: evidence, wish, queue, validation. One transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.api.effects import ContactRequest
from daemon.events import InboundReceived
from daemon.inbound import effects
from daemon.inbound.effects import InboundContext
from daemon.scoring import Scoring
from daemon.settings import Settings
from daemon.suppression import SuppressionService, SuppressionSource
from statemachines.prospect import ValidationState
from storage import contacts, evidence, inbound, messages, prospects, queue
from storage.evidence import EvidenceKind
from storage.inbound import InboundRecord
from storage.tx import Tx

CONFIRMATION_WINDOW = timedelta(minutes=5)
OPT_OUT_REASON = "said stop in their own words"

_RECEIPT_SOURCE = "a receipt of the platform"
_INBOUND_SOURCE = "their own message"
_REVIEW_REASON = "Their words may ask us to stop; a person should read them."
_RENEWABLE_STATES = frozenset(
    {
        ValidationState.UNCHECKED,
        ValidationState.CHECKING,
        ValidationState.VALIDATED,
        ValidationState.EXPIRED,
    }
)
"""Whoever writes is on WhatsApp. What is known not to be reachable needs an operator's word."""


@dataclass(frozen=True, slots=True)
class ContactUpdater:
    """The rooms that an inbound touches."""

    settings: Settings
    suppression: SuppressionService
    scoring: Scoring

    def apply_inbound(
        self, tx: Tx, record: InboundRecord, context: InboundContext
    ) -> tuple[int, list[str]]:
        """Store a message of theirs and all that follows from its words.

        Returns how many messages it cancelled, and the hashes whose suppression it lifted.
        """
        inbound.insert_inbound(tx, record)
        self._add_evidence(tx, record)
        cancelled, lifted = self._apply_request(tx, record, context)
        self.suppression.extend_to_new_aliases(tx, record.contact, at=context.now)
        cancelled += cancel_commercial(tx, record.contact, context.now, "they_wrote")
        self._renew_validation(tx, record, context.now)
        return cancelled, lifted

    def finish_inbound(
        self, tx: Tx, record: InboundRecord, context: InboundContext, cancelled: int
    ) -> None:
        """Bring columns and score in step, and say that they wrote."""
        self.scoring.refresh_prospect(
            tx,
            record.contact,
            context.now,
            reason_code="inbound",
            sentence="They wrote to us.",
        )
        prospect = prospects.find_prospect_by_contact(tx, record.contact)
        tx.emit(
            InboundReceived(
                subject=record.id,
                at=context.now,
                session=record.session,
                contact=record.contact,
                prospect=prospect.id if prospect else None,
                request=record.wish,
                cancelled_messages=cancelled,
            )
        )

    def record_bounce(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Note that the platform can't deliver to them: whatever was validated is not any more."""
        evidence.insert_evidence(
            tx,
            contact,
            EvidenceKind.BOUNCE,
            "undeliverable",
            at=at,
            source=_RECEIPT_SOURCE,
        )
        prospect = prospects.find_prospect_by_contact(tx, contact)
        if prospect and prospect.validation is ValidationState.VALIDATED:
            prospects.update_prospect(
                tx,
                prospect.id,
                at=now,
                validation=ValidationState.NOT_REACHABLE.value,
                validado_tecnicamente=False,
                expires_at=None,
            )
        self.scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="bounced",
            sentence="A message to them could not be delivered.",
        )

    def record_complaint(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Note that they refused marketing: a complaint of our number, and a no to us."""
        for kind, value in (
            (EvidenceKind.COMPLAINT, "refused_marketing"),
            (EvidenceKind.DECLINED, ContactRequest.REFUSED.value),
        ):
            evidence.insert_evidence(tx, contact, kind, value, at=at, source=_RECEIPT_SOURCE)
        self.scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="refused_marketing",
            sentence="They told WhatsApp that they want no marketing.",
        )

    def _add_evidence(self, tx: Tx, record: InboundRecord) -> None:
        found = [(EvidenceKind.INBOUND, record.wish, ""), (EvidenceKind.ON_WHATSAPP, "yes", "")]
        if record.wish == ContactRequest.REFUSED:
            found.append((EvidenceKind.DECLINED, ContactRequest.REFUSED.value, record.text))
        if record.wish == ContactRequest.OPT_IN:
            found.append((EvidenceKind.PERMISSION, "opted_in", record.text))
        for kind, value, quote in found:
            evidence.insert_evidence(
                tx,
                record.contact,
                kind,
                value,
                at=record.at,
                source=_INBOUND_SOURCE,
                quote=quote,
            )

    def _apply_request(
        self, tx: Tx, record: InboundRecord, context: InboundContext
    ) -> tuple[int, list[str]]:
        """Do what their words ask of us."""
        if record.wish == ContactRequest.OPT_OUT:
            return self._suppress_contact(tx, record, context), []
        if record.wish == ContactRequest.OPT_IN:
            return 0, self.suppression.reopen(tx, record.contact, at=record.at)
        if record.wish == ContactRequest.REVIEW:
            contacts.request_contact_review(tx, record.contact, _REVIEW_REASON, context.now)
        return 0, []

    def _suppress_contact(self, tx: Tx, record: InboundRecord, context: InboundContext) -> int:
        """Suppress them and, where the operator wants it, confirm that once."""
        done = self.suppression.enter(
            tx,
            self.suppression.resolve_target(tx, record.contact),
            source=SuppressionSource.CONTACT,
            reason=OPT_OUT_REASON,
            who="contact",
            at=context.now,
            said_at=record.at,
        )
        text, not_after = (
            self.settings.sending.opt_out_confirmation,
            record.at + CONFIRMATION_WINDOW,
        )
        if text and done.new and context.now < not_after:
            effects.queue_reply(
                tx,
                context,
                text,
                kind="opt_out_confirmation",
                who="suppression",
                not_after=not_after,
            )
        return done.cancelled_messages

    def _renew_validation(self, tx: Tx, record: InboundRecord, now: datetime) -> None:
        """Their message is the best number check there is."""
        prospect = prospects.find_prospect_by_contact(tx, record.contact)
        if prospect is None:
            return
        columns: dict[str, object] = {"on_whatsapp": "yes"}
        newer = prospect.validated_at is None or prospect.validated_at < record.at
        if prospect.validation in _RENEWABLE_STATES and newer:
            columns |= {
                "validation": ValidationState.VALIDATED.value,
                "validado_tecnicamente": True,
                "validated_at": record.at,
                "expires_at": record.at + timedelta(days=self.settings.retention.validation),
            }
        prospects.update_prospect(tx, prospect.id, at=now, **columns)
        queue.requeue_waiting_messages(tx, now, "checked", contact=record.contact)


def cancel_commercial(tx: Tx, contact: str, now: datetime, reason_code: str) -> int:
    """Cancel the commercial messages that wait for somebody who is now in a conversation."""
    return messages.cancel_unsent_messages(
        tx,
        contact,
        at=now,
        reason_code=reason_code,
        sentence="A conversation with them has begun, so it is not sent on top of it.",
        who="inbound",
        commercial_only=True,
    )
