"""Reads what the gate needs to judge a message: contact, session, history, first-contact rates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from statemachines.message import CANCELLABLE_STATES, LEFT_STATES, MAYBE_LEFT_STATES, MessageState
from statemachines.vocabulary import BlockedBy, BuiltinChannel, MessageKind
from storage import (
    contacts,
    decisions,
    do_not_call,
    evidence,
    halts,
    prospect_reviews,
    prospects,
    spends,
    suppressions,
)
from storage.column_formats import format_timestamp, parse_timestamp
from storage.evidence import EvidenceKind
from storage.session_queue import get_channel_block, session_block_from_row
from storage.spends import FIRST_CONTACT_KINDS
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.contacts import HoldScope
    from storage.evidence import Evidence
    from storage.messages import MessageRecord
    from storage.prospect_reviews import ProspectReview
    from storage.prospects import ProspectRecord
    from storage.tx import Reader


LATEST_FIRST_CONTACTS: Final = 20
"""How many of a number's latest first contacts its rates are computed from."""
DELIVERED_WITHIN: Final = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(hours=72)

# A first contact that the platform reported as failed later has left, too: it counts in the rates.
_FIRST_CONTACT_LEFT = (
    f"(m.state IN {format_sql_list(LEFT_STATES)}"
    f" OR (m.state = '{MessageState.FAILED}' AND m.sent_at IS NOT NULL))"
)
_EVIDENCE_SINCE = "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = c.contact AND e.at >= c.at"
_IS_NOT_WITHDRAWN = (
    "NOT EXISTS (SELECT 1 FROM evidence AS w WHERE w.contact = e.contact"
    f" AND w.kind = '{EvidenceKind.WITHDRAWN}' AND w.value = CAST(e.id AS TEXT))"
)
_ANSWERED = f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.INBOUND}')"
_ANSWERED_WITHOUT_REFUSAL = (
    f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.INBOUND}'"
    " AND e.value NOT IN ('opt_out', 'declined', 'complaint', 'wrong_person', 'minor',"
    " 'deceased', 'unclear'))"
)
_COMPLAINED = f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.COMPLAINT}' AND {_IS_NOT_WITHDRAWN})"
# An answer proves that a message arrived, though no receipt came.
_UNDELIVERED = (
    f"(c.state = '{MessageState.FAILED}' OR (c.state = '{MessageState.SENT}' AND NOT {_ANSWERED}))"
)
_FIRST_CONTACT_KINDS = format_sql_list(FIRST_CONTACT_KINDS)


@dataclass(frozen=True, slots=True)
class FirstContactShare:
    """A count out of a total; ``total`` is `LATEST_FIRST_CONTACTS` at most."""

    count: int
    total: int


@dataclass(frozen=True, slots=True)
class FirstContactRates:
    """How the latest first contacts of a phone number went.

    ``answered``: they wrote back, and it was no refusal; of those at least `ANSWERED_WITHIN` old.
    ``undelivered``: failed, or no sign that it arrived; of those whose outcome is known or that are
    `DELIVERED_WITHIN` old; not of those sent by hand, for which no receipt comes.
    ``complained``: a complaint came afterwards; of all.
    """

    answered: FirstContactShare
    undelivered: FirstContactShare
    complained: FirstContactShare


def get_first_contact_rates(reader: Reader, phone: str, at: datetime) -> FirstContactRates:
    """Return the rates of a number (``phone``: as in `storage.spends`) as of ``at``."""
    times = {
        "phone": phone,
        "answered_by": format_timestamp(at - ANSWERED_WITHIN),
        "delivered_by": format_timestamp(at - DELIVERED_WITHIN),
    }
    settled = (
        f"m.state <> '{MessageState.CONFIRMED_BY_HAND}'"
        f" AND (m.state <> '{MessageState.SENT}' OR s.at <= :delivered_by)"
    )
    return FirstContactRates(
        answered=_count_share(reader, _ANSWERED_WITHOUT_REFUSAL, "s.at <= :answered_by", times),
        undelivered=_count_share(reader, _UNDELIVERED, settled, times),
        complained=_count_share(reader, _COMPLAINED, "TRUE", times),
    )


def _count_share(
    reader: Reader, counted: str, ripe: str, values: dict[str, str]
) -> FirstContactShare:
    row = reader.one(
        f"SELECT coalesce(sum({counted}), 0) AS n, count(*) AS latest FROM"
        " (SELECT m.contact, m.state, s.at FROM spends AS s JOIN messages AS m ON m.id = s.message"
        f" WHERE s.phone = :phone AND s.kind IN {_FIRST_CONTACT_KINDS}"
        f" AND s.message IS NOT NULL AND {_FIRST_CONTACT_LEFT} AND {ripe}"
        f" ORDER BY s.at DESC LIMIT {LATEST_FIRST_CONTACTS}) AS c",
        values,
    )
    return FirstContactShare(row["n"], row["latest"]) if row else FirstContactShare(0, 0)


_MAYBE_LEFT = format_sql_list(MAYBE_LEFT_STATES)
_MAYBE_LEFT_OR_CANCELLABLE = format_sql_list(MAYBE_LEFT_STATES | CANCELLABLE_STATES)
# When a message left. Not `changed_at` alone: a receipt that came later would make it younger.
_LEFT_AT = "coalesce(sent_at, changed_at)"

_COMPARED_TEXTS = 50
"""How many of the latest texts to other contacts a commercial message is compared with."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The session that would send a message, and the limits of its phone number."""

    name: str
    connection: str
    sending: str
    phone: str | None
    time_zone: str
    linked_at: datetime | None
    banned: bool
    new_chats_stopped: bool
    new_chats_24h: int
    block: BlockedBy | None
    """Why this session can't send, whatever the rules allow; None where it can."""

    def get_block(self, channel: str) -> BlockedBy | None:
        """Return why messages of a channel can't be sent through this session, or None."""
        by_hand = channel == BuiltinChannel.MANUAL
        return get_channel_block(self.block, by_hand=by_hand, number_banned=self.banned)


@dataclass(frozen=True, slots=True)
class PastSend:
    """When a message to the contact left, or may have left, and whether it was commercial."""

    at: datetime
    commercial: bool


@dataclass(frozen=True, slots=True)
class ContactHistory:
    """What was sent to the contact before, oldest first, and when the contact last answered.

    ``recent_texts`` are those of the latest commercial messages to others, newest first.
    """

    sent: tuple[PastSend, ...]
    answered_at: datetime | None
    duplicate: bool
    recent_texts: tuple[str, ...]

    @property
    def unanswered(self) -> tuple[PastSend, ...]:
        """Return what was sent since the contact last answered, oldest first."""
        since = self.answered_at
        return tuple(each for each in self.sent if since is None or each.at > since)


@dataclass(frozen=True, slots=True)
class RegisterContext:
    """What the do-not-call registers in force say of the contact.

    ``age_days`` is that of the register of the number's country; None where there is none.
    """

    listed: bool
    age_days: int | None


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """The rows that one message is judged on, as of ``at``.

    ``revision`` is compared by the release transaction. ``reviewed`` is the person's decision on
    the prospect that is in force. ``first_contacts`` are the rates of the session's number.
    ``campaign_sent`` is None without a campaign.
    """

    at: datetime
    contact: str
    revision: int
    prospect: ProspectRecord | None
    evidence: tuple[Evidence, ...]
    suppressed: bool
    review_reason: str | None
    hold_scope: HoldScope | None
    reviewed: ProspectReview | None
    approved: bool
    halted: bool
    session: SessionContext
    first_contacts: FirstContactRates
    history: ContactHistory
    campaign_sent: int | None
    register: RegisterContext


def read_evaluation_context(
    reader: Reader, message: MessageRecord, at: datetime
) -> EvaluationContext:
    """Return the context of a message, all from the reader's one consistent state."""
    contact = message.contact
    session = read_session_context(reader, message.session, at)
    review_reason, hold_scope = contacts.get_contact_hold(reader, contact)
    prospect = prospects.find_prospect_by_contact(reader, contact)
    return EvaluationContext(
        at=at,
        contact=contact,
        revision=contacts.get_contact_revision(reader, contact),
        prospect=prospect,
        evidence=tuple(evidence.list_contact_evidence(reader, contact)),
        suppressed=suppressions.is_contact_suppressed(reader, contact),
        review_reason=review_reason,
        hold_scope=hold_scope,
        reviewed=prospect_reviews.get_current_prospect_review(reader, contact, at),
        approved=decisions.is_message_approved(
            reader,
            message=message.id,
            body_hash=message.body_hash,
            recipient=message.recipient,
            channel=message.channel,
            at=at,
        ),
        halted=halts.get_current_halt(reader) is not None,
        session=session,
        first_contacts=get_first_contact_rates(reader, session.phone or session.name, at),
        history=_read_contact_history(reader, message, at),
        campaign_sent=_count_campaign_messages(reader, message.campaign),
        register=_read_register_context(reader, contact, prospect, at),
    )


def _read_register_context(
    reader: Reader, contact: str, prospect: ProspectRecord | None, at: datetime
) -> RegisterContext:
    country = prospect.country if prospect else None
    found = do_not_call.get_register_in_force(reader, country) if country else None
    # By the date in UTC: a day more or less is the strict side of no law that we know.
    age = max(0, (at.date() - found.dated).days) if found else None
    return RegisterContext(do_not_call.is_in_register(reader, contact), age)


def read_session_context(reader: Reader, name: str, at: datetime) -> SessionContext:
    """Return the context of a session. Raises KeyError for an unknown name."""
    row = reader.one(
        "SELECT s.*, n.first_linked_at, n.banned_at, n.new_chats_stopped_at"
        " FROM sessions AS s LEFT JOIN numbers AS n ON n.phone = s.phone WHERE s.name = ?",
        (name,),
    )
    if row is None:
        raise KeyError(name)
    since = at - timedelta(hours=24)
    return SessionContext(
        name=name,
        connection=row["connection"],
        sending=row["sending"],
        phone=row["phone"],
        time_zone=row["time_zone"],
        linked_at=parse_timestamp(row["first_linked_at"]) if row["first_linked_at"] else None,
        banned=row["banned_at"] is not None,
        new_chats_stopped=row["new_chats_stopped_at"] is not None,
        # By number, not by session: a second session of the same phone shares its budget.
        new_chats_24h=spends.count_spends(
            reader, row["phone"] or name, spends.SpendKind.NEW_CHAT, since
        ),
        block=session_block_from_row(row),
    )


def _count_campaign_messages(reader: Reader, campaign: str | None) -> int | None:
    if not campaign:
        return None
    n: int = reader.value(
        f"SELECT count(*) FROM messages WHERE campaign = ? AND state IN {_MAYBE_LEFT}", (campaign,)
    )
    return n


def _read_contact_history(reader: Reader, message: MessageRecord, at: datetime) -> ContactHistory:
    sent = reader.all(
        f"SELECT {_LEFT_AT} AS left_at, kind = '{MessageKind.COMMERCIAL}' AS commercial"
        f" FROM messages WHERE contact = ? AND id <> ? AND state IN {_MAYBE_LEFT} ORDER BY left_at",
        (message.contact, message.id),
    )
    answered = reader.value(
        "SELECT max(at) FROM inbound WHERE contact = ? AND own = 0 AND conversation = 1",
        (message.contact,),
    )
    return ContactHistory(
        sent=tuple(
            PastSend(parse_timestamp(row["left_at"]), bool(row["commercial"])) for row in sent
        ),
        answered_at=parse_timestamp(answered) if answered else None,
        duplicate=_is_duplicate(reader, message, at - timedelta(days=30)),
        recent_texts=_list_recent_texts(reader, message, at - timedelta(days=1)),
    )


def _is_duplicate(reader: Reader, message: MessageRecord, since: datetime) -> bool:
    """Return whether an older message with the same text went to the contact, or still may."""
    # Only older ones (ids sort by time): of two equal messages in the queue the first may be sent.
    found = reader.value(
        "SELECT 1 FROM messages WHERE contact = ? AND id < ? AND body_hash = ?"
        f" AND state IN {_MAYBE_LEFT_OR_CANCELLABLE} AND created_at > ?",
        (message.contact, message.id, message.body_hash, format_timestamp(since)),
    )
    return bool(found)


def _list_recent_texts(reader: Reader, message: MessageRecord, since: datetime) -> tuple[str, ...]:
    """Return the texts of the latest commercial messages to others, newest first."""
    # INDEXED BY, because the planner would otherwise scan everything that ever left.
    rows = reader.all(
        "SELECT text FROM messages INDEXED BY messages_sold_lately"
        f" WHERE contact <> ? AND kind = '{MessageKind.COMMERCIAL}'"
        f" AND state IN {_MAYBE_LEFT} AND {_LEFT_AT} > ? ORDER BY {_LEFT_AT} DESC LIMIT ?",
        (message.contact, format_timestamp(since), _COMPARED_TEXTS),
    )
    return tuple(row["text"] for row in rows)
