"""Handles own messages: what was typed on the phone itself counts, and ends commercial messages."""

from __future__ import annotations

from datetime import datetime

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.api.signals import OwnMessage
from daemon.contacts.aliases import Aliases
from daemon.gate.scoring import Scoring
from daemon.inbound.conversation import cancel_commercial
from daemon.inbound.durable_write import DurableWriter
from storage import contacts, evidence, inbound, receipts, sessions, spends
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.tx import Tx


class OwnMessageHandler:
    """Stores own messages, each with what follows from it, in one transaction."""

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

    async def handle_own_message(self, session: str, signal: OwnMessage) -> None:
        """Store an own message once; returns once it is on the disk."""
        await self._writer.write(
            lambda tx: self._store_own_message(tx, session, signal, self._clock.now())
        )

    def _store_own_message(self, tx: Tx, session: str, signal: OwnMessage, now: datetime) -> None:
        contact = contacts.find_contact_by_aliases(
            tx, self._aliases.from_identities(signal.recipient)
        )
        known = contact is not None and inbound.has_inbound(tx, session, contact, signal.wire_id)
        if known or receipts.find_message_by_wire_id(tx, session, signal.wire_id):
            return  # heard before, or one of ours coming back
        at = min(signal.written_at, now)
        if now - at <= spends.LONGEST_WINDOW:
            new_chat = contact is not None and inbound.is_new_chat(tx, contact)
            _record_spend(tx, session, signal, at, new_chat=new_chat)
        if contact is None:
            return  # a private chat: nothing of it is kept
        inbound.insert_inbound(
            tx,
            InboundRecord(
                id=new_id("inb", now),
                session=session,
                wire_id=signal.wire_id,
                contact=contact,
                at=at,
                received_at=now,
                text="",
                request=ContactRequest.NONE.value,
                own=True,
                origin=signal.origin.value,
            ),
        )
        evidence.insert_evidence(
            tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source="the phone"
        )
        cancel_commercial(tx, contact, written_at=at, now=now, reason_code="own_message")
        self._scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="own_message",
            sentence="Somebody wrote to them on the phone itself.",
        )


def _record_spend(
    tx: Tx, session: str, signal: OwnMessage, at: datetime, *, new_chat: bool
) -> None:
    """Book an own message to the number's budget: the platform counts it too."""
    record = sessions.get_session(tx, session)
    phone = (record and record.phone) or session
    spends.insert_own_message_spend(
        tx, phone, session=session, wire_id=signal.wire_id, new_chat=new_chat, at=at
    )
