"""Handles inbound messages, receipts and own messages: each becomes one urgent transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest, ContactView, InboundEffect
from daemon.api.identity import IdentityKind
from daemon.api.signals import AliasLearned, InboundMessage, OwnMessage, Receipt
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.events import InboundReceived
from daemon.gate.consent import derive_permission
from daemon.gate.scoring import Scoring
from daemon.inbound import plugin_effects
from daemon.inbound.contact_requests import ContactRequestReader
from daemon.inbound.plugin_effects import InboundContext
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.vocabulary import MessageKind, WaitsFor
from storage import (
    contacts,
    evidence,
    inbound,
    messages,
    prospects,
    queue,
    receipts,
    sessions,
    spends,
    suppressions,
)
from storage.contacts import Alias
from storage.db import Database
from storage.errors import WriteFailed
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.receipts import ReceiptRecord
from storage.spends import SpendKind
from storage.suppressions import SuppressionSource
from storage.tx import Reader, Tx

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
"""Whoever writes is on WhatsApp; but a number known as not reachable needs an operator."""


@dataclass(frozen=True, slots=True)
class ContactUpdater:
    """What an inbound or a receipt changes of its contact, each in the caller's transaction."""

    settings: Settings
    suppression: SuppressionService
    scoring: Scoring

    def apply_inbound(
        self, tx: Tx, record: InboundRecord, context: InboundContext
    ) -> tuple[int, list[str]]:
        """Store a message of theirs and everything that follows from it.

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
        """Refresh the derived columns and the score, and emit the event."""
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
                request=record.request,
                cancelled_messages=cancelled,
            )
        )

    def record_bounce(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
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
        self.scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="bounced",
            sentence="A message to them could not be delivered.",
        )

    def record_complaint(self, tx: Tx, contact: str, at: datetime, now: datetime) -> None:
        """Store that they refused marketing: a complaint about our number, and a plain no."""
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
        found = [(EvidenceKind.INBOUND, record.request, ""), (EvidenceKind.ON_WHATSAPP, "yes", "")]
        if record.request == ContactRequest.REFUSED:
            found.append((EvidenceKind.DECLINED, ContactRequest.REFUSED.value, record.text))
        if record.request == ContactRequest.OPT_IN:
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
        """Do what their message asks of us: suppress, reopen, or ask for a review."""
        if record.request == ContactRequest.OPT_OUT:
            return self._suppress_contact(tx, record, context), []
        if record.request == ContactRequest.OPT_IN:
            return 0, self.suppression.reopen(tx, record.contact, at=record.at)
        if record.request == ContactRequest.REVIEW:
            contacts.request_contact_review(tx, record.contact, _REVIEW_REASON, context.now)
        return 0, []

    def _suppress_contact(self, tx: Tx, record: InboundRecord, context: InboundContext) -> int:
        """Suppress them and, where the settings have a text for it, confirm that once."""
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
            plugin_effects.queue_reply(
                tx,
                context,
                text,
                kind=MessageKind.OPT_OUT_CONFIRMATION,
                who="suppression",
                not_after=not_after,
            )
        return done.cancelled_messages

    def _renew_validation(self, tx: Tx, record: InboundRecord, now: datetime) -> None:
        """Count their message as a number check: it proves that they can be reached."""
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
                "expires_at": record.at + timedelta(days=self.settings.validation.valid_days),
            }
        prospects.update_prospect(tx, prospect.id, at=now, **columns)
        queue.requeue_waiting_messages(tx, now, WaitsFor.CHECKED, contact=record.contact)


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


T = TypeVar("T")
log = structlog.get_logger("inbound")

RETRY_SECONDS = 5.0
UNDELIVERABLE = "undeliverable"
"""A failed receipt with this reason says that the number can't be reached at all."""
REFUSED_MARKETING = "refused_marketing"
"""A failed receipt with this reason says that they want no marketing through this platform."""


class InboundHandler:
    """Takes inbound messages, receipts, own messages and hidden ids from the sessions.

    Each method returns once its transaction is on the disk. While the disk refuses, it waits and
    tries again: the session that called waits meanwhile, so that no opt-out is lost.
    ``wake`` is called after each commit that may have given the outbox something to do.
    """

    def __init__(
        self,
        *,
        database: Database,
        plugins: Plugins,
        suppression: SuppressionService,
        scoring: Scoring,
        aliases: Aliases,
        request_reader: ContactRequestReader,
        clock: Clock,
        settings: Settings,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._plugins = plugins
        self._suppression = suppression
        self._aliases = aliases
        self._request_reader = request_reader
        self._clock = clock
        self._wake = wake
        self._updater = ContactUpdater(settings, suppression, scoring)
        self._reply_expires = timedelta(hours=settings.sending.reply_expires_hours)

    async def handle_inbound(self, session: str, signal: InboundMessage) -> None:
        """Store a message that a contact wrote, once, with everything that follows from it."""
        if await self._database.read(lambda r: inbound.has_inbound(r, session, signal.wire_id)):
            return
        request = self._request_reader.read_request(signal.text)
        collected = (
            await self._collect_effects(signal) if request is not ContactRequest.OPT_OUT else []
        )
        lifted = await self._write_with_retries(
            lambda tx: self._store_inbound(
                tx, session, signal, request=request, collected=collected, now=self._clock.now()
            )
        )
        await self._suppression.journal_lifted(lifted)
        self._wake()

    async def handle_own_message(self, session: str, signal: OwnMessage) -> None:
        """Store what was typed on the phone itself: it counts, and ends commercial messages."""
        await self._write_with_retries(
            lambda tx: self._store_own_message(tx, session, signal, self._clock.now())
        )
        self._wake()

    async def handle_receipt(self, session: str, signal: Receipt) -> None:
        """Move the message that a receipt speaks of, forward only."""
        await self._write_with_retries(
            lambda tx: self._store_receipt(tx, session, signal, self._clock.now())
        )
        self._wake()

    async def handle_alias(self, _session: str, signal: AliasLearned) -> None:
        """Learn that a hidden id and a number are one person; a suppression of either holds."""
        await self._write_with_retries(lambda tx: self._join_aliases(tx, signal, self._clock.now()))

    async def _write_with_retries(self, job: Callable[[Tx], T]) -> T:
        """Write in the urgent lane, until the disk takes it."""
        while True:
            try:
                return await self._database.write(job, urgent=True)
            except WriteFailed as error:
                log.critical("news_not_stored", error=str(error), retry_seconds=RETRY_SECONDS)
            await self._clock.sleep(RETRY_SECONDS)

    async def _collect_effects(self, signal: InboundMessage) -> list[tuple[str, InboundEffect]]:
        aliases, now = self._list_sender_aliases(signal), self._clock.now()
        view = await self._database.read(
            lambda r: _build_contact_view(r, aliases, signal.push_name, now)
        )
        return await plugin_effects.collect_effects(self._plugins, signal, view)

    def _list_sender_aliases(self, signal: InboundMessage) -> tuple[Alias, ...]:
        return self._aliases.from_identities(signal.sender, *signal.aliases)

    def _store_inbound(
        self,
        tx: Tx,
        session: str,
        signal: InboundMessage,
        *,
        request: ContactRequest,
        collected: list[tuple[str, InboundEffect]],
        now: datetime,
    ) -> list[str]:
        if inbound.has_inbound(tx, session, signal.wire_id):  # it came twice at once
            return []
        contact = contacts.resolve_contact(tx, self._list_sender_aliases(signal), now)
        record = InboundRecord(
            id=new_id("inb", now),
            session=session,
            wire_id=signal.wire_id,
            contact=contact,
            at=min(signal.written_at, now),
            received_at=now,
            text=signal.text,
            request=request.value,
        )
        context = InboundContext(
            contact, session, _find_reply_address(tx, contact, signal), record.at, now
        )
        cancelled, lifted = self._updater.apply_inbound(tx, record, context)
        plugin_effects.commit_effects(tx, context, collected, reply_expires=self._reply_expires)
        self._updater.finish_inbound(tx, record, context, cancelled)
        return lifted

    def _store_own_message(self, tx: Tx, session: str, signal: OwnMessage, now: datetime) -> None:
        known = inbound.has_inbound(tx, session, signal.wire_id)
        if known or receipts.find_message_by_wire_id(tx, session, signal.wire_id):
            return  # heard before, or one of ours coming back
        contact = _find_contact(tx, self._aliases.from_identities(signal.recipient))
        at = min(signal.written_at, now)
        _record_spends(
            tx, session, at, new_chat=contact is not None and inbound.is_new_chat(tx, contact)
        )
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
            ),
        )
        evidence.insert_evidence(
            tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source="the phone"
        )
        cancel_commercial(tx, contact, now, "own_message")
        self._updater.scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="own_message",
            sentence="Somebody wrote to them on the phone itself.",
        )

    def _store_receipt(self, tx: Tx, session: str, signal: Receipt, now: datetime) -> None:
        receipt = ReceiptRecord(
            session=session,
            wire_id=signal.wire_id,
            kind=signal.kind.value,
            at=min(signal.at, now),
            reason_code=signal.reason_code,
            contact=_find_contact(tx, self._aliases.from_identities(signal.recipient)),
        )
        moved = receipts.store_receipt(tx, receipt, now)
        if moved is None or moved.state is not MessageState.FAILED:
            return
        if signal.reason_code == UNDELIVERABLE:
            self._updater.record_bounce(tx, moved.contact, receipt.at, now)
        elif signal.reason_code == REFUSED_MARKETING:
            self._updater.record_complaint(tx, moved.contact, receipt.at, now)

    def _join_aliases(self, tx: Tx, signal: AliasLearned, now: datetime) -> None:
        """Join the aliases of a known contact; for a pair of strangers nothing is stored."""
        aliases = self._aliases.from_identities(signal.alias, signal.phone)
        found = _find_contact(tx, aliases)
        if found is None:
            return
        before = contacts.get_contact_revision(tx, found)
        contact = contacts.resolve_contact(tx, aliases, now)
        if contact == found and contacts.get_contact_revision(tx, contact) == before:
            return  # known already: platforms tell it with every message
        self._suppression.extend_to_new_aliases(tx, contact, at=now)
        self._updater.scoring.refresh_prospect(
            tx,
            contact,
            now,
            reason_code="name_learned",
            sentence="A hidden id and a number turned out to be one person.",
        )


def _build_contact_view(
    reader: Reader, aliases: tuple[Alias, ...], push_name: str, now: datetime
) -> ContactView:
    """Return what plugins may know of who wrote."""
    contact = _find_contact(reader, aliases)
    prospect = prospects.find_prospect_by_contact(reader, contact) if contact else None
    known = evidence.list_contact_evidence(reader, contact) if contact else []
    return ContactView(
        prospect=prospect.id if prospect else None,
        name=(prospect.name if prospect else "") or push_name,
        cartera_origen=prospect.cartera_origen if prospect else None,
        permission=derive_permission(known, now).value,
        suppressed=contact is not None and suppressions.is_contact_suppressed(reader, contact),
    )


def _find_contact(reader: Reader, aliases: tuple[Alias, ...]) -> str | None:
    found = (contacts.find_contact_by_alias(reader, alias.text) for alias in aliases)
    return next(filter(None, found), None)


def _find_reply_address(reader: Reader, contact: str, signal: InboundMessage) -> str | None:
    """Return the number that an answer goes to, if any is known by now."""
    if prospect := prospects.find_prospect_by_contact(reader, contact):
        return prospect.phone
    names = (signal.sender, *signal.aliases)
    return next((each.value for each in names if each.kind is IdentityKind.PHONE), None)


def _record_spends(tx: Tx, session: str, at: datetime, *, new_chat: bool) -> None:
    """Book an own message to the number's budget: the platform counts it too."""
    record = sessions.get_session(tx, session)
    phone = (record and record.phone) or session
    spends.insert_spend(tx, phone, SpendKind.MESSAGE, session=session, message=None, at=at)
    if new_chat:
        spends.insert_spend(tx, phone, SpendKind.NEW_CHAT, session=session, message=None, at=at)
