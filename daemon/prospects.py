"""Prospects by hand: one entered by a person, one whose name or number is put right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from daemon.aliases import Aliases
from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.api.numbers import PhoneNumber
from daemon.consent import Permission
from daemon.errors import BadRequest, Conflict, NotFound, NumberRejected
from daemon.scoring import Scoring
from daemon.settings import DaemonSettings
from statemachines.prospect import ValidationState
from storage import audit, contacts, evidence, inbound, messages, prospects, queue, suppressions
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.tx import Reader, Tx

_UNKNOWN_AGAIN: Final[Mapping[str, object]] = {
    "whatsapp_id": None,
    "on_whatsapp": "unknown",
    "checked_at": None,
    "check_attempts": 0,
    "validation": ValidationState.UNCHECKED.value,
    "validado_tecnicamente": None,
    "validated_at": None,
    "expires_at": None,
}
"""What was found out about a number says nothing of another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A prospect as a person enters it. ``phone`` is as people write it."""

    phone: str
    cartera_origen: str
    permission: Permission
    statement: str = ""
    name: str = ""
    trade: str = ""
    notes: str = ""


class Prospects:
    """Enters and corrects prospects, one at a time; lists come in by `Imports`."""

    def __init__(
        self,
        database: Database,
        scoring: Scoring,
        aliases: Aliases,
        clock: Clock,
        settings: DaemonSettings,
    ) -> None:
        self._database = database
        self._scoring = scoring
        self._aliases = aliases
        self._clock = clock
        self._region = settings.default_region

    async def create(self, entry: Entry, who: str) -> ProspectRecord:
        """Enter a prospect, with the permission that it comes with as evidence.

        Raises :class:`NumberRejected`, :class:`BadRequest` for an opt-in that nobody can explain,
        and :class:`Conflict` where the person is there already, in any form of the number.
        """
        number = self._number(entry.phone)
        if entry.permission is Permission.OPTED_IN and not entry.statement.strip():
            raise BadRequest(
                "statement: an opt-in needs a word on how it was obtained.",
                hint="Say how and when they agreed, or take another permission.",
            )
        at = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            contact = contacts.resolve(tx, self._aliases.of_phone(number.e164), at)
            _refuse_another(tx, contact)
            prospect = prospects.insert(tx, _new(entry, contact, number), at=at)
            _note_permission(tx, contact, entry, who, at)
            audit.add(tx, at, who, "create_prospect", prospect)
            return self._refreshed(tx, prospect, at, "entered_by_hand", f"Entered by {who}.")

        return await self._database.write(job)

    async def describe(
        self, prospect: str, who: str, reason: str, texts: Mapping[str, str]
    ) -> ProspectRecord:
        """Set name, trade or notes; the audit keeps which, and why. Raises :class:`NotFound`."""
        at = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            _present(tx, prospect)
            prospects.update(tx, prospect, at=at, **texts)
            audit.add(tx, at, who, "correct_prospect", prospect, reason, {"set": sorted(texts)})
            return prospects.must(tx, prospect)

        return await self._database.write(job)

    async def renumber(self, prospect: str, phone: str, who: str, reason: str) -> ProspectRecord:
        """Put a wrong number right: what was found out about the wrong one no longer counts.

        Another form of the same line changes its spelling only. Raises :class:`NotFound`,
        :class:`NumberRejected`, and :class:`Conflict` where the old number has a history that
        can't be somebody else's: an opt-out, or a conversation; or where the new one is taken.
        """
        number, at = self._number(phone), self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            found = _present(tx, prospect)
            contact = contacts.resolve(tx, self._aliases.of_phone(number.e164), at)
            changes: dict[str, object] = {
                "phone": number.e164,
                "line_type": number.line_type.value,
                "country": number.country,
            }
            if contact != found.contact:
                _leave(tx, found, contact, who, at)
                changes |= {"contact": contact, **_UNKNOWN_AGAIN}
            prospects.update(tx, prospect, at=at, **changes)
            audit.add(tx, at, who, "correct_number", prospect, reason)
            return self._refreshed(tx, prospect, at, "number_corrected", reason)

        return await self._database.write(job, urgent=True)

    def _number(self, phone: str) -> PhoneNumber:
        try:
            return numbers.parse(phone, self._region)
        except numbers.NumberUnusable as error:
            raise NumberRejected(f"phone: {error.sentence}") from error

    def _refreshed(
        self, tx: Tx, prospect: str, at: datetime, reason_code: str, sentence: str
    ) -> ProspectRecord:
        contact = prospects.must(tx, prospect).contact
        self._scoring.refresh(tx, contact, at, reason_code=reason_code, sentence=sentence)
        return prospects.must(tx, prospect)


def _present(reader: Reader, prospect: str) -> ProspectRecord:
    found = prospects.get(reader, prospect)
    if found is None or found.validation is ValidationState.ERASED:
        raise NotFound(f"There is no prospect {prospect}.")
    return found


def _refuse_another(reader: Reader, contact: str) -> None:
    there = prospects.of_contact(reader, contact)
    if there is not None:
        raise Conflict(
            f"They are there already, as {there.id}.",
            hint="Correct that one; a person is one prospect, under every form of the number.",
        )


def _leave(tx: Tx, found: ProspectRecord, contact: str, who: str, at: datetime) -> None:
    """Take a prospect away from a number that never was theirs; what lists said goes along."""
    _refuse_another(tx, contact)
    if suppressions.is_suppressed(tx, found.contact):
        raise Conflict("The number is suppressed; another number does not undo that.")
    if not inbound.is_new_chat(tx, found.contact) or queue.contact_is_busy(tx, found.contact, ""):
        raise Conflict(
            "There is a conversation with this number, so it is somebody's.",
            hint="Enter the other number as a prospect of its own.",
        )
    for piece in reversed(evidence.of_contact(tx, found.contact)):
        if piece.kind in {EvidenceKind.PERMISSION, EvidenceKind.REFUSAL}:
            evidence.add(
                tx,
                contact,
                piece.kind,
                piece.value,
                at=piece.at,
                source=piece.source,
                quote=piece.quote,
            )
    messages.cancel_waiting(
        tx,
        found.contact,
        at=at,
        reason_code="number_corrected",
        sentence="It was for a number that was wrong.",
        who=who,
        commercial_only=False,
    )
    contacts.touch(tx, found.contact)


def _new(entry: Entry, contact: str, number: PhoneNumber) -> NewProspectRecord:
    return NewProspectRecord(
        contact=contact,
        phone=number.e164,
        cartera_origen=entry.cartera_origen,
        line_type=number.line_type.value,
        country=number.country,
        name=entry.name,
        trade=entry.trade,
        notes=entry.notes,
    )


def _note_permission(tx: Tx, contact: str, entry: Entry, who: str, at: datetime) -> None:
    refused = entry.permission is Permission.REFUSED
    evidence.add(
        tx,
        contact,
        EvidenceKind.REFUSAL if refused else EvidenceKind.PERMISSION,
        entry.permission.value,
        at=at,
        source=f"entered by {who}, from {entry.cartera_origen}",
        quote=entry.statement,
    )
