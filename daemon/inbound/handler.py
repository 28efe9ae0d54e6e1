"""Handles inbound messages: each is stored once, with all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest, ContactView, InboundEffect
from daemon.api.identity import IdentityKind
from daemon.api.signals import InboundMessage
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.events import InboundReceived
from daemon.gate.consent import QUESTION_ABOUT_US, Permission, derive_permission
from daemon.gate.scoring import Scoring
from daemon.inbound import plugin_effects
from daemon.inbound.classification import build_inbound_review
from daemon.inbound.contact_requests import ContactRequestReader
from daemon.inbound.context import InboundContext
from daemon.inbound.conversation import set_read_intent, stop_messages
from daemon.inbound.durable_write import DurableWriter
from daemon.inbound.reading import InboundReading, read_inbound
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from statemachines.prospect import ValidationState
from statemachines.vocabulary import MessageKind, WaitsFor
from storage import contacts, evidence, inbound, inbound_reviews, prospects, queue, suppressions
from storage.contacts import Alias, HoldScope
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from storage.tx import Reader, Tx

CONFIRMATION_WINDOW: Final = timedelta(minutes=5)
OPT_OUT_REASON: Final = "asked us to stop, in a message"

_INBOUND_SOURCE: Final = "their own message"
_RENEWABLE_STATES: Final = frozenset(
    {
        ValidationState.UNCHECKED,
        ValidationState.CHECKING,
        ValidationState.VALIDATED,
        ValidationState.EXPIRED,
    }
)
"""Whoever writes is on WhatsApp; but a number known as not reachable needs an operator."""


class InboundHandler:
    """Takes what contacts write from the sessions.

    ``handle_inbound`` returns once its transaction is on the disk; while the disk refuses, it waits
    and tries again.
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
    ) -> None:
        self._database = database
        self._writer = DurableWriter(database, clock)
        self._plugins = plugins
        self._suppression = suppression
        self._scoring = scoring
        self._aliases = aliases
        self._request_reader = request_reader
        self._clock = clock
        self._settings = settings

    async def handle_inbound(self, session: str, signal: InboundMessage) -> None:
        """Store a message that a contact wrote, once, with everything that follows from it."""
        if await self._database.read(lambda r: self._is_stored(r, session, signal)):
            return
        reading = read_inbound(self._request_reader, signal, self._clock.now())
        effects = await self._collect_effects(signal) if reading.asks_plugins else []
        lifted = await self._writer.write(
            lambda tx: self._store_inbound(tx, session, signal, reading, effects)
        )
        await self._suppression.journal_lifted(lifted)

    def _is_stored(self, reader: Reader, session: str, signal: InboundMessage) -> bool:
        """Tell whether a message was stored before, and shows no name that is new to us."""
        contact = contacts.find_owner_of_all(reader, self._list_sender_aliases(signal))
        return contact is not None and inbound.has_inbound(reader, session, contact, signal.wire_id)

    async def _collect_effects(self, signal: InboundMessage) -> list[tuple[str, InboundEffect]]:
        aliases, now = self._list_sender_aliases(signal), self._clock.now()
        view = await self._database.read(
            lambda r: _build_contact_view(r, aliases, signal.push_name, now)
        )
        return await plugin_effects.collect_effects(self._plugins, signal, view)

    def _store_inbound(
        self,
        tx: Tx,
        session: str,
        signal: InboundMessage,
        reading: InboundReading,
        effects: Sequence[tuple[str, InboundEffect]],
    ) -> list[str]:
        """Store a message of theirs and all that it changes; return the hashes that it reopened."""
        context = self._resolve_context(tx, session, signal, reading)
        if inbound.has_inbound(tx, session, context.contact, signal.wire_id):
            # It came twice at once, or under another name of theirs before.
            self._suppression.extend_to_new_aliases(tx, context.contact, at=context.now)
            return []
        inbound.insert_inbound(tx, context.record)
        _insert_evidence(tx, context)
        cancelled, lifted = self._apply_request(tx, context)
        cancelled += stop_messages(tx, context)
        self._renew_validation(tx, context)
        set_read_intent(tx, context, effects)
        plugin_effects.commit_effects(tx, context, effects, reply_expires=self._reply_expires)
        self._scoring.refresh_prospect(
            tx,
            context.contact,
            context.now,
            reason_code="inbound",
            sentence="They wrote to us.",
        )
        _emit_received(tx, context, cancelled)
        return lifted

    def _resolve_context(
        self, tx: Tx, session: str, signal: InboundMessage, reading: InboundReading
    ) -> InboundContext:
        """Find or make the contact that wrote, and bound the sender's clock to ours."""
        now = self._clock.now()
        contact = contacts.resolve_contact(tx, self._list_sender_aliases(signal), now)
        record = InboundRecord(
            id=new_id("inb", now),
            session=session,
            wire_id=signal.wire_id,
            contact=contact,
            at=min(signal.written_at, now),
            received_at=now,
            text=signal.text,
            request=reading.request.value,
            kind=signal.kind.value,
            origin=signal.origin.value,
            past=reading.past,
            conversation=reading.opens_conversation,
        )
        return InboundContext(record, reading, _find_reply_address(tx, contact, signal), now)

    def _list_sender_aliases(self, signal: InboundMessage) -> tuple[Alias, ...]:
        return self._aliases.from_identities(signal.sender, *signal.aliases)

    @property
    def _reply_expires(self) -> timedelta:
        return timedelta(hours=self._settings.sending.reply_expires_hours)

    def _apply_request(self, tx: Tx, context: InboundContext) -> tuple[int, list[str]]:
        """Do what their message asks of us: suppress, reopen, or ask for a review.

        Returns how many messages that cancelled, and the hashes whose suppression it lifted.
        """
        contact, at, reading = context.contact, context.record.at, context.reading
        lifted: list[str] = []
        if reading.review_reason:
            scope = reading.effects.holds or HoldScope.COMMERCIAL
            contacts.request_contact_review(
                tx, contact, reading.review_reason, context.now, scope=scope
            )
        if review := build_inbound_review(context):
            inbound_reviews.insert_inbound_review(tx, review)
        if reading.words.says(ContactRequest.OPT_OUT):
            if not _asked_later(tx, context, ContactRequest.OPT_IN):
                return self._suppress_contact(tx, context), []
        elif reading.words.says(ContactRequest.OPT_IN) and not _asked_later(
            tx, context, ContactRequest.OPT_OUT
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
        text, not_after = (
            self._settings.sending.opt_out_confirmation,
            said_at + CONFIRMATION_WINDOW,
        )
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

    def _renew_validation(self, tx: Tx, context: InboundContext) -> None:
        """Count their message as a number check: it proves that they can be reached.

        Who is somebody else proves nothing of the prospect, whose number is not decided any more.
        """
        prospect = prospects.find_prospect_by_contact(tx, context.contact)
        if prospect is None:
            return
        if context.reading.words.says(ContactRequest.WRONG_PERSON):
            _withdraw_validation(tx, prospect, context.now)
            return
        at, now = context.record.at, context.now
        expires_at = at + timedelta(days=self._settings.validation.valid_days)
        if expires_at <= now:
            return  # it proved that once
        columns: dict[str, object] = {}
        if prospect.checked_at is None or prospect.checked_at < at:
            columns["on_whatsapp"] = "yes"
        newer = prospect.validated_at is None or prospect.validated_at < at
        if prospect.validation in _RENEWABLE_STATES and newer:
            columns |= {
                "validation": ValidationState.VALIDATED.value,
                "validado_tecnicamente": True,
                "validated_at": at,
                "expires_at": expires_at,
            }
        prospects.update_prospect(tx, prospect.id, at=now, **columns)
        queue.requeue_waiting_messages(tx, now, WaitsFor.CHECKED, contact=context.contact)


def _withdraw_validation(tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
    """Leave it undecided whether the number is the prospect's, until a person has decided."""
    if prospect.validation in _RENEWABLE_STATES:
        prospects.update_prospect(
            tx,
            prospect.id,
            at=now,
            validation=ValidationState.UNCHECKED.value,
            validado_tecnicamente=None,
            validated_at=None,
            expires_at=None,
        )


def _asked_later(tx: Tx, context: InboundContext, request: ContactRequest) -> bool:
    """Tell whether they asked for this after they wrote the message that is being stored."""
    latest = evidence.get_latest_evidence_time(
        tx, context.contact, EvidenceKind.INBOUND, request.value
    )
    return latest is not None and latest > context.record.at


def _insert_evidence(tx: Tx, context: InboundContext) -> None:
    """Add what the message proves, each piece by the date of its writing."""
    record, reading = context.record, context.reading
    found = [(EvidenceKind.ON_WHATSAPP, "yes", "")]
    found += [(EvidenceKind.INBOUND, value, "") for value in _list_inbound_values(reading)]
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
            source=_INBOUND_SOURCE,
            quote=quote,
            inbound=record.id,
        )


def _list_inbound_values(reading: InboundReading) -> list[str]:
    """Return what they wrote as values of evidence: nothing for what was no message of theirs.

    Beside a no, what was not understood says nothing more.
    """
    if not (reading.opens_conversation or reading.is_refusal):
        return []
    values = {
        QUESTION_ABOUT_US if each.about_us else each.request.value
        for each in reading.words.findings
    }
    if len(values) > 1:
        values.discard(ContactRequest.UNCLEAR.value)
    return sorted(values)


def _emit_received(tx: Tx, context: InboundContext, cancelled: int) -> None:
    record, prospect = context.record, prospects.find_prospect_by_contact(tx, context.contact)
    tx.emit(
        InboundReceived(
            subject=record.id,
            at=context.now,
            session=record.session,
            contact=record.contact,
            prospect=prospect.id if prospect else None,
            request=record.request,
            cancelled_messages=cancelled,
            kind=record.kind,
            origin=record.origin,
        )
    )


def _build_contact_view(
    reader: Reader, aliases: tuple[Alias, ...], push_name: str, now: datetime
) -> ContactView:
    """Return what plugins may know of who wrote."""
    contact = contacts.find_contact_by_aliases(reader, aliases)
    prospect = prospects.find_prospect_by_contact(reader, contact) if contact else None
    known = evidence.list_contact_evidence(reader, contact) if contact else []
    return ContactView(
        prospect=prospect.id if prospect else None,
        name=(prospect.name if prospect else "") or push_name,
        cartera_origen=prospect.cartera_origen if prospect else None,
        permission=derive_permission(known, now).value,
        suppressed=contact is not None and suppressions.is_contact_suppressed(reader, contact),
    )


def _find_reply_address(reader: Reader, contact: str, signal: InboundMessage) -> str | None:
    """Return the number that an answer goes to, if any is known by now."""
    if prospect := prospects.find_prospect_by_contact(reader, contact):
        return prospect.phone
    names = (signal.sender, *signal.aliases)
    return next((each.value for each in names if each.kind is IdentityKind.PHONE), None)
