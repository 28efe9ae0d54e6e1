"""Lists for number checks: sessions that can check, waiting prospects and messages, expiries."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from msgspec import Struct

from statemachines.message import MessageState
from statemachines.prospect import CHECKABLE_STATES, DECIDED_STATES, ValidationState
from statemachines.session import BLOCKING_STATES, CAN_SEND_STATES, ConnectionState, PhoneState
from statemachines.vocabulary import NumberCheckBlock, WaitsFor
from storage import evidence
from storage.column_formats import format_timestamp, parse_timestamp
from storage.console_queries import WaitingCount
from storage.evidence import Evidence, EvidenceKind
from storage.messages import MessageRecord, message_from_row
from storage.prospects import ProspectRecord, prospect_from_row
from storage.sql_text import format_sql_list
from storage.tx import Reader, Tx

NOT_ON_WHATSAPP: Final = "not_on_whatsapp"
"""The reason code of a channel for a recipient that is not on WhatsApp."""
WAITS_FOR_CHECK = f"m.state = '{MessageState.DEFERRED}' AND m.waits_for = '{WaitsFor.CHECKED}'"
"""SQL for a message ``m`` that waits until its number is checked or validated."""


class CheckSession(Struct, frozen=True):
    """A linked session whose channel checks numbers, and when its phone was first linked here."""

    session: str
    channel: str
    phone: str
    linked_at: datetime
    time_zone: str
    connection: ConnectionState

    @property
    def connected(self) -> bool:
        """Whether it is connected, so that it can check numbers now."""
        return self.connection in CAN_SEND_STATES


def list_check_sessions(reader: Reader, channels: Collection[str]) -> list[CheckSession]:
    """Return the sessions of these channels that check numbers now or soon, longest linked first.

    Left out are those that a person has to bring back: stopped and unlinked ones, banned numbers.
    """
    marks = ", ".join("?" for _ in channels)
    rows = reader.all(
        "SELECT s.name, s.channel, s.phone, n.first_linked_at, s.time_zone, s.connection"
        " FROM sessions AS s JOIN numbers AS n ON n.phone = s.phone"
        f" WHERE s.connection NOT IN {format_sql_list(BLOCKING_STATES)}"
        f" AND s.phone_state <> '{PhoneState.UNLINKED}'"
        f" AND s.deleted_at IS NULL AND n.banned_at IS NULL AND s.channel IN ({marks})"
        " ORDER BY n.first_linked_at, s.name",
        tuple(channels),
    )
    return [
        CheckSession(
            row["name"],
            row["channel"],
            row["phone"],
            parse_timestamp(row["first_linked_at"]),
            row["time_zone"],
            ConnectionState(row["connection"]),
        )
        for row in rows
    ]


def list_messages_with_outdated_check_block(
    reader: Reader, block: NumberCheckBlock | None, due_at: datetime | None, limit: int
) -> list[str]:
    """Return messages that wait for a check and name another block, or another time of its end."""
    rows = reader.all(
        f"SELECT m.id FROM messages AS m WHERE {WAITS_FOR_CHECK}"
        " AND (m.blocked_by IS NOT ? OR m.due_at IS NOT ?) ORDER BY m.created_at, m.id LIMIT ?",
        (block, due_at and format_timestamp(due_at), limit),
    )
    return [row["id"] for row in rows]


def list_prospects_awaiting_check(
    reader: Reader, *, checked_before: datetime, limit: int
) -> list[str]:
    """Return prospects whose messages wait for a check, in the order of the oldest message.

    Those checked after ``checked_before`` are left out.
    """
    # Checked and still checkable: that check had no answer, and is repeated only after a while.
    rows = reader.all(
        "SELECT p.id FROM prospects AS p JOIN messages AS m ON m.contact = p.contact"
        f" WHERE {WAITS_FOR_CHECK}"
        f" AND p.validation IN {format_sql_list(CHECKABLE_STATES)}"
        " AND (p.checked_at IS NULL OR p.checked_at <= ?)"
        " GROUP BY p.id ORDER BY min(m.created_at), p.id LIMIT ?",
        (format_timestamp(checked_before), limit),
    )
    return [row["id"] for row in rows]


def list_contacts_with_answered_check(reader: Reader) -> list[str]:
    """Return contacts whose messages wait for a check although its answer is stored."""
    rows = reader.all(
        "SELECT DISTINCT m.contact FROM messages AS m JOIN prospects AS p ON p.contact = m.contact"
        f" WHERE {WAITS_FOR_CHECK}"
        f" AND p.validation IN {format_sql_list(DECIDED_STATES)}"
    )
    return [row["contact"] for row in rows]


def list_expired_prospects(reader: Reader, at: datetime, limit: int) -> list[ProspectRecord]:
    """Return validated prospects whose validation has expired."""
    rows = reader.all(
        f"SELECT * FROM prospects WHERE validation = '{ValidationState.VALIDATED}'"
        " AND expires_at <= ?"
        " ORDER BY expires_at LIMIT ?",
        (format_timestamp(at), limit),
    )
    return [prospect_from_row(row) for row in rows]


def list_undelivered_given_numbers(
    reader: Reader, before: datetime, limit: int
) -> list[tuple[ProspectRecord, Evidence]]:
    """Return prospects whose number was given as WhatsApp and failed since, with the statement.

    Failed: a message sent by ``before`` has not arrived, or one was refused because the number is
    not on WhatsApp.
    """
    # `e.at = p.validated_at`: the present validation rests on the statement and on nothing newer.
    rows = reader.all(
        "SELECT p.*, e.id AS given FROM prospects AS p JOIN evidence AS e"
        f" ON e.contact = p.contact AND e.kind = '{EvidenceKind.GIVEN_AS_WHATSAPP}'"
        f" AND e.at = p.validated_at WHERE p.validation = '{ValidationState.VALIDATED}'"
        " AND EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = p.contact"
        f" AND ((m.state = '{MessageState.SENT}' AND m.sent_at >= e.at AND m.sent_at <= ?)"
        f" OR (m.state = '{MessageState.FAILED}' AND m.reason_code = '{NOT_ON_WHATSAPP}'"
        " AND m.changed_at >= e.at)))"
        " ORDER BY p.id, e.id LIMIT ?",
        (format_timestamp(before), limit),
    )
    found = [(prospect_from_row(row), evidence.get_evidence(reader, row["given"])) for row in rows]
    return [(prospect, given) for prospect, given in found if given is not None]


def list_unanswered_checks(reader: Reader, before: datetime, limit: int) -> list[ProspectRecord]:
    """Return prospects whose check began before a moment and got no answer."""
    # While checking, `updated_at` is when the check began.
    rows = reader.all(
        f"SELECT * FROM prospects WHERE validation = '{ValidationState.CHECKING}'"
        " AND updated_at <= ?"
        " ORDER BY updated_at LIMIT ?",
        (format_timestamp(before), limit),
    )
    return [prospect_from_row(row) for row in rows]


def list_unannounced_expiries(reader: Reader, until: datetime, limit: int) -> list[MessageRecord]:
    """Return messages that wait for a check, expire by ``until`` and were not announced yet."""
    rows = reader.all(
        f"SELECT m.* FROM messages AS m WHERE {WAITS_FOR_CHECK} AND m.expiry_announced_at IS NULL"
        " AND m.not_after <= ? ORDER BY m.not_after, m.id LIMIT ?",
        (format_timestamp(until), limit),
    )
    return [message_from_row(row) for row in rows]


def mark_expiry_announced(tx: Tx, message: str, at: datetime) -> None:
    """Mark the expiry of a message as announced, so that it is announced once only."""
    tx.execute(
        "UPDATE messages SET expiry_announced_at = ? WHERE id = ?", (format_timestamp(at), message)
    )


def count_expiring_messages(reader: Reader, until: datetime) -> WaitingCount:
    """Return how many messages that wait for a check expire by ``until``, and since when."""
    row = reader.one(
        "SELECT count(*) AS n, min(m.changed_at) AS since FROM messages AS m"
        f" WHERE {WAITS_FOR_CHECK} AND m.not_after <= ?",
        (format_timestamp(until),),
    )
    if row is None or row["since"] is None:
        return WaitingCount(0, None)
    return WaitingCount(row["n"], parse_timestamp(row["since"]))
