"""Handles inbound messages: each is stored once, with all that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest, ContactView, InboundEffect
from daemon.api.identity import IdentityKind
from daemon.api.signals import InboundMessage
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.events import InboundReceived
from daemon.gate.consent import derive_permission
from daemon.gate.scoring import Scoring
from daemon.inbound import plugin_effects
from daemon.inbound.contact_requests import ContactRequestReader
from daemon.inbound.context import InboundContext
from daemon.inbound.conversation import set_read_intent, stop_messages
from daemon.inbound.durable_write import DurableWriter
from daemon.inbound.invites import add_invited_prospect, remove_code
from daemon.inbound.message_effects import (
    MessageEffects,
    insert_message_evidence,
    insert_push_name,
    renew_validation,
    withdraw_validation,
)
from daemon.inbound.reading import InboundReading, read_inbound
from daemon.plugin_manager import Plugins
from daemon.settings import Settings
from storage import (
    contacts,
    conversation_queries,
    evidence,
    imports,
    inbound,
    outcomes,
    private_contacts,
    prospects,
    suppressions,
)
from storage.contacts import Alias
from storage.db import Database
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.tx import Reader, Tx


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
        self._effects = MessageEffects(suppression, settings.sending)
        self._scoring = scoring
        self._aliases = aliases
        self._request_reader = request_reader
        self._clock = clock
        self._settings = settings

    async def handle_inbound(self, session: str, signal: InboundMessage) -> None:
        """Store a message that a contact wrote, once, with everything that follows from it."""
        if await self._database.read(lambda r: self._is_stored(r, session, signal)):
            return
        # The code of an invitation is none of their words.
        words = replace(signal, text=remove_code(signal.text))
        reading = read_inbound(self._request_reader, words, self._clock.now())
        # Of somebody private nothing is kept, but who opts out has to stay suppressed.
        opts_out = reading.words.says(ContactRequest.OPT_OUT)
        if not opts_out and await self._database.read(lambda r: self._is_private(r, signal)):
            return
        effects = await self._collect_effects(signal) if reading.asks_plugins else []
        lifted = await self._writer.write(
            lambda tx: self._store_inbound(tx, session, signal, reading, effects)
        )
        await self._suppression.journal_lifted(lifted)

    def _is_stored(self, reader: Reader, session: str, signal: InboundMessage) -> bool:
        """Tell whether a message was stored before, and shows no name that is new to us."""
        contact = contacts.find_owner_of_all(reader, self._list_sender_aliases(signal))
        return contact is not None and inbound.has_inbound(reader, session, contact, signal.wire_id)

    def _is_private(self, reader: Reader, signal: InboundMessage) -> bool:
        """Tell whether a person said that this sender is private, and nobody wrote to them."""
        aliases = self._list_sender_aliases(signal)
        if not private_contacts.is_private(reader, [each.hash for each in aliases]):
            return False
        contact = contacts.find_contact_by_aliases(reader, aliases)
        return contact is None or not conversation_queries.is_known(reader, contact)

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
        insert_message_evidence(tx, context)
        add_invited_prospect(tx, context)
        insert_push_name(tx, context, signal.push_name)
        if reading.opens_conversation and not reading.past:
            outcomes.end_unanswered_outcomes(
                tx, context.contact, at=context.now, who="contact", inbound=context.record.id
            )
        cancelled, lifted = self._effects.apply_request(tx, context)
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

    def _renew_validation(self, tx: Tx, context: InboundContext) -> None:
        """Count their message as a number check: it proves that they can be reached.

        Who is somebody else proves nothing of the prospect, whose number is not decided any more.
        """
        prospect = prospects.find_prospect_by_contact(tx, context.contact)
        if prospect is None:
            return
        if context.reading.words.says(ContactRequest.WRONG_PERSON):
            withdraw_validation(tx, prospect, context.now)
            return
        valid_for = timedelta(days=self._settings.validation.valid_days)
        renew_validation(tx, prospect, context.record.at, context.now, valid_for)


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
        origen_en_palabras=imports.get_origin_in_words(
            reader, prospect.import_id if prospect else None
        ),
    )


def _find_reply_address(reader: Reader, contact: str, signal: InboundMessage) -> str | None:
    """Return the number that an answer goes to, if any is known by now."""
    if prospect := prospects.find_prospect_by_contact(reader, contact):
        return prospect.phone
    names = (signal.sender, *signal.aliases)
    return next((each.value for each in names if each.kind is IdentityKind.PHONE), None)
