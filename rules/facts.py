"""The vocabulary of rules: every fact that a rule may name, with its type, range and meaning.

It is closed: a name that is not here is a problem in the rule file, with a did-you-mean.
"""

from __future__ import annotations

import difflib
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from statemachines.vocabulary import BlockedBy, BuiltinChannel, MessageKind

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""The words for days; the index is that of `datetime.date.weekday`."""


class FactType(StrEnum):
    """The type of a fact's value.

    A `names` value is a set (the open windows): `in` and `not_in` test whether two sets have a
    common element, `eq` and `ne` whether one name is an element.
    """

    BOOL = "bool"
    NUMBER = "number"
    ENUM = "enum"
    TEXT = "text"
    NAMES = "names"


class Fact(Struct, frozen=True):
    """One fact. `low` and `high` are inclusive, in `unit`; a text's `high` is its maximum length.

    A `required` fact that is missing blocks the message. `only_defers` marks facts about the
    session, whose rules may defer a message but not block it. A `hashed` fact is private text, of
    which a stored snapshot has the hash only.
    """

    name: str
    type: FactType
    meaning: str
    example: bool | float | str | tuple[str, ...]
    values: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    unit: str = ""
    required: bool = False
    only_defers: bool = False
    hashed: bool = False


_MAX_TEXT_LENGTH = 4_096
_MAX_NAME_LENGTH = 200
_MAX_COUNT = 1_000_000
CENTURY_DAYS = 36_500


def _flag_fact(name: str, meaning: str, *, example: bool = False, required: bool = False) -> Fact:
    return Fact(name, FactType.BOOL, meaning, example, required=required)


def _enum_fact(
    name: str, values: str, meaning: str, *, required: bool = False, only_defers: bool = False
) -> Fact:
    words = tuple(values.split())
    return Fact(
        name,
        FactType.ENUM,
        meaning,
        words[0],
        values=words,
        required=required,
        only_defers=only_defers,
    )


def _number_fact(name: str, high: float, unit: str, meaning: str, *, example: float = 0) -> Fact:
    return Fact(name, FactType.NUMBER, meaning, example, high=high, unit=unit)


def _text_fact(name: str, meaning: str, example: str, *, required: bool = False) -> Fact:
    return Fact(name, FactType.TEXT, meaning, example, high=_MAX_NAME_LENGTH, required=required)


_PROSPECT = (
    Fact(
        "prospect.score_contactabilidad",
        FactType.NUMBER,
        "How likely a WhatsApp message reaches this prospect and is answered",
        80,
        high=100,
        unit="points",
        required=True,
    ),
    _flag_fact(
        "prospect.validado_tecnicamente",
        "The number passed technical validation, or an operator validated it; missing: undecided",
        example=True,
    ),
    _text_fact(
        "prospect.cartera_origen", "Where the prospect came from, set at import", "feria_2026"
    ),
    _number_fact("prospect.validation_age_days", CENTURY_DAYS, "days", "Since the last validation"),
    _enum_fact(
        "prospect.on_whatsapp",
        "yes no unknown",
        "Known to be on WhatsApp: a check, an inbound of theirs, or an operator's validation",
        required=True,
    ),
    _enum_fact(
        "prospect.line_type",
        "mobile fixed_line_or_mobile fixed_line voip toll_free premium_rate shared_cost"
        " personal_number pager uan voicemail invalid unknown",
        "What the numbering plan says the number is",
    ),
    _enum_fact(
        "prospect.permission",
        "conversation opted_in relationship public_source none refused",
        "Who said that we may write to them",
        required=True,
    ),
    _enum_fact("prospect.intent", "none weak clear asked", "Their evidenced intent to buy"),
    _text_fact("prospect.country", "Two-letter code of the number's country", "AR"),
    _number_fact("prospect.bounces", _MAX_COUNT, "messages", "Bounces since the last validation"),
    _number_fact("prospect.complaints", _MAX_COUNT, "complaints", "Complaints of theirs, ever"),
    _number_fact(
        "prospect.data_age_days", CENTURY_DAYS, "days", "Since their contact data was taken"
    ),
    _number_fact(
        "prospect.days_since_inbound",
        CENTURY_DAYS,
        "days",
        "Since they last wrote to us; missing: they never did",
        example=12,
    ),
    _enum_fact(
        "prospect.review",
        "none waiting approved rejected",
        "Where the prospect itself stands in the review queue",
    ),
    _flag_fact(
        "prospect.suppressed", "The contact, by any alias, is not to be written to", required=True
    ),
)

_MESSAGE = (
    _enum_fact(
        "message.kind",
        " ".join(MessageKind),
        "What the message is, as we derived it, never as its sender declared it",
        required=True,
    ),
    _flag_fact("message.first_contact", "We never wrote to them before", required=True),
    _flag_fact("message.approved", "A person approved this very message: `review` becomes `allow`"),
    _number_fact("message.length", 65_536, "characters", "How long the text is", example=140),
    _number_fact("message.links", 1_000, "links", "Links in the text"),
    Fact(
        "message.similarity",
        FactType.NUMBER,
        "Words in common with what was sent to others in the last day, the most alike: 1 is all",
        0.2,
        high=1,
        unit="share",
    ),
    _flag_fact("message.duplicate", "The same text already went, or is going, to this contact"),
    Fact(
        "message.text",
        FactType.TEXT,
        "The text itself; longer than the channel carries counts as unknown",
        "Hola, ¿seguimos con el presupuesto?",
        high=_MAX_TEXT_LENGTH,
        hashed=True,
    ),
    _text_fact(
        "message.template",
        "The name of a template, as the sender says; missing: free text",
        "recordatorio_turno",
    ),
    _flag_fact(
        "message.typed",
        "It is not, word for word, an approved text that goes for its purpose",
    ),
)

_HISTORY = (
    _number_fact(
        "history.sent_24h", _MAX_COUNT, "messages", "Sent to this contact in the last 24 hours"
    ),
    _number_fact(
        "history.sent_7d", _MAX_COUNT, "messages", "Sent to this contact in the last 7 days"
    ),
    _number_fact(
        "history.sent_30d", _MAX_COUNT, "messages", "Sent to this contact in the last 30 days"
    ),
    _number_fact("history.unanswered", _MAX_COUNT, "messages", "Sent in a row without an answer"),
    _number_fact(
        "history.commercial_24h",
        _MAX_COUNT,
        "messages",
        "Commercial messages sent to this contact in the last 24 hours",
    ),
    _number_fact(
        "history.commercial_7d",
        _MAX_COUNT,
        "messages",
        "Commercial messages sent to this contact in the last 7 days",
    ),
    _number_fact(
        "history.commercial_unanswered",
        _MAX_COUNT,
        "messages",
        "Commercial messages sent in a row without an answer",
    ),
    _number_fact(
        "history.days_since_commercial",
        CENTURY_DAYS,
        "days",
        "Since the last commercial message to this contact; a century where there was none",
        example=CENTURY_DAYS,
    ),
    _number_fact(
        "history.business_days_since_commercial",
        CENTURY_DAYS,
        "days",
        "Business days since the day of that message, where the recipient lives; a century"
        " where there was none",
        example=CENTURY_DAYS,
    ),
)

COUNT_WINDOWS = MappingProxyType(
    {
        "history.sent_24h": timedelta(hours=24),
        "history.sent_7d": timedelta(days=7),
        "history.sent_30d": timedelta(days=30),
        "history.commercial_24h": timedelta(hours=24),
        "history.commercial_7d": timedelta(days=7),
    }
)
"""Facts that count messages in a time up to now: their counts fall as the messages get older."""

_SESSION = (
    _text_fact(
        "session.channel",
        "The transport that would carry it",
        BuiltinChannel.MANUAL.value,
        required=True,
    ),
    _enum_fact(
        "session.state",
        "ready stopped starting awaiting_scan pairing connecting syncing degraded backoff"
        " qr_expired logged_out banned_temporarily blocked replaced outdated failed",
        "The state of the session's connection",
        only_defers=True,
    ),
    _enum_fact(
        "session.sending",
        "all reply_only none",
        "What may leave by this channel now; `manual` needs no connection, so `all` unless banned",
        only_defers=True,
    ),
)

_REGISTER = (
    _flag_fact(
        "register.listed",
        "A number of the contact is on a do-not-call register that is in force",
        required=True,
    ),
    _number_fact(
        "register.age_days",
        CENTURY_DAYS,
        "days",
        "Since the day of the do-not-call register of the number's country; missing: there is none",
        example=3,
    ),
)

NO_BLOCK = "none"
"""The value of `session.blocked_by` where the session is not blocked."""

_SESSION_BLOCK = _enum_fact(
    "session.blocked_by",
    " ".join((NO_BLOCK, *BlockedBy)),
    "Why the session can't send before a person acts, or for long; code defers the message then",
    only_defers=True,
)

_SESSION_NUMBERS = tuple(
    Fact(name, FactType.NUMBER, meaning, 0, high=high, unit=unit, only_defers=True)
    for name, high, unit, meaning in (
        ("session.number_age_days", CENTURY_DAYS, "days", "Since our number was linked here"),
        ("session.new_chats_24h", _MAX_COUNT, "chats", "New chats of our number in 24 hours"),
    )
)

_SESSION_RATES = tuple(
    Fact(
        name,
        FactType.NUMBER,
        f"Of our number's last 20 first contacts{those}; missing: there are fewer than 10",
        0,
        high=1,
        unit="share",
        only_defers=True,
    )
    for name, those in (
        ("session.answered_rate", " 72 hours ago or more: who wrote back and did not refuse"),
        (
            "session.undelivered_rate",
            " by machine: what failed, or gave no sign of arriving within 24 hours",
        ),
        ("session.complaint_rate", ": who complained since"),
    )
)

_CAMPAIGN = (
    _text_fact("campaign.name", "The campaign the message belongs to; missing: none", "otoño"),
    _flag_fact(
        "campaign.automatic",
        "It belongs to a campaign and goes by a channel where no person sends each message,"
        " so not by `manual`; missing: no campaign",
    ),
    _number_fact(
        "campaign.sent",
        _MAX_COUNT,
        "messages",
        "Messages of this campaign's name that left so far; missing: no campaign",
    ),
)

_CLOCK = (
    Fact(
        "clock.local_hour",
        FactType.NUMBER,
        "Hour of the day where the recipient lives",
        10,
        high=23,
        unit="hours",
    ),
    _enum_fact("clock.weekday", " ".join(WEEKDAYS), "Day where the recipient lives"),
    _flag_fact("clock.holiday", "A public holiday where the recipient lives"),
    Fact(
        "clock.in_window",
        FactType.NAMES,
        "The named windows that are open where the recipient lives; none open: an empty list",
        ("business",),
        required=True,
    ),
)

FACTS = MappingProxyType(
    {
        fact.name: fact
        for fact in (
            *_PROSPECT,
            *_MESSAGE,
            *_HISTORY,
            *_REGISTER,
            *_SESSION,
            _SESSION_BLOCK,
            Fact(
                "session.window_open",
                FactType.BOOL,
                "The channel's 24-hour window of free text is open",
                example=True,
                only_defers=True,
            ),
            *_SESSION_NUMBERS,
            *_SESSION_RATES,
            *_CAMPAIGN,
            *_CLOCK,
        )
    }
)

REQUIRED_FACTS = tuple(fact for fact in FACTS.values() if fact.required)


def find_nearest_fact(name: str) -> str | None:
    """Return the fact whose name is most like `name`, for a did-you-mean, or None."""
    return next(iter(difflib.get_close_matches(name, FACTS, n=1, cutoff=0.6)), None)
