"""The `contacts` and `aliases` tables: people by any of their identifiers, and their merging."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.conversations import merge_conversations
from storage.ids import new_id
from storage.prospect_fields import move_prospect_fields
from storage.suppressions import link_suppressions
from storage.tx import Reader, Tx

_CONTACT_TABLES: Final = (
    "aliases",
    "campaign_exclusions",
    "campaign_people",
    "dry_run_people",
    "delivery_rows",
    "evidence",
    "inbound",
    "inbound_reviews",
    "messages",
    "outcomes",
    "prospect_reviews",
    "quarantined_signals",
    "receipts",
    "share_questions",
    "suppressions",
)
"""Tables whose rows move when a contact is merged into another."""


class AliasKind(StrEnum):
    """The kind of identifier that an alias is."""

    PHONE = "phone"
    LID = "lid"
    BSUID = "bsuid"


class Alias(Struct, frozen=True):
    """One identifier of a contact; ``hash`` is the suppression journal's keyed hash of ``text``."""

    text: str
    hash: str
    kind: AliasKind

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return f"Alias({self.kind.value})"


class HoldScope(StrEnum):
    """Which messages to a contact wait for a person."""

    COMMERCIAL = "commercial"
    ALL = "all"
    """Replies too; the confirmation of an opt-out goes."""


class ContactRecord(Struct, frozen=True):
    """A contact as stored.

    ``review_reason`` is why a person should look, and ``hold_scope`` which messages wait for that.
    ``stopped_reason`` is why nothing goes to them until a person has decided.
    """

    id: str
    created_at: datetime
    revision: int
    merged_into: str | None
    review_reason: str | None
    hold_scope: HoldScope | None
    stopped_reason: str | None


def resolve_contact(tx: Tx, aliases: Sequence[Alias], at: datetime) -> str:
    """Return the one contact of these aliases; adds what is missing, merges what is split.

    Aliases that belonged to several contacts show that these are one person: the younger contacts
    are merged into the eldest.
    """
    known = _find_owners(tx, aliases)
    owners = sorted(set(known.values()), key=lambda owner: _contact_age(tx, owner))
    contact = owners[0] if owners else _insert_contact(tx, at)
    for younger in owners[1:]:
        _merge_contacts(tx, elder=contact, younger=younger)
    missing = [alias for alias in aliases if alias.text not in known]
    _insert_aliases(tx, [(contact, alias) for alias in missing])
    # They may have been suppressed when nothing but their hashes was known.
    link_suppressions(tx, contact, [alias.hash for alias in missing])
    # A new alias of a known contact may be suppressed: what was judged before has to be again.
    if owners and missing:
        bump_contact_revision(tx, contact)
    return contact


def insert_contacts(tx: Tx, people: Mapping[str, Sequence[Alias]], at: datetime) -> None:
    """Store new contacts by their ids, with aliases that nobody has and nobody suppressed."""
    created_at = format_timestamp(at)
    tx.execute_many(
        "INSERT INTO contacts (id, created_at) VALUES (?, ?)",
        [(contact, created_at) for contact in people],
    )
    _insert_aliases(
        tx, [(contact, alias) for contact, aliases in people.items() for alias in aliases]
    )


def _insert_aliases(tx: Tx, owned: Sequence[tuple[str, Alias]]) -> None:
    tx.execute_many(
        "INSERT INTO aliases (alias, alias_hash, contact, kind) VALUES (?, ?, ?, ?)",
        [
            (alias.text, bytes.fromhex(alias.hash), contact, alias.kind.value)
            for contact, alias in owned
        ],
    )


def find_known_aliases(reader: Reader, texts: Sequence[str]) -> set[str]:
    """Return those of these aliases that a contact has."""
    rows = reader.all(
        "SELECT alias FROM aliases WHERE alias IN (SELECT value FROM json_each(?))",
        (json.dumps(list(texts)),),
    )
    return {row["alias"] for row in rows}


def find_contact_by_alias(reader: Reader, alias: str) -> str | None:
    """Return the contact that has this alias, or None."""
    contact: str | None = reader.value("SELECT contact FROM aliases WHERE alias = ?", (alias,))
    return contact


def find_contact_by_aliases(reader: Reader, aliases: Sequence[Alias]) -> str | None:
    """Return the contact of the first of these aliases that is known, or None."""
    found = (find_contact_by_alias(reader, alias.text) for alias in aliases)
    return next(filter(None, found), None)


def find_owner_of_all(reader: Reader, aliases: Sequence[Alias]) -> str | None:
    """Return the contact that has every one of these aliases, or None."""
    owners = {find_contact_by_alias(reader, alias.text) for alias in aliases}
    return owners.pop() if len(owners) == 1 else None


def list_aliases(reader: Reader, contact: str) -> list[Alias]:
    """Return every alias of a contact, sorted by text."""
    rows = reader.all(
        "SELECT alias, alias_hash, kind FROM aliases WHERE contact = ? ORDER BY alias", (contact,)
    )
    return [Alias(row["alias"], row["alias_hash"].hex(), AliasKind(row["kind"])) for row in rows]


def get_contact(reader: Reader, contact: str) -> ContactRecord | None:
    """Return one contact as stored, or None."""
    row = reader.one("SELECT * FROM contacts WHERE id = ?", (contact,))
    if row is None:
        return None
    return ContactRecord(
        row["id"],
        parse_timestamp(row["created_at"]),
        row["revision"],
        row["merged_into"],
        row["review_reason"],
        HoldScope(row["hold_scope"]) if row["hold_scope"] else None,
        row["stopped_reason"],
    )


def get_merged_contact(reader: Reader, contact: str) -> str:
    """Return the contact that this one was merged into, or itself."""
    merged_into: str | None = reader.value(
        "SELECT merged_into FROM contacts WHERE id = ?", (contact,)
    )
    return merged_into or contact


def bump_contact_revision(tx: Tx, contact: str) -> None:
    """Count a change of the facts about a contact.

    The release transaction compares the number, and judges a message again where it grew.
    """
    tx.execute("UPDATE contacts SET revision = revision + 1 WHERE id = ?", (contact,))


def get_contact_revision(reader: Reader, contact: str) -> int:
    """Return how often facts about the contact have changed."""
    number: int = reader.value("SELECT revision FROM contacts WHERE id = ?", (contact,))
    return number


def list_contact_revisions(reader: Reader, contacts: Sequence[str]) -> dict[str, int]:
    """Return how often facts about each of these contacts have changed."""
    rows = reader.all(
        "SELECT id, revision FROM contacts WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(contacts)),),
    )
    return {row["id"]: row["revision"] for row in rows}


def request_contact_review(
    tx: Tx,
    contact: str,
    reason: str,
    at: datetime,
    *,
    scope: HoldScope = HoldScope.COMMERCIAL,
) -> None:
    """Hold messages to the contact until a person has reviewed it, for this reason.

    Decisions on the prospect from before ``at`` do not count any more. While all messages are held,
    a review that would hold fewer changes neither the reason nor the scope.
    """
    tx.execute(
        "UPDATE contacts SET review_asked_at = :at,"
        " review_reason = iif(hold_scope = :all AND :scope <> :all, review_reason, :reason),"
        " hold_scope = iif(hold_scope = :all, hold_scope, :scope) WHERE id = :contact",
        {
            "at": format_timestamp(at),
            "all": HoldScope.ALL.value,
            "scope": scope.value,
            "reason": reason,
            "contact": contact,
        },
    )
    bump_contact_revision(tx, contact)


def end_contact_review(tx: Tx, contact: str, *, reason: str | None = None) -> None:
    """End the contact's review; with ``reason``, only a review that was asked for that reason."""
    tx.execute(
        "UPDATE contacts SET review_reason = NULL, hold_scope = NULL"
        " WHERE id = :contact AND (:reason IS NULL OR review_reason = :reason)",
        {"contact": contact, "reason": reason},
    )
    bump_contact_revision(tx, contact)


def get_contact_hold(reader: Reader, contact: str) -> tuple[str | None, HoldScope | None]:
    """Return why a person should look, and which messages wait for that."""
    row = reader.one("SELECT review_reason, hold_scope FROM contacts WHERE id = ?", (contact,))
    if row is None:
        return None, None
    return row["review_reason"], HoldScope(row["hold_scope"]) if row["hold_scope"] else None


def stop_contact(tx: Tx, contact: str, reason: str) -> None:
    """Let nothing go to the contact, as if it were suppressed, until a person has decided."""
    tx.execute("UPDATE contacts SET stopped_reason = ? WHERE id = ?", (reason, contact))
    bump_contact_revision(tx, contact)


def lift_contact_stop(tx: Tx, contact: str) -> None:
    """Note that a person decided that the stop was a mistake."""
    tx.execute("UPDATE contacts SET stopped_reason = NULL WHERE id = ?", (contact,))
    bump_contact_revision(tx, contact)


def _find_owners(reader: Reader, aliases: Sequence[Alias]) -> dict[str, str]:
    """Return the owner of each alias that has one."""
    found = ((alias.text, find_contact_by_alias(reader, alias.text)) for alias in aliases)
    return {text: owner for text, owner in found if owner is not None}


def _contact_age(reader: Reader, contact: str) -> tuple[str, str]:
    created: str = reader.value("SELECT created_at FROM contacts WHERE id = ?", (contact,))
    return created, contact


def _insert_contact(tx: Tx, at: datetime) -> str:
    contact = new_id("con", at)
    tx.execute(
        "INSERT INTO contacts (id, created_at) VALUES (?, ?)", (contact, format_timestamp(at))
    )
    return contact


def _merge_contacts(tx: Tx, *, elder: str, younger: str) -> None:
    """Move everything of the younger contact to the elder."""
    _merge_prospects(tx, elder, younger)
    # Before the rows move: two copies of one message would break the unique key of `inbound`.
    _drop_repeated_inbound(tx, elder, younger)
    merge_conversations(tx, elder=elder, younger=younger)
    # `messages.in_flight_key` keeps the old contact: it is unique, and both may have one in flight.
    for table in _CONTACT_TABLES:
        tx.execute(
            f"UPDATE {table} SET contact = ? WHERE contact = ?",
            (elder, younger),
        )
    # More than either revision, so that a message of either contact is judged again.
    tx.execute(
        "UPDATE contacts SET revision = 1 + max(contacts.revision, other.revision),"
        " review_reason = coalesce(contacts.review_reason, other.review_reason),"
        # 'all' comes first in the alphabet: the wider of both.
        " hold_scope = min(coalesce(contacts.hold_scope, other.hold_scope),"
        " coalesce(other.hold_scope, contacts.hold_scope)),"
        " stopped_reason = coalesce(contacts.stopped_reason, other.stopped_reason),"
        " review_asked_at = nullif(max(coalesce(contacts.review_asked_at, ''),"
        " coalesce(other.review_asked_at, '')), '')"
        " FROM contacts AS other WHERE other.id = ? AND contacts.id = ?",
        (younger, elder),
    )
    # Also what was merged into the younger before: `merged_into` is one step, never a chain.
    tx.execute(
        "UPDATE contacts SET merged_into = :elder WHERE :younger IN (id, merged_into)",
        {"elder": elder, "younger": younger},
    )


def _drop_repeated_inbound(tx: Tx, elder: str, younger: str) -> None:
    """Delete the younger's copy of an inbound message that was stored for both contacts."""
    tx.execute(
        "DELETE FROM inbound WHERE contact = :younger AND EXISTS (SELECT 1 FROM inbound AS kept"
        " WHERE kept.contact = :elder AND kept.session = inbound.session"
        " AND kept.wire_id = inbound.wire_id)",
        {"elder": elder, "younger": younger},
    )


def _merge_prospects(tx: Tx, elder: str, younger: str) -> None:
    """Give the elder the younger's prospect; where both have one, merge the younger's into it."""
    kept, folded = (
        tx.one("SELECT * FROM prospects WHERE contact = ?", (contact,))
        for contact in (elder, younger)
    )
    if folded is None:
        return
    if kept is None:
        tx.execute("UPDATE prospects SET contact = ? WHERE contact = ?", (elder, younger))
        return
    tx.execute(
        "UPDATE prospects SET name = iif(name = '', :name, name),"
        " trade = iif(trade = '', :trade, trade), notes = iif(notes = '', :notes, notes),"
        " email = iif(email = '', :email, email), city = iif(city = '', :city, city)"
        " WHERE id = :kept",
        {
            **{key: folded[key] for key in ("name", "trade", "notes", "email", "city")},
            "kept": kept["id"],
        },
    )
    move_prospect_fields(tx, source=folded["id"], target=kept["id"])
    if (folded["checked_at"] or "") > (kept["checked_at"] or ""):
        _copy_check(tx, source=folded["id"], target=kept["id"])
    tx.execute(
        "UPDATE import_records SET prospect = ? WHERE prospect = ?", (kept["id"], folded["id"])
    )
    for table in ("campaign_exclusions", "campaign_people", "dry_run_people"):
        # Where both are in one, the folded one's row stays beside it, of nobody who can be shown.
        tx.execute(
            f"UPDATE OR IGNORE {table} SET prospect = ? WHERE prospect = ?",
            (kept["id"], folded["id"]),
        )
    tx.execute("DELETE FROM prospects WHERE id = ?", (folded["id"],))


def _copy_check(tx: Tx, *, source: str, target: str) -> None:
    """Copy the result of a number check, and the validation that follows from it."""
    columns = (
        "on_whatsapp, whatsapp_id, checked_at, check_attempts, validation,"
        " validado_tecnicamente, validated_at, expires_at"
    )
    tx.execute(
        f"UPDATE prospects SET ({columns}) = (SELECT {columns} FROM prospects WHERE id = ?)"
        " WHERE id = ?",
        (source, target),
    )
