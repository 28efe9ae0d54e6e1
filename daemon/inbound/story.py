"""What an inbound changes of a contact: evidence, wish, queue, validation. One transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.api.effects import ContactRequest
from daemon.events import InboundReceived
from daemon.inbound import effects
from daemon.inbound.effects import Said
from daemon.scoring import Scoring
from daemon.settings import Settings
from daemon.suppression import Suppression, SuppressionSource
from statemachines.prospect import ValidationState
from storage import contacts, evidence, inbound, messages, prospects, queue
from storage.evidence import EvidenceKind
from storage.inbound import InboundRecord
from storage.tx import Tx

CONFIRM_WITHIN = timedelta(minutes=5)
SAID_STOP = "said stop in their own words"

_PLATFORM = "a receipt of the platform"
_BY_THEMSELVES = "their own message"
_LOOK = "Their words may ask us to stop; a person should read them."
_RENEWABLE = frozenset(
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
    suppression: Suppression
    scoring: Scoring

    def tell(self, tx: Tx, record: InboundRecord, said: Said) -> tuple[int, list[str]]:
        """Store a message of theirs and all that follows from its words.

        Returns how many messages it cancelled, and the hashes whose suppression it lifted.
        """
        inbound.insert(tx, record)
        self._add_evidence(tx, record)
        cancelled, lifted = self._heed(tx, record, said)
        self.suppression.cover(tx, record.contact, at=said.now)
        cancelled += cancel_commercial(tx, record.contact, said.now, "they_wrote")
        self._renew(tx, record, said.now)
        return cancelled, lifted

    def close(self, tx: Tx, record: InboundRecord, said: Said, cancelled: int) -> None:
        """Bring columns and score in step, and say that they wrote."""
        self.scoring.refresh(
            tx,
            record.contact,
            said.now,
            reason_code="inbound",
            sentence="They wrote to us.",
        )
        prospect = prospects.of_contact(tx, record.contact)
        tx.emit(
            InboundReceived(
                subject=record.id,
                at=said.now,
                session=record.session,
                contact=record.contact,
                prospect=prospect.id if prospect else None,
                request=record.wish,
                cancelled_messages=cancelled,
            )
        )

    def bounce(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Note that the platform can't deliver to them: whatever was validated is not any more."""
        evidence.add(
            tx,
            contact,
            EvidenceKind.BOUNCE,
            "undeliverable",
            at=at,
            source=_PLATFORM,
        )
        prospect = prospects.of_contact(tx, contact)
        if prospect and prospect.validation is ValidationState.VALIDATED:
            prospects.update(
                tx,
                prospect.id,
                at=now,
                validation=ValidationState.NOT_REACHABLE.value,
                validado_tecnicamente=False,
                expires_at=None,
            )
        self.scoring.refresh(
            tx,
            contact,
            now,
            reason_code="bounced",
            sentence="A message to them could not be delivered.",
        )

    def complain(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Note that they refused marketing: a complaint of our number, and a no to us."""
        for kind, value in (
            (EvidenceKind.COMPLAINT, "refused_marketing"),
            (EvidenceKind.REFUSAL, ContactRequest.REFUSED.value),
        ):
            evidence.add(tx, contact, kind, value, at=at, source=_PLATFORM)
        self.scoring.refresh(
            tx,
            contact,
            now,
            reason_code="refused_marketing",
            sentence="They told WhatsApp that they want no marketing.",
        )

    def _add_evidence(self, tx: Tx, record: InboundRecord) -> None:
        found = [(EvidenceKind.INBOUND, record.wish, ""), (EvidenceKind.ON_WHATSAPP, "yes", "")]
        if record.wish == ContactRequest.REFUSED:
            found.append((EvidenceKind.REFUSAL, ContactRequest.REFUSED.value, record.text))
        if record.wish == ContactRequest.OPT_IN:
            found.append((EvidenceKind.PERMISSION, "opted_in", record.text))
        for kind, value, quote in found:
            evidence.add(
                tx,
                record.contact,
                kind,
                value,
                at=record.at,
                source=_BY_THEMSELVES,
                quote=quote,
            )

    def _heed(self, tx: Tx, record: InboundRecord, said: Said) -> tuple[int, list[str]]:
        """Do what their words ask of us."""
        if record.wish == ContactRequest.OPT_OUT:
            return self._suppress(tx, record, said), []
        if record.wish == ContactRequest.OPT_IN:
            return 0, self.suppression.reopen(tx, record.contact, at=record.at)
        if record.wish == ContactRequest.REVIEW:
            contacts.ask_review(tx, record.contact, _LOOK, said.now)
        return 0, []

    def _suppress(self, tx: Tx, record: InboundRecord, said: Said) -> int:
        """Suppress them and, where the operator wants it, confirm that once."""
        done = self.suppression.enter(
            tx,
            self.suppression.person(tx, record.contact),
            source=SuppressionSource.CONTACT,
            reason=SAID_STOP,
            who="contact",
            at=said.now,
            said_at=record.at,
        )
        text, not_after = self.settings.sending.opt_out_confirmation, record.at + CONFIRM_WITHIN
        if text and done.new and said.now < not_after:
            effects.queue_reply(
                tx,
                said,
                text,
                kind="opt_out_confirmation",
                who="suppression",
                not_after=not_after,
            )
        return done.cancelled_messages

    def _renew(self, tx: Tx, record: InboundRecord, now: datetime) -> None:
        """Their message is the best number check there is."""
        prospect = prospects.of_contact(tx, record.contact)
        if prospect is None:
            return
        columns: dict[str, object] = {"on_whatsapp": "yes"}
        newer = prospect.validated_at is None or prospect.validated_at < record.at
        if prospect.validation in _RENEWABLE and newer:
            columns |= {
                "validation": ValidationState.VALIDATED.value,
                "validado_tecnicamente": True,
                "validated_at": record.at,
                "expires_at": record.at + timedelta(days=self.settings.retention.validation),
            }
        prospects.update(tx, prospect.id, at=now, **columns)
        queue.requeue_waiting(tx, now, "checked", contact=record.contact)


def cancel_commercial(tx: Tx, contact: str, now: datetime, reason_code: str) -> int:
    """Cancel the commercial messages that wait for somebody who is now in a conversation."""
    return messages.cancel_waiting(
        tx,
        contact,
        at=now,
        reason_code=reason_code,
        sentence="A conversation with them has begun, so it is not sent on top of it.",
        who="inbound",
        commercial_only=True,
    )
