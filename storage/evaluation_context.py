"""Reads what the gate needs to judge a message: contact, session, history, first-contact rates."""

from __future__ import annotations

import itertools
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar, cast

from msgspec import Struct

from statemachines.message import CANCELLABLE_STATES, MAYBE_LEFT_STATES
from statemachines.vocabulary import BlockedBy, BuiltinChannel, MessageKind
from storage import (
    contacts,
    decisions,
    do_not_call,
    evidence,
    halts,
    imports,
    prospect_reviews,
    prospects,
    spends,
    suppressions,
)
from storage.column_formats import format_timestamp, parse_timestamp
from storage.evidence import EvidenceKind
from storage.first_contacts import NO_ANSWERS, get_first_contact_rates
from storage.numbers import find_number
from storage.session_queue import get_channel_block, session_block_from_row
from storage.sql_text import format_sql_list
from storage.texts import find_approved_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from storage.contacts import HoldScope
    from storage.evidence import Evidence
    from storage.first_contacts import FirstContactRates
    from storage.messages import MessageRecord
    from storage.numbers import PhoneNumberRecord
    from storage.prospect_reviews import ProspectReview
    from storage.prospects import ProspectRecord
    from storage.texts import ApprovedText
from storage.tx import Reader

T = TypeVar("T")
_REPLY_WINDOW = timedelta(hours=24)

_MAYBE_LEFT = format_sql_list(MAYBE_LEFT_STATES)
_MAYBE_LEFT_OR_CANCELLABLE = format_sql_list(MAYBE_LEFT_STATES | CANCELLABLE_STATES)
_IN_TOUCH = format_sql_list({EvidenceKind.INBOUND, EvidenceKind.OWN_MESSAGE})
# When a message left. Not `changed_at` alone: a receipt that came later would make it younger.
_LEFT_AT = "coalesce(sent_at, changed_at)"

_COMPARED_TEXTS = 50
"""How many of the latest texts to other contacts a commercial message is compared with."""


class SessionContext(Struct, frozen=True):
    """The session that would send a message, and the limits of its phone number."""

    name: str
    channel: str
    connection: str
    sending: str
    phone: str | None
    time_zone: str
    number: PhoneNumberRecord | None
    other_banned_at: datetime | None
    """When another number of the installation was banned last, seen here or reported."""
    new_chats_24h: int
    block: BlockedBy | None
    """Why this session can't send, whatever the rules allow; None where it can."""

    @property
    def linked_at(self) -> datetime | None:
        """Return when the number was linked here for the first time."""
        return self.number.first_linked_at if self.number else None

    @property
    def banned(self) -> bool:
        """Return whether the number is banned, and nobody has acknowledged that."""
        return self.number is not None and self.number.banned_at is not None

    def get_block(self, channel: str) -> BlockedBy | None:
        """Return why messages of a channel can't be sent through this session, or None."""
        by_hand = channel == BuiltinChannel.MANUAL
        return get_channel_block(self.block, by_hand=by_hand, number_banned=self.banned)


class PastSend(Struct, frozen=True):
    """When a message to the contact left, or may have left, and whether it was commercial."""

    at: datetime
    commercial: bool


class ContactHistory(Struct, frozen=True):
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


class RegisterContext(Struct, frozen=True):
    """What the do-not-call registers in force say of the contact.

    ``age_days`` is that of the register of the number's country; None where there is none.
    """

    listed: bool
    age_days: int | None


class EvaluationContext(Struct, frozen=True):
    """The rows that one message is judged on, as of ``at``.

    ``revision`` is compared by the release transaction. ``reviewed`` is the person's decision on
    the prospect that is in force. ``first_contacts`` are the rates of the session's number.
    ``campaign_sent`` is None without a campaign. ``approved_text`` is the version that the message
    names, if a person approved it. ``origin_in_words`` is where their number is from, as
    one would say it to them.
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
    approved_text: ApprovedText | None
    origin_in_words: str


_TABLES_OF_FEW: Final = ("messages", "inbound", "prospect_reviews")
"""Tables in which most contacts of a list have no row."""
_REGISTER: Final = "do_not_call_numbers"


class SharedRows:
    """Rows that the contexts of many messages share, each read once.

    For messages that are judged together as of one moment; not for longer than that.
    """

    def __init__(self) -> None:
        self._found: dict[object, object] = {}
        self._noted: set[str] = set()
        self._with_rows: dict[str, set[str]] = {}

    def note_contacts(self, reader: Reader, contacts: Collection[str]) -> None:
        """Find out which of these contacts have rows, so that nobody looks for those of others."""
        asked = json.dumps(list(contacts))
        for table in _TABLES_OF_FEW:
            self._with_rows[table] = {
                row["contact"]
                for row in reader.all(
                    f"SELECT DISTINCT contact FROM {table}"
                    " WHERE contact IN (SELECT value FROM json_each(?))",
                    (asked,),
                )
            }
        self._with_rows[_REGISTER] = do_not_call.list_in_register(reader, contacts)
        self._noted = set(contacts)

    def may_have(self, table: str, contact: str) -> bool:
        """Return whether a contact has rows in a table, or nobody has found out."""
        return contact not in self._noted or contact in self._with_rows[table]

    def get(self, key: tuple[object, ...], read: Callable[[], T]) -> T:
        """Return what was read for a key, or read it."""
        if key not in self._found:
            self._found[key] = read()
        return cast("T", self._found[key])


def read_evaluation_context(
    reader: Reader, message: MessageRecord, at: datetime, shared: SharedRows | None = None
) -> EvaluationContext:
    """Return the context of a message, all from the reader's one consistent state.

    Contexts that are read with the same ``shared`` have the rows in common that are not the
    contact's own.
    """
    contact, rows = message.contact, shared or SharedRows()
    session = rows.get(
        ("session", message.session), lambda: read_session_context(reader, message.session, at)
    )
    number = session.phone or session.name
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
        reviewed=prospect_reviews.get_current_prospect_review(reader, contact, at)
        if rows.may_have("prospect_reviews", contact)
        else None,
        approved=rows.may_have("messages", contact) and _is_approved(reader, message, at),
        halted=rows.get(("halt",), lambda: halts.get_current_halt(reader) is not None),
        session=session,
        first_contacts=rows.get(
            ("rates", number), lambda: get_first_contact_rates(reader, number, at)
        ),
        history=_read_contact_history(reader, message, at, rows),
        campaign_sent=_count_campaign_messages(reader, message.campaign, rows),
        register=_read_register_context(reader, contact, prospect, at, rows),
        approved_text=_find_approved_text(reader, message.template, rows),
        origin_in_words=_get_origin_in_words(reader, prospect, rows),
    )


def _get_origin_in_words(reader: Reader, prospect: ProspectRecord | None, rows: SharedRows) -> str:
    if prospect is None:
        return ""
    import_id = prospect.import_id
    return rows.get(("origin", import_id), lambda: imports.get_origin_in_words(reader, import_id))


def _is_approved(reader: Reader, message: MessageRecord, at: datetime) -> bool:
    return decisions.is_message_approved(
        reader,
        message=message.id,
        body_hash=message.body_hash,
        recipient=message.recipient,
        channel=message.channel,
        at=at,
    )


def _read_register_context(
    reader: Reader,
    contact: str,
    prospect: ProspectRecord | None,
    at: datetime,
    rows: SharedRows,
) -> RegisterContext:
    country = prospect.country if prospect else None
    found = (
        rows.get(("register", country), lambda: do_not_call.get_register_in_force(reader, country))
        if country
        else None
    )
    # By the date in UTC: a day more or less is the strict side of no law that we know.
    age = max(0, (at.date() - found.dated).days) if found else None
    listed = rows.may_have(_REGISTER, contact) and do_not_call.is_in_register(reader, contact)
    return RegisterContext(listed, age)


def read_session_context(reader: Reader, name: str, at: datetime) -> SessionContext:
    """Return the context of a session. Raises KeyError for an unknown name."""
    row = reader.one(
        # `IS NOT`, because a reported ban has no number.
        "SELECT s.*, (SELECT max(b.at) FROM bans AS b WHERE b.phone IS NULL"
        " OR b.phone IS NOT s.phone) AS other_banned_at FROM sessions AS s WHERE s.name = ?",
        (name,),
    )
    if row is None:
        raise KeyError(name)
    since = at - timedelta(hours=24)
    return SessionContext(
        name=name,
        channel=row["channel"],
        connection=row["connection"],
        sending=row["sending"],
        phone=row["phone"],
        time_zone=row["time_zone"],
        number=find_number(reader, row["phone"]) if row["phone"] else None,
        other_banned_at=parse_timestamp(row["other_banned_at"]) if row["other_banned_at"] else None,
        # By number, not by session: a second session of the same phone shares its budget.
        new_chats_24h=spends.count_spends(
            reader, row["phone"] or name, spends.SpendKind.NEW_CHAT, since
        ),
        block=session_block_from_row(row),
    )


def _count_campaign_messages(reader: Reader, campaign: str | None, rows: SharedRows) -> int | None:
    if not campaign:
        return None

    def count() -> int:
        n: int = reader.value(
            f"SELECT count(*) FROM messages WHERE campaign = ? AND state IN {_MAYBE_LEFT}",
            (campaign,),
        )
        return n

    return rows.get(("campaign", campaign), count)


def _find_approved_text(
    reader: Reader, template: str | None, rows: SharedRows
) -> ApprovedText | None:
    return rows.get(("text", template), lambda: find_approved_text(reader, template))


def _read_contact_history(
    reader: Reader, message: MessageRecord, at: datetime, shared: SharedRows
) -> ContactHistory:
    contact, sent, answered, duplicate = message.contact, [], None, False
    if shared.may_have("messages", contact):
        sent = _list_sends(reader, message)
        duplicate = _is_duplicate(reader, message, at - timedelta(days=30))
    if shared.may_have("inbound", contact):
        sent += _list_imported_sends(reader, contact)
        answered = reader.value(
            "SELECT max(at) FROM inbound WHERE contact = ? AND own = 0 AND conversation = 1",
            (contact,),
        )
    return ContactHistory(
        sent=tuple(sorted(sent, key=lambda each: each.at)),
        answered_at=parse_timestamp(answered) if answered else None,
        duplicate=duplicate,
        recent_texts=_list_recent_texts(reader, message.contact, at - timedelta(days=1), shared),
    )


def _list_sends(reader: Reader, message: MessageRecord) -> list[PastSend]:
    """Return what left, or may have left, to the contact, but for the message itself."""
    rows = reader.all(
        f"SELECT {_LEFT_AT} AS left_at, kind = '{MessageKind.COMMERCIAL}' AS commercial"
        f" FROM messages WHERE contact = ? AND id <> ? AND state IN {_MAYBE_LEFT}",
        (message.contact, message.id),
    )
    return [PastSend(parse_timestamp(row["left_at"]), bool(row["commercial"])) for row in rows]


def _list_imported_sends(reader: Reader, contact: str) -> list[PastSend]:
    """Return what a former system sent to the contact.

    What it wrote within a day after an answer of theirs was a reply; everything else counts as
    commercial.
    """
    sent = reader.all(
        "SELECT at FROM inbound WHERE contact = ? AND own = 1 AND origin = 'imported'", (contact,)
    )
    if not sent:
        return []
    theirs = reader.all(
        "SELECT at FROM inbound WHERE contact = ? AND own = 0 AND conversation = 1"
        f" AND request NOT IN {NO_ANSWERS}",
        (contact,),
    )
    written = [parse_timestamp(row["at"]) for row in theirs]
    return [
        PastSend(at, commercial=not any(each <= at <= each + _REPLY_WINDOW for each in written))
        for at in (parse_timestamp(row["at"]) for row in sent)
    ]


def was_ever_in_touch(reader: Reader, contact: str) -> bool:
    """Return whether there was a message between us and a contact, in either direction."""
    found = reader.value(
        f"SELECT 1 FROM messages WHERE contact = :contact AND state IN {_MAYBE_LEFT}"
        " UNION ALL SELECT 1 FROM inbound WHERE contact = :contact AND own = 1"
        " AND origin = 'imported' UNION ALL SELECT 1 FROM evidence WHERE contact = :contact"
        f" AND kind IN {_IN_TOUCH} LIMIT 1",
        {"contact": contact},
    )
    return bool(found)


def _is_duplicate(reader: Reader, message: MessageRecord, since: datetime) -> bool:
    """Return whether an older message with the same text went to the contact, or still may."""
    # Only older ones (ids sort by time): of two equal messages in the queue the first may be sent.
    found = reader.value(
        "SELECT 1 FROM messages WHERE contact = ? AND id < ? AND body_hash = ?"
        f" AND state IN {_MAYBE_LEFT_OR_CANCELLABLE} AND created_at > ?",
        (message.contact, message.id, message.body_hash, format_timestamp(since)),
    )
    return bool(found)


def _list_recent_texts(
    reader: Reader, contact: str, since: datetime, shared: SharedRows
) -> tuple[str, ...]:
    """Return the texts of the latest commercial messages to others, newest first."""
    rows = shared.get(("recent",), lambda: _read_recent_texts(reader, since))
    texts = (text for recipient, text in rows if recipient != contact)
    return tuple(itertools.islice(texts, _COMPARED_TEXTS))


def _read_recent_texts(reader: Reader, since: datetime) -> list[tuple[str, str]]:
    """Return contact and text of the latest commercial messages, newest first."""
    # INDEXED BY, because the planner would otherwise scan everything that ever left. Twice as many
    # as are compared: no rules let half of them go to one contact in a day.
    rows = reader.all(
        "SELECT contact, text FROM messages INDEXED BY messages_sold_lately"
        f" WHERE kind = '{MessageKind.COMMERCIAL}'"
        f" AND state IN {_MAYBE_LEFT} AND {_LEFT_AT} > ? ORDER BY {_LEFT_AT} DESC LIMIT ?",
        (format_timestamp(since), 2 * _COMPARED_TEXTS),
    )
    return [(row["contact"], row["text"]) for row in rows]
