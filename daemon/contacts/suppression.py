"""Suppression: records who must not be written to, and lifts a suppression in two cases only.

Suppressing takes effect in the transaction that learns of the reason. It is lifted by the contact's
own opt-in, or by an audited correction of an operator's or an import's mistake.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.identity import parse_identity
from daemon.contacts.aliases import Aliases
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import ContactReopened, ContactSuppressed
from storage import audit, contacts, messages, suppressions
from storage.db import Database
from storage.journal import JournalAction, JournalEntry, SuppressionJournal
from storage.suppressions import CORRECTABLE_SOURCES, SuppressionRecord, SuppressionSource
from storage.tx import Reader, Tx

CONTACT_ID_PREFIX = "con_"
OPTED_IN_REASON = "opted in again, in a message"
_REPLAYED_REASON = "restored from the opt-out journal"


class SuppressionTarget(Struct, frozen=True):
    """The person that a suppression is about: every alias hash, and the contact if there is one."""

    hashes: tuple[str, ...]
    contact: str | None

    @property
    def audit_subject(self) -> str:
        """The id by which the audit refers to the person."""
        return self.contact or self.hashes[0]


class SuppressionResult(Struct, frozen=True):
    """The result of a suppression. ``new`` counts aliases that were not suppressed before."""

    contact: str | None
    new: int
    cancelled_messages: int


class SuppressionEntry(Struct, frozen=True):
    """One suppression of a list: a number, a hidden id or the hash of an alias, and the reason.

    ``said_at`` is when they asked for it, where the list says so.
    """

    source: SuppressionSource
    reason: str
    said_at: datetime | None = None
    target: str = ""
    alias_hash: str = ""


class SuppressionService:
    """Suppresses people and lifts suppressions, in the table and in the journal together.

    Methods with a ``tx`` run in the caller's transaction, the others in one of their own.
    """

    def __init__(
        self, database: Database, journal: SuppressionJournal, aliases: Aliases, clock: Clock
    ) -> None:
        self._database = database
        self._journal = journal
        self._aliases = aliases
        self._clock = clock

    async def suppress(
        self, target: str, *, source: SuppressionSource, reason: str, who: str
    ) -> SuppressionResult:
        """Suppress a contact (its id) or a number (E.164), and cancel their unsent messages."""
        done = await self.suppress_all([target], source=source, reason=reason, who=who)
        return done[0]

    async def suppress_all(
        self, targets: Sequence[str], *, source: SuppressionSource, reason: str, who: str
    ) -> list[SuppressionResult]:
        """Suppress all targets in one transaction; import long lists in batches."""
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> list[SuppressionResult]:
            people = [self.resolve_target(tx, target) for target in targets]
            return [
                self.enter(tx, person, source=source, reason=stated_reason, who=who, at=at)
                for person in people
            ]

        # A list may be long; a person's opt-out must not wait behind it.
        by_hand = source is not SuppressionSource.IMPORT
        return await self._database.write(job, urgent=by_hand, uses_ballast=by_hand)

    async def enter_all(
        self, entries: Sequence[SuppressionEntry], *, who: str
    ) -> list[SuppressionResult]:
        """Suppress everybody in these entries of a list, in one transaction."""
        at = self._clock.now()

        def job(tx: Tx) -> list[SuppressionResult]:
            return [
                self.enter(
                    tx,
                    SuppressionTarget((each.alias_hash,), None)
                    if each.alias_hash
                    else self.resolve_target(tx, each.target),
                    source=each.source,
                    reason=each.reason,
                    who=who,
                    at=at,
                    said_at=min(each.said_at, at) if each.said_at else None,
                )
                for each in entries
            ]

        # A list may be long; a person's opt-out must not wait behind it.
        return await self._database.write(job)

    @property
    def key_id(self) -> str:
        """The id of the key of the hashes: two installations with the same one share hashes."""
        return self._journal.key_id

    async def correct(self, target: str, *, who: str, reason: str) -> None:
        """Lift a suppression that an operator or an import made by mistake, with an audit entry.

        Raises :class:`Conflict` where the contact asked for it, or where none is in force.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> list[str]:
            person = self.resolve_target(tx, target)
            in_force = _list_in_force(tx, person)
            if not in_force:
                raise Conflict("They are not suppressed.", hint="There is nothing to correct.")
            if any(record.source not in CORRECTABLE_SOURCES for record in in_force):
                raise Conflict(
                    "They opted out themselves, so nobody here can undo it.",
                    hint="Only a message from them, such as START or ALTA, does.",
                )
            return _lift(
                tx, person, in_force, source="correction", reason=stated_reason, who=who, at=at
            )

        await self.journal_lifted(await self._database.write(job, urgent=True))

    async def check(self, target: str) -> Sequence[SuppressionRecord]:
        """Return the suppressions in force on a contact (its id) or a number (E.164)."""
        return await self._database.read(
            lambda reader: _list_in_force(reader, self.resolve_target(reader, target))
        )

    async def find_stop_reason(self, target: str) -> str | None:
        """Return why nothing goes to them until a person has decided: `minor` or `deceased`.

        None where they are not stopped.
        """

        def look(reader: Reader) -> str | None:
            person = self.resolve_target(reader, target)
            found = contacts.get_contact(reader, person.contact) if person.contact else None
            return found.stopped_reason if found else None

        return await self._database.read(look)

    async def iterate_records(self) -> AsyncIterator[SuppressionRecord]:
        """Yield every suppression in force, read in pages."""
        after = ""
        while page := await self._database.read(
            partial(suppressions.list_suppressions, after=after)
        ):
            for record in page:
                yield record
            after = page[-1].alias_hash

    async def replay_journal(self) -> int:
        """Restore suppressions that the journal has and the table lacks; return how many aliases.

        Call it at a start, before anything can be sent: after a restore the table may be older.
        """
        at = self._clock.now()

        def job(tx: Tx) -> int:
            missing = suppressions.restore_suppressions(
                tx, self._journal.entries(), reason=_REPLAYED_REASON
            )
            owners = suppressions.find_contacts_by_alias_hashes(tx, missing)
            for contact in sorted(set(owners.values())):
                self.extend_to_new_aliases(tx, contact, at=at)
            if missing:
                audit.insert_audit_entry(
                    tx,
                    at=at,
                    who="daemon",
                    action="suppressions_replayed",
                    subject="installation",
                    detail={"aliases": len(missing)},
                )
            return len(missing)

        return await self._database.write(job, urgent=True)

    def resolve_target(self, reader: Reader, target: str) -> SuppressionTarget:
        """Return the person of a contact's id, a number (E.164) or a hidden id (LID).

        Raises :class:`NotFound` for an unknown contact id.
        """
        if not target.startswith(CONTACT_ID_PREFIX):
            target_aliases = self._aliases.from_identities(parse_identity(target))
            found = (contacts.find_contact_by_alias(reader, alias.text) for alias in target_aliases)
            contact = next(filter(None, found), None)
            # Also the contact's other aliases: WhatsApp may report the next message under those.
            contact_aliases = contacts.list_aliases(reader, contact) if contact else []
            return SuppressionTarget(
                tuple(dict.fromkeys(alias.hash for alias in (*target_aliases, *contact_aliases))),
                contact,
            )
        contact = contacts.get_merged_contact(reader, target)
        hashes = tuple(alias.hash for alias in contacts.list_aliases(reader, contact))
        if not hashes:
            raise NotFound(f"There is no contact {target}.")
        return SuppressionTarget(hashes, contact)

    def enter(
        self,
        tx: Tx,
        person: SuppressionTarget,
        *,
        source: SuppressionSource,
        reason: str,
        who: str,
        at: datetime,
        said_at: datetime | None = None,
    ) -> SuppressionResult:
        """Suppress a person in this transaction: table, journal, audit; cancels unsent messages.

        ``said_at`` is when they asked for it, where that was before ``at``.
        """
        new = suppressions.suppress_aliases(
            tx,
            self._journal,
            person.hashes,
            contact=person.contact,
            source=source,
            reason=reason,
            at=said_at or at,
        )
        cancelled = _cancel_waiting(tx, person.contact, at) if person.contact else 0
        if new:
            audit.insert_audit_entry(
                tx,
                at=at,
                who=who,
                action="suppress",
                subject=person.audit_subject,
                reason=reason,
                detail={"source": source.value, "aliases": len(person.hashes)},
            )
            _emit_suppressed(tx, person, cancelled, source=source, reason=reason, at=at)
        return SuppressionResult(person.contact, new, cancelled)

    def extend_to_new_aliases(self, tx: Tx, contact: str, *, at: datetime) -> bool:
        """Suppress the contact's new aliases too; return whether the contact is suppressed.

        Call it whenever a contact may have got a new alias, or was merged with another.
        """
        in_force = suppressions.list_contact_suppressions(tx, contact)
        if not in_force:
            return False
        person = self.resolve_target(tx, contact)
        strongest = max(in_force, key=lambda record: record.source is SuppressionSource.CONTACT)
        self.enter(
            tx,
            person,
            source=strongest.source,
            reason=strongest.reason,
            who="daemon",
            at=at,
            said_at=strongest.at,
        )
        return True

    def reopen(self, tx: Tx, contact: str, *, at: datetime) -> list[str]:
        """Lift every suppression of a contact who opted in at ``at``; return the alias hashes.

        Give these to :meth:`journal_lifted` once this transaction is committed.
        """
        in_force = suppressions.list_contact_suppressions(tx, contact)
        # An opt-in from before the opt-out, as a replayed history brings one, lifts nothing.
        if not in_force or any(record.at >= at for record in in_force):
            return []
        person = self.resolve_target(tx, contact)
        return _lift(
            tx, person, in_force, source="contact", reason=OPTED_IN_REASON, who="contact", at=at
        )

    def correct_reading(
        self, tx: Tx, contact: str, *, who: str, reason: str, at: datetime
    ) -> list[str]:
        """Lift a suppression that rests on a misread message alone; return the alias hashes.

        Give these to :meth:`journal_lifted` once this transaction is committed. Raises
        :class:`Conflict` where they are not suppressed, or where somebody here suppressed them too.
        """
        in_force = suppressions.list_contact_suppressions(tx, contact)
        if not in_force:
            raise Conflict("They are not suppressed.", hint="There is nothing to correct.")
        own = all(record.source is SuppressionSource.CONTACT for record in in_force)
        if not own or _is_suppressed_by_us(tx, contact):
            raise Conflict(
                "They are on the opt-out list for another reason too.",
                hint="If that was a mistake, correct it: leadmaster suppress lift",
            )
        person = self.resolve_target(tx, contact)
        return _lift(tx, person, in_force, source="reading", reason=reason, who=who, at=at)

    async def journal_lifted(self, hashes: Sequence[str]) -> None:
        """Write a lifting to the journal, after its commit; does nothing without hashes."""
        # Not before the commit, or a crash in between would lose a suppression at the next restore.
        # After a crash here the table's lifting is newer than the journal's entry, and holds.
        if not hashes:
            return
        at = self._clock.now()
        entries = [
            JournalEntry(each, JournalAction.LIFTED, at, SuppressionSource.CONTACT)
            for each in hashes
        ]
        # By the writer's thread, because the journal may only be used by one.
        await self._database.write(lambda _tx: self._journal.append(entries), urgent=True)


def _lift(
    tx: Tx,
    person: SuppressionTarget,
    in_force: Sequence[SuppressionRecord],
    *,
    source: str,
    reason: str,
    who: str,
    at: datetime,
) -> list[str]:
    hashes = [record.alias_hash for record in in_force]
    suppressions.lift_suppressions(tx, hashes, at=at, reason=f"{source}: {reason}")
    audit.insert_audit_entry(
        tx, at=at, who=who, action="lift_suppression", subject=person.audit_subject, reason=reason
    )
    if person.contact:
        contacts.bump_contact_revision(tx, person.contact)
        tx.emit(ContactReopened(subject=person.contact, at=at, source=source, reason=reason))
    return hashes


def _is_suppressed_by_us(reader: Reader, contact: str) -> bool:
    """Return whether an operator or an import suppressed the contact, and nothing lifted that."""
    # A contact's own opt-out replaces the row of ours, so that only the audit still has it.
    suppressed = False
    for entry in audit.list_subject_audit_entries(reader, contact):
        if entry.action == "lift_suppression":
            suppressed = False
        elif entry.action == "suppress" and entry.detail.get("source") in CORRECTABLE_SOURCES:
            suppressed = True
    return suppressed


def _list_in_force(reader: Reader, person: SuppressionTarget) -> list[SuppressionRecord]:
    if person.contact:
        return suppressions.list_contact_suppressions(reader, person.contact)
    return suppressions.list_suppressions_by_hash(reader, person.hashes)


def _emit_suppressed(
    tx: Tx,
    person: SuppressionTarget,
    cancelled: int,
    *,
    source: SuppressionSource,
    reason: str,
    at: datetime,
) -> None:
    """Emit ``contact.suppressed``, where there is a contact."""
    if person.contact:
        tx.emit(
            ContactSuppressed(
                subject=person.contact,
                at=at,
                source=source.value,
                reason=reason,
                aliases=len(person.hashes),
                cancelled_messages=cancelled,
            )
        )


def _cancel_waiting(tx: Tx, contact: str, at: datetime) -> int:
    """Cancel the contact's unsent messages, and make every open decision on them stale."""
    contacts.bump_contact_revision(tx, contact)
    return messages.cancel_unsent_messages(
        tx,
        contact,
        at=at,
        reason_code="suppressed",
        sentence="They are on the opt-out list.",
        who="suppression",
        commercial_only=False,
    )
