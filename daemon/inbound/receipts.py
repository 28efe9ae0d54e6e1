"""Handles receipts: a message moves forward, and a failure may tell something of the person."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from daemon.api.clock import Clock
from daemon.api.signals import Receipt
from daemon.contacts.aliases import Aliases
from daemon.gate.consent import Permission
from daemon.gate.scoring import Scoring
from daemon.inbound.durable_write import DurableWriter
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import contacts, evidence, outcomes, prospects, receipts
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.outcomes import Outcome
from storage.receipts import ReceiptRecord
from storage.tx import Tx

UNDELIVERABLE: Final = "undeliverable"
"""A failed receipt with this reason says that the number can't be reached at all."""
REFUSED_MARKETING: Final = "refused_marketing"
"""A failed receipt with this reason says that they want no marketing through this platform."""

_ARRIVED: Final = frozenset({MessageState.DELIVERED, MessageState.READ})
_REFUTED: Final = (Outcome.NOT_DELIVERED, Outcome.NUMBER_DOES_NOT_EXIST)
_RECEIPT_SOURCE: Final = "a receipt of the platform"


class ReceiptHandler:
    """Stores receipts, each with what follows from it, in one transaction."""

    def __init__(
        self,
        database: Database,
        aliases: Aliases,
        scoring: Scoring,
        clock: Clock,
    ) -> None:
        self._writer = DurableWriter(database, clock)
        self._aliases = aliases
        self._scoring = scoring
        self._clock = clock

    async def handle_receipt(self, session: str, signal: Receipt) -> None:
        """Move the message that a receipt speaks of, forward only."""
        await self._writer.write(
            lambda tx: self._store_receipt(tx, session, signal, self._clock.now())
        )

    def _store_receipt(self, tx: Tx, session: str, signal: Receipt, now: datetime) -> None:
        receipt = ReceiptRecord(
            session=session,
            wire_id=signal.wire_id,
            kind=signal.kind.value,
            at=min(signal.at, now),
            reason_code=signal.reason_code,
            contact=contacts.find_contact_by_aliases(
                tx, self._aliases.from_identities(signal.recipient)
            ),
        )
        moved = receipts.store_receipt(tx, receipt, now)
        if moved is not None and moved.state in _ARRIVED:
            outcomes.end_unanswered_outcomes(
                tx, moved.contact, at=now, who="receipt", message=moved.id, of=_REFUTED
            )
        if moved is None or moved.state is not MessageState.FAILED:
            return
        if signal.reason_code == UNDELIVERABLE:
            self._record_bounce(tx, moved.contact, receipt.at, now)
        elif signal.reason_code == REFUSED_MARKETING:
            self._record_complaint(tx, moved.contact, receipt.at, now)

    def _record_bounce(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Store that the platform can't deliver to them: a validation holds no longer."""
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
        self._scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="bounced",
            sentence="A message to them could not be delivered.",
        )

    def _record_complaint(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Store that they refused marketing: a complaint about our number, and a plain no."""
        for kind, value in (
            (EvidenceKind.COMPLAINT, "refused_marketing"),
            (EvidenceKind.DECLINED, Permission.REFUSED.value),
        ):
            evidence.insert_evidence(tx, contact, kind, value, at=at, source=_RECEIPT_SOURCE)
        self._scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="refused_marketing",
            sentence="They told WhatsApp that they don't want marketing.",
        )
