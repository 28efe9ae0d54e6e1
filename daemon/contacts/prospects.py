"""Creates and corrects single prospects by hand. Lists are read by imports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.api.numbers import PhoneNumber
from daemon.contacts.aliases import Aliases
from daemon.errors import BadRequest, Conflict, NotFound, NumberRejected
from daemon.gate.consent import Permission, find_last_refusal
from daemon.gate.scoring import Scoring
from daemon.settings import DaemonSettings
from statemachines.prospect import ValidationState
from storage import audit, contacts, evidence, inbound, messages, prospects, queue, suppressions
from storage.db import Database
from storage.evidence import EvidenceKind
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.tx import Reader, Tx

# For a corrected number: what was found out about the wrong one says nothing of it.
_RESET_VALIDATION: Final[Mapping[str, object]] = {
    "whatsapp_id": None,
    "on_whatsapp": "unknown",
    "checked_at": None,
    "check_attempts": 0,
    "validation": ValidationState.UNCHECKED.value,
    "validado_tecnicamente": None,
    "validated_at": None,
    "expires_at": None,
}

# What a person agreed to, or did not, is about the prospect; all other evidence is about a number.
_PERMISSION_KINDS: Final = frozenset(
    {EvidenceKind.PERMISSION, EvidenceKind.CONSENT, EvidenceKind.DECLINED}
)


class ProspectInput(Struct, frozen=True, kw_only=True):
    """A prospect as a person enters it. ``phone`` is as people write it."""

    phone: str
    cartera_origen: str
    permission: Permission
    statement: str = ""
    name: str = ""
    trade: str = ""
    notes: str = ""


class ProspectService:
    """Creates and corrects prospects, one at a time."""

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

    async def create(self, entry: ProspectInput, who: str) -> ProspectRecord:
        """Create a prospect, with its permission as evidence.

        Raises :class:`NumberRejected`, :class:`BadRequest` for an opt-in without a statement, and
        :class:`Conflict` where the person is a prospect already, by any spelling of the number, or
        where they refused and the entry grants something.
        """
        number = self._parse_number(entry.phone)
        if entry.permission is Permission.OPTED_IN and not entry.statement.strip():
            raise BadRequest(
                "statement: an opt-in needs a sentence on how they agreed.",
                hint="Say how and when they agreed, or choose another permission.",
            )
        at = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            contact = contacts.resolve_contact(tx, self._aliases.from_phone(number.e164), at)
            _require_no_prospect(tx, contact)
            _require_grantable(tx, contact, entry.permission)
            prospect = prospects.insert_prospect(
                tx, _build_new_prospect(entry, contact, number), at=at
            )
            _insert_permission(tx, contact, entry, who, at)
            audit.insert_audit_entry(tx, at, who, "create_prospect", prospect)
            return self._refresh_prospect(tx, prospect, at, "entered_by_hand", f"Entered by {who}.")

        return await self._database.write(job)

    async def update_texts(
        self, prospect: str, who: str, reason: str, texts: Mapping[str, str]
    ) -> ProspectRecord:
        """Set name, trade or notes, with an audit entry. Raises :class:`NotFound`."""
        at = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            require_known_prospect(tx, prospect)
            prospects.update_prospect(tx, prospect, at=at, **texts)
            audit.insert_audit_entry(
                tx, at, who, "correct_prospect", prospect, reason, {"set": sorted(texts)}
            )
            return prospects.require_prospect(tx, prospect).as_of(at)

        return await self._database.write(job)

    async def correct_number(
        self, prospect: str, phone: str, who: str, reason: str
    ) -> ProspectRecord:
        """Replace a wrong number; its validation is reset. Another spelling changes nothing else.

        Raises :class:`NotFound`, :class:`NumberRejected`, and :class:`Conflict` where the old
        number has an opt-out or a conversation, or where the new one is another prospect's.
        """
        number, at = self._parse_number(phone), self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            found = require_known_prospect(tx, prospect)
            contact = contacts.resolve_contact(tx, self._aliases.from_phone(number.e164), at)
            changes: dict[str, object] = {
                "phone": number.e164,
                "line_type": number.line_type.value,
                "country": number.country,
            }
            if contact != found.contact:
                _detach_from_contact(tx, found, contact, who, at)
                changes |= {"contact": contact, **_RESET_VALIDATION}
            prospects.update_prospect(tx, prospect, at=at, **changes)
            audit.insert_audit_entry(tx, at, who, "correct_number", prospect, reason)
            return self._refresh_prospect(tx, prospect, at, "number_corrected", reason)

        return await self._database.write(job, urgent=True)

    def _parse_number(self, phone: str) -> PhoneNumber:
        try:
            return numbers.parse_phone(phone, self._region)
        except numbers.NumberUnusable as error:
            raise NumberRejected(f"phone: {error.sentence}") from error

    def _refresh_prospect(
        self, tx: Tx, prospect: str, at: datetime, reason_code: str, sentence: str
    ) -> ProspectRecord:
        contact = prospects.require_prospect(tx, prospect).contact
        self._scoring.refresh_prospect(tx, contact, at, reason_code=reason_code, sentence=sentence)
        return prospects.require_prospect(tx, prospect).as_of(at)


def require_known_prospect(reader: Reader, prospect: str) -> ProspectRecord:
    """Return a prospect by its id. Raises :class:`NotFound` for none, or an erased one."""
    found = prospects.get_prospect(reader, prospect)
    if found is None or found.validation is ValidationState.ERASED:
        raise NotFound(f"There is no prospect {prospect}.")
    return found


def _require_no_prospect(reader: Reader, contact: str) -> None:
    existing = prospects.find_prospect_by_contact(reader, contact)
    if existing is not None:
        raise Conflict(
            f"This prospect exists already, as {existing.id}.",
            hint="Correct that one: each person is one prospect, under every form of the number.",
        )


def _require_grantable(reader: Reader, contact: str, permission: Permission) -> None:
    """Raise :class:`Conflict` where a permission would be entered over a refusal of theirs."""
    if permission not in {Permission.OPTED_IN, Permission.RELATIONSHIP}:
        return
    # It has no date of its own: it may be from before they refused, and counts no more then.
    if find_last_refusal(evidence.list_contact_evidence(reader, contact)) is not None:
        raise Conflict(
            "They said no before, so they can't be added with a permission.",
            hint="Add them without one. If they agreed since, record the consent with its date.",
        )


def _detach_from_contact(
    tx: Tx, found: ProspectRecord, contact: str, who: str, at: datetime
) -> None:
    """Prepare a prospect's move to another contact: copy permissions, cancel waiting messages.

    Raises :class:`Conflict` where the number cannot have been a wrong one.
    """
    _require_no_prospect(tx, contact)
    # An opt-out stays with its number, or a "correction" would be a way around it.
    if suppressions.is_contact_suppressed(tx, found.contact):
        raise Conflict("They opted out; another number does not undo that.")
    if not inbound.is_new_chat(tx, found.contact) or queue.is_contact_busy(tx, found.contact, ""):
        raise Conflict(
            "There is a conversation with this number, so it belongs to somebody.",
            hint="Add the other number as another prospect.",
        )
    known = evidence.drop_withdrawn(evidence.list_contact_evidence(tx, found.contact))
    for piece in reversed(known):
        if piece.kind in _PERMISSION_KINDS:
            evidence.insert_evidence(
                tx,
                contact,
                piece.kind,
                piece.value,
                at=piece.at,
                source=piece.source,
                quote=piece.quote,
            )
    messages.cancel_unsent_messages(
        tx,
        found.contact,
        at=at,
        reason_code="number_corrected",
        sentence="It was for the wrong number.",
        who=who,
        commercial_only=False,
    )
    contacts.bump_contact_revision(tx, found.contact)


def _build_new_prospect(
    entry: ProspectInput, contact: str, number: PhoneNumber
) -> NewProspectRecord:
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


def _insert_permission(tx: Tx, contact: str, entry: ProspectInput, who: str, at: datetime) -> None:
    refused = entry.permission is Permission.REFUSED
    evidence.insert_evidence(
        tx,
        contact,
        EvidenceKind.DECLINED if refused else EvidenceKind.PERMISSION,
        entry.permission.value,
        at=at,
        source=f"entered by {who}, from {entry.cartera_origen}",
        quote=entry.statement,
    )
