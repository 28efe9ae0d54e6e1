"""The tables `dry_runs` and `dry_run_people`: what a campaign would do, and for each person why.

The two latest of a campaign are kept: the one that a start rests on, and the one it is compared to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx

_KEPT: Final = 2


class DryRunRecord(Struct, frozen=True, kw_only=True):
    """A dry run as stored, without its people.

    ``per_day`` and ``left_today`` are first contacts by hand; ``days`` is how many days the budgets
    make it last, None where they allow none.
    """

    id: str
    campaign: str
    at: datetime
    who: str
    hash: str
    ruleset: str
    per_day: int
    left_today: int
    days: int | None


class DryRunPerson(Struct, frozen=True, kw_only=True):
    """What would become of one person, why, and the one action that changes it.

    ``revision`` is that of the facts it rests on.
    """

    prospect: str
    contact: str
    outlook: str
    reason_code: str
    sentence: str
    action: str
    first_contact: bool
    suppressed: bool
    revision: int


class ListedDryRunPerson(Struct, frozen=True, kw_only=True):
    """A person of a dry run with name and number, for a list."""

    prospect: str
    name: str
    phone: str
    outlook: str
    reason_code: str
    sentence: str
    action: str

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"ListedDryRunPerson({self.prospect!r}, {self.outlook})"


class DryRunGroup(Struct, frozen=True, kw_only=True):
    """How many people share an outlook and its reason."""

    outlook: str
    reason_code: str
    sentence: str
    action: str
    count: int


class DryRunChange(Struct, frozen=True, kw_only=True):
    """A person whose outlook is another one than in the dry run before."""

    prospect: str
    name: str
    before: str
    after: str
    opted_out: bool

    def __repr__(self) -> str:
        """Keep the name out of logs."""
        return f"DryRunChange({self.prospect!r})"


def insert_dry_run(
    tx: Tx,
    campaign: str,
    *,
    at: datetime,
    who: str,
    ruleset: str,
    per_day: int,
    left_today: int,
    days: int | None,
    hash_: str,
) -> str:
    """Store a dry run whose people follow, and return its id; it counts once it is finished."""
    id_ = new_id("dry", at)
    tx.execute(
        "INSERT INTO dry_runs (id, campaign, at, who, hash, ruleset, per_day, left_today, days)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (id_, campaign, format_timestamp(at), who, hash_, ruleset, per_day, left_today, days),
    )
    return id_


def insert_dry_run_people(tx: Tx, dry_run: str, people: Sequence[DryRunPerson]) -> None:
    """Store a batch of a dry run's people; of one who was erased meanwhile nothing is stored."""
    tx.execute_many(
        "INSERT INTO dry_run_people (dry_run, prospect, contact, outlook, reason_code, sentence,"
        " action, first_contact, suppressed, revision) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
        " WHERE EXISTS (SELECT 1 FROM prospects WHERE id = ?)",
        (
            (
                *(dry_run, each.prospect, each.contact, each.outlook, each.reason_code),
                *(each.sentence, each.action, int(each.first_contact), int(each.suppressed)),
                *(each.revision, each.prospect),
            )
            for each in people
        ),
    )


def finish_dry_run(tx: Tx, dry_run: str, campaign: str, *, at: datetime) -> None:
    """Let a dry run count, and delete all but the latest of its campaign."""
    tx.execute("UPDATE dry_runs SET finished_at = ? WHERE id = ?", (format_timestamp(at), dry_run))
    tx.execute(
        "DELETE FROM dry_runs WHERE campaign = :campaign AND id NOT IN (SELECT id FROM dry_runs"
        " WHERE campaign = :campaign AND finished_at IS NOT NULL ORDER BY id DESC LIMIT :kept)",
        {"campaign": campaign, "kept": _KEPT},
    )


def list_dry_runs(reader: Reader, campaign: str) -> list[DryRunRecord]:
    """Return the latest dry runs of a campaign, the newest first."""
    rows = reader.all(
        "SELECT * FROM dry_runs WHERE campaign = ? AND finished_at IS NOT NULL"
        " ORDER BY id DESC LIMIT ?",
        (campaign, _KEPT),
    )
    return [_dry_run_from_row(row) for row in rows]


def group_dry_run_people(reader: Reader, dry_run: str) -> list[DryRunGroup]:
    """Return how many people share an outlook and a reason, most first within an outlook."""
    rows = reader.all(
        "SELECT outlook, reason_code, sentence, action, count(*) AS n FROM dry_run_people"
        " WHERE dry_run = ? GROUP BY outlook, reason_code, sentence, action"
        " ORDER BY outlook, n DESC, reason_code, sentence",
        (dry_run,),
    )
    return [
        DryRunGroup(
            outlook=row["outlook"],
            reason_code=row["reason_code"],
            sentence=row["sentence"],
            action=row["action"],
            count=row["n"],
        )
        for row in rows
    ]


def list_dry_run_people(
    reader: Reader,
    dry_run: str,
    *,
    outlook: str = "",
    reason_code: str = "",
    after: str = "",
    limit: int = 50,
) -> list[ListedDryRunPerson]:
    """Return people of a dry run past the prospect ``after``, of one of its numbers if asked."""
    rows = reader.all(
        "SELECT d.*, p.name, p.phone FROM dry_run_people AS d"
        " LEFT JOIN prospects AS p ON p.id = d.prospect"
        " WHERE d.dry_run = :dry_run AND d.prospect > :after"
        " AND (:outlook = '' OR d.outlook = :outlook)"
        " AND (:reason_code = '' OR d.reason_code = :reason_code)"
        " ORDER BY d.prospect LIMIT :limit",
        {"dry_run": dry_run, "after": after, "limit": limit}
        | {"outlook": outlook, "reason_code": reason_code},
    )
    return [
        ListedDryRunPerson(
            prospect=row["prospect"],
            name=row["name"] or "",
            phone=row["phone"] or "",
            outlook=row["outlook"],
            reason_code=row["reason_code"],
            sentence=row["sentence"],
            action=row["action"],
        )
        for row in rows
    ]


def read_dry_run_people(reader: Reader, dry_run: str) -> list[DryRunPerson]:
    """Return everybody of a dry run, in the order of their prospects' creation."""
    rows = reader.all(
        "SELECT * FROM dry_run_people WHERE dry_run = ? ORDER BY prospect", (dry_run,)
    )
    return [
        DryRunPerson(
            prospect=row["prospect"],
            contact=row["contact"],
            outlook=row["outlook"],
            reason_code=row["reason_code"],
            sentence=row["sentence"],
            action=row["action"],
            first_contact=bool(row["first_contact"]),
            suppressed=bool(row["suppressed"]),
            revision=row["revision"],
        )
        for row in rows
    ]


def list_dry_run_changes(reader: Reader, dry_run: str, before: str) -> list[DryRunChange]:
    """Return whose outlook or reason differs from the dry run ``before``, by name."""
    rows = reader.all(
        "SELECT n.prospect, coalesce(p.name, '') AS name, o.sentence AS before,"
        " n.sentence AS after, n.suppressed > o.suppressed AS opted_out"
        " FROM dry_run_people AS n JOIN dry_run_people AS o"
        " ON o.dry_run = :before AND o.prospect = n.prospect"
        " LEFT JOIN prospects AS p ON p.id = n.prospect WHERE n.dry_run = :dry_run"
        " AND (o.outlook <> n.outlook OR o.reason_code <> n.reason_code)"
        " ORDER BY name, n.prospect",
        {"dry_run": dry_run, "before": before},
    )
    return [
        DryRunChange(
            prospect=row["prospect"],
            name=row["name"],
            before=row["before"],
            after=row["after"],
            opted_out=bool(row["opted_out"]),
        )
        for row in rows
    ]


def count_first_contacts(reader: Reader, dry_run: str) -> int:
    """Return how many first contacts of a dry run may go by hand."""
    n: int = reader.value(
        "SELECT count(*) FROM dry_run_people WHERE dry_run = ? AND first_contact = 1"
        " AND outlook = 'by_hand'",
        (dry_run,),
    )
    return n


def are_all_in_campaign(reader: Reader, dry_run: str) -> bool:
    """Return whether everybody of a dry run is in its campaign."""
    missing = reader.value(
        "SELECT 1 FROM dry_run_people AS p JOIN dry_runs AS d ON d.id = p.dry_run"
        " WHERE d.id = ? AND NOT EXISTS (SELECT 1 FROM campaign_people AS r"
        " WHERE r.campaign = d.campaign AND r.prospect = p.prospect) LIMIT 1",
        (dry_run,),
    )
    return missing is None


def count_moved_people(reader: Reader, dry_run: str) -> int:
    """Return of how many people facts have changed since a dry run, or who are gone."""
    n: int = reader.value(
        "SELECT count(*) FROM dry_run_people AS d LEFT JOIN contacts AS c ON c.id = d.contact"
        " LEFT JOIN prospects AS p ON p.id = d.prospect"
        " WHERE d.dry_run = ? AND (p.id IS NULL OR c.revision IS NOT d.revision)",
        (dry_run,),
    )
    return n


def _dry_run_from_row(row: sqlite3.Row) -> DryRunRecord:
    return DryRunRecord(
        id=row["id"],
        campaign=row["campaign"],
        at=parse_timestamp(row["at"]),
        who=row["who"],
        hash=row["hash"],
        ruleset=row["ruleset"],
        per_day=row["per_day"],
        left_today=row["left_today"],
        days=row["days"],
    )
