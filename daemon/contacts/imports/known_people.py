"""People of a list who are here already: what a record adds, and what it does to the permission."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.api.numbers import REACHABLE_LINE_TYPES
from daemon.contacts.imports.options import ImportPermission
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.gate.consent import Permission, derive_permission_state, find_last_refusal, find_nobody
from storage import evidence, prospect_fields, suppressions
from storage.evidence import Evidence, EvidenceKind
from storage.prospects import ProspectRecord
from storage.tx import Reader

_PERMISSIONS_BEST_FIRST: Final = (
    *(
        ImportPermission.OPTED_IN,
        ImportPermission.RELATIONSHIP,
        ImportPermission.PUBLIC_SOURCE,
        ImportPermission.NONE,
    ),
)
MAX_LISTED: Final = 100
"""The most people of each effect that a preview names."""


class PermissionEffect(StrEnum):
    """What a record does to the permission of a person who is here already."""

    UNCHANGED = "unchanged"
    LOWERED = "lowered"
    """It refuses, which always counts."""
    RAISABLE = "raisable"
    """It says yes with evidence, which counts where the import's option says so."""
    PROTECTED = "protected"
    """It says yes, but they refused or opted out, which no list overwrites."""


class KnownPermission(Struct, frozen=True):
    """The permission that a record gives to a known person as evidence, and its effect."""

    granted: ImportPermission
    effect: PermissionEffect


class KnownPerson(Struct, frozen=True):
    """A person of a list who is a prospect already.

    ``adds`` are columns that they have no value of yet, ``fields`` headers that are kept as data;
    ``permission`` is the present one.
    """

    record: int
    prospect: str
    name: str
    phone: str
    permission: str
    effect: PermissionEffect
    adds: Sequence[str] = ()
    fields: Sequence[str] = ()

    @property
    def changes(self) -> bool:
        """Whether the record adds something, or says something on their permission."""
        return bool(self.adds or self.fields) or self.effect is not PermissionEffect.UNCHANGED


class KnownPeople(Struct, frozen=True):
    """How many records are about people who are here already, and the first of each effect.

    ``adding`` is how many records add something to them.
    """

    total: int = 0
    adding: int = 0
    lowered: int = 0
    raisable: int = 0
    protected: int = 0
    people: Sequence[KnownPerson] = ()

    @property
    def changed(self) -> list[KnownPerson]:
        """The people with something that the list changes, or would change."""
        return [each for each in self.people if each.changes]


class KnownPeopleCounter:
    """Counts the known people of a list, and keeps the first of each effect."""

    def __init__(self) -> None:
        self._total = self._adding = 0
        self._counts = dict.fromkeys(PermissionEffect, 0)
        self._people: dict[PermissionEffect, list[KnownPerson]] = {
            effect: [] for effect in PermissionEffect
        }

    def add(self, reader: Reader, existing: ProspectRecord, record: ParsedImportRow) -> None:
        """Take in a record about this prospect."""
        effect = decide_known_permission(reader, existing.contact, record.permission).effect
        adds = list_gaps(existing, record)
        fields = _list_new_fields(reader, existing, record)
        self._total += 1
        self._adding += bool(adds or fields)
        self._counts[effect] += 1
        listed = self._people[effect]
        if len(listed) < MAX_LISTED:
            name = existing.name or record.name
            listed.append(
                KnownPerson(
                    record.record,
                    existing.id,
                    name,
                    existing.phone,
                    existing.permission,
                    effect,
                    adds,
                    fields,
                )
            )

    def build(self) -> KnownPeople:
        """Return what was counted so far; whose permission can be raised comes first."""
        order = (
            PermissionEffect.RAISABLE,
            PermissionEffect.LOWERED,
            PermissionEffect.PROTECTED,
            PermissionEffect.UNCHANGED,
        )
        return KnownPeople(
            self._total,
            self._adding,
            self._counts[PermissionEffect.LOWERED],
            self._counts[PermissionEffect.RAISABLE],
            self._counts[PermissionEffect.PROTECTED],
            tuple(each for effect in order for each in self._people[effect]),
        )


def decide_known_permission(
    reader: Reader, contact: str, claimed: ImportPermission, *, record_consents: bool = False
) -> KnownPermission:
    """Return what a record with ``claimed`` gives to a contact with something on record.

    A refusal always counts. A yes counts with ``record_consents`` only, and never over a refusal or
    an opt-out; nothing else raises what is recorded.
    """
    pieces = evidence.drop_withdrawn(evidence.list_contact_evidence(reader, contact))
    present = derive_permission_state(pieces).lasting
    if claimed is ImportPermission.REFUSED:
        lowered = present is not Permission.REFUSED
        effect = PermissionEffect.LOWERED if lowered else PermissionEffect.UNCHANGED
        return KnownPermission(claimed, effect)
    limited = max(claimed, _get_recorded_permission(pieces), key=_PERMISSIONS_BEST_FIRST.index)
    if claimed is not ImportPermission.OPTED_IN or present is Permission.OPTED_IN:
        return KnownPermission(limited, PermissionEffect.UNCHANGED)
    if (
        find_last_refusal(pieces)
        or find_nobody(pieces)
        or suppressions.is_contact_suppressed(reader, contact)
    ):
        return KnownPermission(limited, PermissionEffect.PROTECTED)
    return KnownPermission(claimed if record_consents else limited, PermissionEffect.RAISABLE)


def list_gaps(existing: ProspectRecord, record: ParsedImportRow) -> tuple[str, ...]:
    """Return the columns that a record fills: e-mail, city, and a mobile number for a landline."""
    filled = [
        name
        for name, known in (("email", existing.email), ("city", existing.city))
        if getattr(record, name) and not known
    ]
    if is_better_number(existing, record):
        filled.append("phone")
    return tuple(filled)


def is_better_number(existing: ProspectRecord, record: ParsedImportRow) -> bool:
    """Return whether the number of a record is mobile, and that of the prospect is not."""
    return (
        record.phone is not None
        and record.line_type in REACHABLE_LINE_TYPES
        and existing.line_type not in REACHABLE_LINE_TYPES
    )


def _list_new_fields(
    reader: Reader, existing: ProspectRecord, record: ParsedImportRow
) -> tuple[str, ...]:
    if not record.fields:
        return ()
    known = prospect_fields.list_prospect_fields(reader, [existing.id])[existing.id]
    return tuple(header for header in record.fields if header not in known)


def _get_recorded_permission(pieces: Sequence[Evidence]) -> ImportPermission:
    """Return the best permission on record from lists, of those later than the last refusal."""
    refusal = find_last_refusal(pieces)
    known = {
        each.value
        for each in pieces
        if each.kind is EvidenceKind.PERMISSION and (refusal is None or each.at > refusal.at)
    }
    return next(
        (granted for granted in _PERMISSIONS_BEST_FIRST if granted in known), ImportPermission.NONE
    )
