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
from daemon.consent import permission_of
from daemon.inbound import effects, story
from daemon.inbound.effects import Said
from daemon.inbound.story import ContactUpdater
from daemon.plugin_manager import Plugins
from daemon.scoring import Scoring
from daemon.settings import Settings
from daemon.suppression import Suppression
from daemon.wishes import Wishes
from statemachines.message import MessageState
from storage import contacts, evidence, inbound, prospects, receipts, sessions, spends, suppressions
from storage.contacts import Alias
from storage.db import Database
from storage.errors import WriteFailed
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.inbound import InboundRecord
from storage.receipts import ReceiptRecord
from storage.spends import Spend
from storage.tx import Reader, Tx

T = TypeVar("T")
log = structlog.get_logger("inbound")

RETRY_SECONDS = 5.0
UNDELIVERABLE = "undeliverable"
"""A failed receipt with this reason says that the number can't be reached at all."""
REFUSED_MARKETING = "refused_marketing"
"""A failed receipt with this reason says that they told the platform to let no selling through."""


class InboundDesk:
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
        suppression: Suppression,
        scoring: Scoring,
        aliases: Aliases,
        wishes: Wishes,
        clock: Clock,
        settings: Settings,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._plugins = plugins
        self._suppression = suppression
        self._aliases = aliases
        self._wishes = wishes
        self._clock = clock
        self._wake = wake
        self._story = ContactUpdater(settings, suppression, scoring)
        self._reply_expires = timedelta(hours=settings.sending.reply_expires_hours)

    async def inbound(self, session: str, signal: InboundMessage) -> None:
        """Store a message that a contact wrote, once, with everything that follows from it."""
        if await self._database.read(lambda r: inbound.is_known(r, session, signal.wire_id)):
            return
        wish = self._wishes.read(signal.text)
        found = await self._interpret(signal) if wish is not ContactRequest.OPT_OUT else []
        lifted = await self._store(
            lambda tx: self._tell(
                tx, session, signal, wish=wish, found=found, now=self._clock.now()
            )
        )
        await self._suppression.note_lifted(lifted)
        self._wake()

    async def own(self, session: str, signal: OwnMessage) -> None:
        """Note what was typed on the phone itself: it is in the budget, and ends our selling."""
        await self._store(lambda tx: self._note_own(tx, session, signal, self._clock.now()))
        self._wake()

    async def receipt(self, session: str, signal: Receipt) -> None:
        """Move the message that a receipt speaks of, forward only."""
        await self._store(lambda tx: self._note_receipt(tx, session, signal, self._clock.now()))
        self._wake()

    async def lid(self, _session: str, signal: LidLearned) -> None:
        """Learn that a hidden id and a number are one person; a suppression of either holds."""
        await self._store(lambda tx: self._join(tx, signal, self._clock.now()))

    async def _store(self, job: Callable[[Tx], T]) -> T:
        """Write in the urgent lane, until the disk takes it."""
        while True:
            try:
                return await self._database.write(job, urgent=True)
            except WriteFailed as error:
                log.critical("news_not_stored", error=str(error), retry_seconds=RETRY_SECONDS)
            await self._clock.sleep(RETRY_SECONDS)

    async def _interpret(self, signal: InboundMessage) -> list[tuple[str, InboundEffect]]:
        names, now = self._names(signal), self._clock.now()
        view = await self._database.read(lambda r: _view(r, names, signal.push_name, now))
        return await effects.collect(self._plugins, signal, view)

    def _names(self, signal: InboundMessage) -> tuple[Alias, ...]:
        return self._aliases.of_sender(signal.sender, signal.sender_phone)

    def _tell(
        self,
        tx: Tx,
        session: str,
        signal: InboundMessage,
        *,
        wish: ContactRequest,
        found: list[tuple[str, InboundEffect]],
        now: datetime,
    ) -> list[str]:
        if inbound.is_known(tx, session, signal.wire_id):  # it came twice at once
            return []
        contact = contacts.resolve(tx, self._names(signal), now)
        record = InboundRecord(
            id=new_id("inb", now),
            session=session,
            wire_id=signal.wire_id,
            contact=contact,
            at=min(signal.at, now),
            received_at=now,
            text=signal.text,
            wish=wish.value,
        )
        said = Said(contact, session, _address(tx, contact, signal), record.at, now)
        cancelled, lifted = self._story.tell(tx, record, said)
        effects.commit(tx, said, found, reply_expires=self._reply_expires)
        self._story.close(tx, record, said, cancelled)
        return lifted

    def _note_own(self, tx: Tx, session: str, signal: OwnMessage, now: datetime) -> None:
        known = inbound.is_known(tx, session, signal.wire_id)
        if known or receipts.by_wire_id(tx, session, signal.wire_id):
            return  # heard before, or one of ours coming back
        contact = _find(tx, self._aliases.of_sender(signal.recipient, None))
        at = min(signal.at, now)
        _spend(tx, session, at, new_chat=contact is not None and inbound.is_new_chat(tx, contact))
        if contact is None:
            return  # a private chat: nothing of it is kept
        inbound.insert(
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
        evidence.add(tx, contact, EvidenceKind.OWN_MESSAGE, "sent", at=at, source="the phone")
        story.cancel_commercial(tx, contact, now, "own_message")
        self._story.scoring.refresh(
            tx,
            contact,
            now,
            reason_code="own_message",
            sentence="Somebody wrote to them on the phone itself.",
        )

    def _note_receipt(self, tx: Tx, session: str, signal: Receipt, now: datetime) -> None:
        receipt = ReceiptRecord(
            session=session,
            wire_id=signal.wire_id,
            kind=signal.kind.value,
            at=min(signal.at, now),
            reason_code=signal.reason_code,
            contact=_find(tx, self._aliases.of_sender(signal.recipient, None)),
        )
        moved = receipts.note(tx, receipt, now)
        if moved is None or moved.state is not MessageState.FAILED:
            return
        if signal.reason_code == UNDELIVERABLE:
            self._story.bounce(tx, moved.contact, receipt.at, now)
        elif signal.reason_code == REFUSED_MARKETING:
            self._story.complain(tx, moved.contact, receipt.at, now)

    def _join(self, tx: Tx, signal: LidLearned, now: datetime) -> None:
        """Nothing is made for a pair of strangers: private contacts are none of ours."""
        names = self._aliases.of_sender(signal.lid, signal.phone)
        found = _find(tx, names)
        if found is None:
            return
        before = contacts.revision(tx, found)
        contact = contacts.resolve(tx, names, now)
        if contact == found and contacts.revision(tx, contact) == before:
            return  # known already: platforms tell it with every message
        self._suppression.cover(tx, contact, at=now)
        self._story.scoring.refresh(
            tx,
            contact,
            now,
            reason_code="name_learned",
            sentence="A hidden id and a number turned out to be one person.",
        )


def _view(reader: Reader, names: tuple[Alias, ...], push_name: str, now: datetime) -> ContactView:
    """Return what plugins may know of who wrote."""
    contact = _find(reader, names)
    prospect = prospects.of_contact(reader, contact) if contact else None
    known = evidence.of_contact(reader, contact) if contact else []
    return ContactView(
        prospect=prospect.id if prospect else None,
        name=(prospect.name if prospect else "") or push_name,
        cartera_origen=prospect.cartera_origen if prospect else None,
        permission=permission_of(known, now).value,
        suppressed=contact is not None and suppressions.is_suppressed(reader, contact),
    )


def _find(reader: Reader, names: tuple[Alias, ...]) -> str | None:
    found = (contacts.of_alias(reader, name.text) for name in names)
    return next(filter(None, found), None)


def _address(reader: Reader, contact: str, signal: InboundMessage) -> str | None:
    """Return the number that an answer goes to, if any is known by now."""
    if prospect := prospects.of_contact(reader, contact):
        return prospect.phone
    return signal.sender if signal.sender.startswith("+") else signal.sender_phone


def _spend(tx: Tx, session: str, at: datetime, *, new_chat: bool) -> None:
    """Book an own message to the number's budget: the platform counts it too."""
    record = sessions.get(tx, session)
    phone = (record and record.phone) or session
    spends.add(tx, phone, Spend.MESSAGE, session=session, message=None, at=at)
    if new_chat:
        spends.add(tx, phone, Spend.NEW_CHAT, session=session, message=None, at=at)
