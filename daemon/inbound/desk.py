"""The desk where transports hand in news of people: each piece becomes one urgent transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from daemon.aliases import Aliases
from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest, ContactView, InboundEffect
from daemon.api.signals import InboundMessage, LidLearned, OwnMessage, Receipt
from daemon.consent import derive_permission
from daemon.inbound import effects, story
from daemon.inbound.effects import InboundContext
from daemon.inbound.story import ContactUpdater
from daemon.plugin_manager import Plugins
from daemon.scoring import Scoring
from daemon.settings import Settings
from daemon.suppression import SuppressionService
from daemon.wishes import ContactRequestReader
from statemachines.message import MessageState
from storage import contacts, evidence, inbound, prospects, receipts, sessions, spends, suppressions
from storage.contacts import Alias
from storage.db import Database
from storage.errors import WriteFailed
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.receipts import ReceiptRecord
from storage.spends import SpendKind
from storage.tx import Reader, Tx

T = TypeVar("T")
log = structlog.get_logger("inbound")

RETRY_SECONDS = 5.0
UNDELIVERABLE = "undeliverable"
"""A failed receipt with this reason says that the number can't be reached at all."""
REFUSED_MARKETING = "refused_marketing"
"""A failed receipt with this reason says that they told the platform to let no selling through."""


class InboundHandler:
    """Takes inbound messages, receipts, own messages and hidden ids from the sessions.

    Each method returns once the news is on the disk. While the disk refuses, it waits and tries
    again: the session that called stands still meanwhile, so that no opt-out is lost.
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
        wish = self._request_reader.read_request(signal.text)
        found = await self._collect_effects(signal) if wish is not ContactRequest.OPT_OUT else []
        lifted = await self._write_with_retries(
            lambda tx: self._store_inbound(
                tx, session, signal, request=wish, collected=found, now=self._clock.now()
            )
        )
        await self._suppression.journal_lifted(lifted)
        self._wake()

    async def handle_own_message(self, session: str, signal: OwnMessage) -> None:
        """Note what was typed on the phone itself: it is in the budget, and ends our selling."""
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

    async def handle_lid(self, _session: str, signal: LidLearned) -> None:
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
        names, now = self._list_sender_aliases(signal), self._clock.now()
        view = await self._database.read(
            lambda r: _build_contact_view(r, names, signal.push_name, now)
        )
        return await effects.collect_effects(self._plugins, signal, view)

    def _list_sender_aliases(self, signal: InboundMessage) -> tuple[Alias, ...]:
        return self._aliases.from_sender(signal.sender, signal.sender_phone)

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
            at=min(signal.at, now),
            received_at=now,
            text=signal.text,
            wish=request.value,
        )
        said = InboundContext(
            contact, session, _find_reply_address(tx, contact, signal), record.at, now
        )
        cancelled, lifted = self._updater.apply_inbound(tx, record, said)
        effects.commit_effects(tx, said, collected, reply_expires=self._reply_expires)
        self._updater.finish_inbound(tx, record, said, cancelled)
        return lifted

    def _store_own_message(self, tx: Tx, session: str, signal: OwnMessage, now: datetime) -> None:
        known = inbound.has_inbound(tx, session, signal.wire_id)
        if known or receipts.find_message_by_wire_id(tx, session, signal.wire_id):
            return  # heard before, or one of ours coming back
        contact = _find_contact(tx, self._aliases.from_sender(signal.recipient, None))
        at = min(signal.at, now)
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
                wish=ContactRequest.NONE.value,
                own=True,
            ),
        )
        evidence.insert_evidence(
            tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source="the phone"
        )
        story.cancel_commercial(tx, contact, now, "own_message")
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
            contact=_find_contact(tx, self._aliases.from_sender(signal.recipient, None)),
        )
        moved = receipts.store_receipt(tx, receipt, now)
        if moved is None or moved.state is not MessageState.FAILED:
            return
        if signal.reason_code == UNDELIVERABLE:
            self._updater.record_bounce(tx, moved.contact, receipt.at, now)
        elif signal.reason_code == REFUSED_MARKETING:
            self._updater.record_complaint(tx, moved.contact, receipt.at, now)

    def _join_aliases(self, tx: Tx, signal: LidLearned, now: datetime) -> None:
        """Nothing is made for a pair of strangers: private contacts are none of ours."""
        names = self._aliases.from_sender(signal.lid, signal.phone)
        found = _find_contact(tx, names)
        if found is None:
            return
        before = contacts.get_contact_revision(tx, found)
        contact = contacts.resolve_contact(tx, names, now)
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
    found = (contacts.find_contact_by_alias(reader, name.text) for name in aliases)
    return next(filter(None, found), None)


def _find_reply_address(reader: Reader, contact: str, signal: InboundMessage) -> str | None:
    """Return the number that an answer goes to, if any is known by now."""
    if prospect := prospects.find_prospect_by_contact(reader, contact):
        return prospect.phone
    return signal.sender if signal.sender.startswith("+") else signal.sender_phone


def _record_spends(tx: Tx, session: str, at: datetime, *, new_chat: bool) -> None:
    """Book an own message to the number's budget: the platform counts it too."""
    record = sessions.get_session(tx, session)
    phone = (record and record.phone) or session
    spends.insert_spend(tx, phone, SpendKind.MESSAGE, session=session, message=None, at=at)
    if new_chat:
        spends.insert_spend(tx, phone, SpendKind.NEW_CHAT, session=session, message=None, at=at)
