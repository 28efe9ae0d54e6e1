"""Everything the gate has to know of the rows around one message, read in one consistent look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from storage import (
    contacts,
    decisions,
    evidence,
    first_contacts,
    halts,
    prospect_reviews,
    prospects,
    spends,
    suppressions,
)
from storage.times import parse, stamp

if TYPE_CHECKING:
    from storage.evidence import Evidence
    from storage.first_contacts import FirstContacts
    from storage.messages import MessageRecord
    from storage.prospect_reviews import ProspectReview
    from storage.prospects import ProspectRecord
    from storage.tx import Reader

_LEFT = "('sending', 'sent', 'delivered', 'read', 'confirmed_by_hand', 'in_doubt', 'revealed')"
_LEFT_AT = "coalesce(sent_at, changed_at)"
"""When a message left: a receipt that came later does not make it younger."""

_SIMILAR_TO = 50
"""How many of the latest texts to others a commercial message is compared with."""


@dataclass(frozen=True, slots=True)
class SessionCircumstances:
    """The session that would carry a message, and its phone number's standing."""

    name: str
    connection: str
    sending: str
    phone: str | None
    time_zone: str
    linked_at: datetime | None
    banned: bool
    new_chats_stopped: bool
    new_chats_24h: int


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """What went before between us and the contact; counts are of messages that left."""

    sent_24h: int
    sent_7d: int
    sent_30d: int
    ever: int
    unanswered: int
    duplicate: bool
    recent_texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """One message's surroundings at ``at``. ``revision`` is compared when it is released.

    ``reviewed`` is a person's word on the prospect that holds now. ``first_contacts`` are those
    of the session's number. ``campaign_sent`` is None without a campaign.
    """

    at: datetime
    contact: str
    revision: int
    prospect: ProspectRecord | None
    evidence: tuple[Evidence, ...]
    suppressed: bool
    review_reason: str | None
    reviewed: ProspectReview | None
    approved: bool
    halted: bool
    session: SessionCircumstances
    first_contacts: FirstContacts
    history: MessageHistory
    campaign_sent: int | None


def around(reader: Reader, message: MessageRecord, at: datetime) -> Circumstances:
    """Return the circumstances of a message as they are in this one read."""
    contact = message.contact
    session = of_session(reader, message.session, at)
    return Circumstances(
        at=at,
        contact=contact,
        revision=contacts.revision(reader, contact),
        prospect=prospects.of_contact(reader, contact),
        evidence=tuple(evidence.of_contact(reader, contact)),
        suppressed=suppressions.is_suppressed(reader, contact),
        review_reason=reader.value("SELECT review_reason FROM contacts WHERE id = ?", (contact,)),
        reviewed=prospect_reviews.standing(reader, contact, at),
        approved=decisions.is_approved(
            reader,
            message=message.id,
            body_hash=message.body_hash,
            recipient=message.recipient,
            channel=message.channel,
            at=at,
        ),
        halted=halts.current(reader) is not None,
        session=session,
        first_contacts=first_contacts.of_number(reader, session.phone or session.name, at),
        history=_history(reader, message, at),
        campaign_sent=_campaign_sent(reader, message.campaign),
    )


def of_session(reader: Reader, name: str, at: datetime) -> SessionCircumstances:
    """Return the session's standing; a KeyError for a name that is not there."""
    row = reader.one(
        "SELECT s.*, n.first_linked_at, n.banned_at, n.new_chats_stopped_at"
        " FROM sessions AS s LEFT JOIN numbers AS n ON n.phone = s.phone WHERE s.name = ?",
        (name,),
    )
    if row is None:
        raise KeyError(name)
    since = at - timedelta(hours=24)
    return SessionCircumstances(
        name=name,
        connection=row["connection"],
        sending=row["sending"],
        phone=row["phone"],
        time_zone=row["time_zone"],
        linked_at=parse(row["first_linked_at"]) if row["first_linked_at"] else None,
        banned=row["banned_at"] is not None,
        new_chats_stopped=row["new_chats_stopped_at"] is not None,
        new_chats_24h=spends.count(reader, row["phone"] or name, spends.Spend.NEW_CHAT, since),
    )


def _campaign_sent(reader: Reader, campaign: str | None) -> int | None:
    if not campaign:
        return None
    n: int = reader.value(
        f"SELECT count(*) FROM messages WHERE campaign = ? AND state IN {_LEFT}", (campaign,)
    )
    return n


def _history(reader: Reader, message: MessageRecord, at: datetime) -> MessageHistory:
    def left_since(days: float) -> int:
        since = stamp(at - timedelta(days=days))
        n: int = reader.value(
            "SELECT count(*) FROM messages WHERE contact = ? AND id <> ?"
            f" AND state IN {_LEFT} AND {_LEFT_AT} > ?",
            (message.contact, message.id, since),
        )
        return n

    answered = reader.value(
        "SELECT max(at) FROM inbound WHERE contact = ? AND own = 0", (message.contact,)
    )
    unanswered = reader.value(
        "SELECT count(*) FROM messages WHERE contact = ? AND id <> ?"
        f" AND state IN {_LEFT} AND {_LEFT_AT} > ?",
        (message.contact, message.id, answered or ""),
    )
    duplicate = reader.value(
        "SELECT 1 FROM messages WHERE contact = ? AND id < ? AND body_hash = ?"
        f" AND (state IN {_LEFT} OR state IN ('queued', 'cleared', 'held', 'deferred', 'taken'))"
        " AND created_at > ?",
        (message.contact, message.id, message.body_hash, stamp(at - timedelta(days=30))),
    )
    # By name: left to itself the planner walks through everything that ever left.
    texts = reader.all(
        "SELECT text FROM messages INDEXED BY messages_sold_lately"
        " WHERE contact <> ? AND kind = 'commercial'"
        f" AND state IN {_LEFT} AND {_LEFT_AT} > ? ORDER BY {_LEFT_AT} DESC LIMIT ?",
        (message.contact, stamp(at - timedelta(days=1)), _SIMILAR_TO),
    )
    return MessageHistory(
        sent_24h=left_since(1),
        sent_7d=left_since(7),
        sent_30d=left_since(30),
        ever=left_since(36500),
        unanswered=unanswered,
        duplicate=bool(duplicate),
        recent_texts=tuple(row["text"] for row in texts),
    )
