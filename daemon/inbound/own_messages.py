"""Handles own messages: what was typed on the phone itself counts, and ends commercial messages."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.api.signals import OwnMessage
from daemon.api.text import hash_folded_text
from daemon.contacts.aliases import Aliases
from daemon.gate.scoring import Scoring
from daemon.inbound.conversation import WRITING_TOLERANCE, cancel_commercial
from daemon.inbound.durable_write import DurableWriter
from statemachines.message import MessageState, TransitionActor
from storage import contacts, evidence, inbound, messages, queue, receipts, sessions, spends
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.messages import MessageRecord
from storage.tx import Tx

ECHO_SENTENCE: Final = "The linked phone sent the same text."


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
        """Store an own message and all that it changes, in this order."""
        contact = contacts.find_contact_by_aliases(
            tx, self._aliases.from_identities(signal.recipient)
        )
        if contact and _is_known(tx, session, contact, signal):
            return
        if receipts.find_message_by_wire_id(tx, session, signal.wire_id):
            return  # one of ours coming back
        phone = sessions.get_session_budget_key(tx, session)
        if contact and (opened := _find_echoed_message(tx, contact, phone, signal)):
            _confirm_by_echo(tx, opened, signal, now)
            return
        at = min(signal.written_at, now)
        if now - at <= spends.LONGEST_WINDOW:
            _record_spend(tx, session, phone, contact, signal, at)
        if contact is None:
            return  # a private chat: nothing of it is kept
        _insert_own_message(tx, session, contact, signal, now)
        cancel_commercial(tx, contact, written_at=at, now=now, reason_code="own_message")
        self._scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="own_message",
            sentence="Somebody wrote to them from the phone itself.",
        )


def _is_known(tx: Tx, session: str, contact: str, signal: OwnMessage) -> bool:
    """Return whether this was reported before, or is a copy of what another session sends now.

    The platform shows each device of a number what the others send, before the acknowledgement too.
    """
    if inbound.is_own_message_stored(tx, session, contact, signal.wire_id):
        return True
    return signal.text_hash is not None and any(
        hash_folded_text(message.text) == signal.text_hash
        for message in queue.list_sends_of_other_sessions(tx, contact, session)
    )


def _find_echoed_message(
    tx: Tx, contact: str, phone: str, signal: OwnMessage
) -> MessageRecord | None:
    """Return the message by hand that this is: the same text, after its link was opened."""
    return next(
        (
            message
            for message, opened_at in queue.list_opened_links(tx, contact, phone)
            if signal.text_hash == hash_folded_text(message.text)
            and signal.written_at >= opened_at - WRITING_TOLERANCE
        ),
        None,
    )


def _confirm_by_echo(tx: Tx, message: MessageRecord, signal: OwnMessage, now: datetime) -> None:
    """Confirm a message by hand by the phone's own report, and give it its receipts."""
    confirmed = messages.transition_message(
        tx,
        message.id,
        MessageState.CONFIRMED_BY_HAND,
        at=now,
        reason_code="seen_on_phone",
        sentence=ECHO_SENTENCE,
        who=TransitionActor.PHONE,
        wire_id=signal.wire_id,
    )
    receipts.apply_early_receipts(tx, confirmed, now)


def _record_spend(
    tx: Tx, session: str, phone: str, contact: str | None, signal: OwnMessage, at: datetime
) -> None:
    """Book an own message to the number's budget: the platform counts it too."""
    new_chat = contact is not None and inbound.is_new_chat(tx, contact)
    if contact is not None and new_chat:
        spends.refund_first_contact(tx, phone, contact)  # one contact, one new chat
    spends.insert_own_message_spend(
        tx, phone, session=session, wire_id=signal.wire_id, new_chat=new_chat, at=at
    )


def _insert_own_message(
    tx: Tx, session: str, contact: str, signal: OwnMessage, now: datetime
) -> None:
    at = min(signal.written_at, now)
    record = InboundRecord(
        id=new_id("inb", now),
        session=session,
        wire_id=signal.wire_id,
        contact=contact,
        at=at,
        received_at=now,
        text="",
        request=ContactRequest.UNCLEAR.value,
        own=True,
        origin=signal.origin.value,
    )
    inbound.insert_inbound(tx, record)
    evidence.insert_evidence(
        tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source="the phone"
    )
