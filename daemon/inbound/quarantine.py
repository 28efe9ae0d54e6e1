"""Keeps what a channel reported and could not be stored, until a person has looked at it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from daemon.api.clock import Clock
from daemon.api.effects import ContactRequest
from daemon.api.identity import Identity, NotAContact, parse_identity
from daemon.api.signals import InboundMessage
from daemon.contacts.aliases import Aliases
from daemon.contacts.suppression import SuppressionService
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import SignalQuarantined, SignalSettled
from daemon.inbound.contact_requests import ContactRequestReader
from daemon.inbound.durable_write import DurableWriter
from daemon.inbound.message_effects import OPT_OUT_REASON
from daemon.sessions.signal_check import RejectedSignal
from storage import audit, contacts, evidence, quarantine
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.quarantine import QuarantinedSignal
from storage.suppressions import SuppressionSource
from storage.tx import Tx

HOLD_REASON: Final = "A message from them could not be stored; a person should look at it."
_KEPT_SOURCE: Final = "what was kept of their message"


class SignalQuarantine:
    """Stores rejected signals, and what a person says of them.

    What the kept words ask is not lost: an opt-out suppresses, and for a known contact everything
    commercial waits for a person.
    """

    def __init__(
        self,
        *,
        database: Database,
        aliases: Aliases,
        suppression: SuppressionService,
        request_reader: ContactRequestReader,
        clock: Clock,
    ) -> None:
        self._database = database
        self._writer = DurableWriter(database, clock)
        self._aliases = aliases
        self._suppression = suppression
        self._request_reader = request_reader
        self._clock = clock

    async def handle_rejected(self, session: str, rejected: RejectedSignal) -> None:
        """Store what can be kept of a signal, once; returns once it is on the disk."""
        await self._writer.write(lambda tx: self._store_rejected(tx, session, rejected))

    async def list_signals(
        self, *, session: str = "", settled: bool = False, after: str = "", limit: int = 50
    ) -> list[QuarantinedSignal]:
        """Return what waits for a person, or what is settled, oldest first."""
        return await self._database.read(
            lambda reader: quarantine.list_quarantined_signals(
                reader, session=session, settled=settled, after=after, limit=limit
            )
        )

    async def count_unsettled(self) -> int:
        """Return how many signals wait for a person."""
        return await self._database.read(quarantine.count_unsettled_signals)

    async def settle(self, id_: str, who: str, reason: str) -> QuarantinedSignal:
        """Say that a person looked, and why it is done; the last one of a contact ends its hold.

        Raises :class:`NotFound`, and :class:`Conflict` where somebody has already settled it.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)
        return await self._database.write(
            lambda tx: _settle_signal(tx, id_, at=at, who=who, reason=stated_reason)
        )

    def _store_rejected(self, tx: Tx, session: str, rejected: RejectedSignal) -> None:
        """Store a rejected signal, and suppress or hold by what could be read of it."""
        now = self._clock.now()
        request, sender = self._read_kept(rejected)
        aliases = self._aliases.from_identities(*sender)
        contact = contacts.find_contact_by_aliases(tx, aliases)
        if request is ContactRequest.OPT_OUT and sender:
            contact = contacts.resolve_contact(tx, aliases, now)
        record = QuarantinedSignal(
            id=new_id("qua", now),
            session=session,
            channel=rejected.channel,
            received_at=now,
            signal=rejected.signal,
            reason_code=rejected.reason_code,
            sentence=rejected.sentence,
            kept=rejected.kept,
            request=request.value,
            contact=contact,
        )
        if not quarantine.insert_quarantined_signal(tx, record):
            return
        if contact and request is ContactRequest.OPT_OUT:
            self._suppress_contact(tx, contact, said_at=_read_time(rejected.kept, now), now=now)
        elif contact and rejected.signal == InboundMessage.__name__:
            contacts.request_contact_review(tx, contact, HOLD_REASON, now)
        tx.emit(_build_event(record))

    def _read_kept(self, rejected: RejectedSignal) -> tuple[ContactRequest, tuple[Identity, ...]]:
        """Return what the kept words of a contact ask, and every name of whom they come from."""
        if rejected.signal != InboundMessage.__name__:
            return ContactRequest.UNCLEAR, ()
        text, aliases = rejected.kept.get("text"), rejected.kept.get("aliases")
        names = [rejected.kept.get("sender"), *(aliases if isinstance(aliases, list) else [])]
        sender = tuple(filter(None, map(_parse_name, names)))
        return self._read_text(text), sender

    def _read_text(self, text: object) -> ContactRequest:
        reading = self._request_reader.read(text if isinstance(text, str) else "")
        if reading.says(ContactRequest.OPT_OUT):
            return ContactRequest.OPT_OUT
        return reading.first.request

    def _suppress_contact(self, tx: Tx, contact: str, *, said_at: datetime, now: datetime) -> None:
        """Suppress a contact, unless they opted in after they said so."""
        opted_in = evidence.get_latest_evidence_time(
            tx, contact, EvidenceKind.INBOUND, ContactRequest.OPT_IN.value
        )
        evidence.insert_evidence(
            tx,
            contact,
            EvidenceKind.INBOUND,
            ContactRequest.OPT_OUT.value,
            at=said_at,
            source=_KEPT_SOURCE,
        )
        if opted_in and opted_in > said_at:
            return
        self._suppression.enter(
            tx,
            self._suppression.resolve_target(tx, contact),
            source=SuppressionSource.CONTACT,
            reason=OPT_OUT_REASON,
            who="contact",
            at=now,
            said_at=said_at,
        )


def _settle_signal(tx: Tx, id_: str, *, at: datetime, who: str, reason: str) -> QuarantinedSignal:
    found = quarantine.get_quarantined_signal(tx, id_)
    if found is None:
        raise NotFound(f"There is no quarantined signal {id_}.")
    if found.settled_at is not None:
        raise Conflict(f"{found.settled_by} has already settled it.")
    quarantine.settle_quarantined_signal(tx, id_, at=at, who=who, reason=reason)
    audit.insert_audit_entry(
        tx, at=at, who=who, action="settle_quarantined_signal", subject=id_, reason=reason
    )
    if found.contact and not quarantine.has_unsettled_signal(tx, found.contact):
        contacts.end_contact_review(tx, found.contact, reason=HOLD_REASON)
    tx.emit(SignalSettled(subject=id_, at=at, session=found.session, who=who, reason=reason))
    return quarantine.require_quarantined_signal(tx, id_)


def _build_event(record: QuarantinedSignal) -> SignalQuarantined:
    return SignalQuarantined(
        subject=record.id,
        at=record.received_at,
        session=record.session,
        signal=record.signal,
        reason_code=record.reason_code,
        sentence=record.sentence,
        request=record.request,
        contact=record.contact,
    )


def _parse_name(name: object) -> Identity | None:
    """Return the identity behind a kept name; None for what belongs to nobody."""
    try:
        return parse_identity(name) if isinstance(name, str) else None
    except NotAContact:
        return None


def _read_time(kept: Mapping[str, object], now: datetime) -> datetime:
    """Return when it was written, never later than now; what can't be read is now."""
    try:
        written_at = datetime.fromisoformat(str(kept.get("written_at")))
    except ValueError:
        return now
    # Without its zone a moment may be off by half a day: the later one is the stricter.
    return now if written_at.tzinfo is None else min(written_at.astimezone(UTC), now)
