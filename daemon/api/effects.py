"""Data that plugins receive and return: effects of an inbound, drafts, session choices.

A plugin never writes to the database: the core checks the effects that it returns, and commits
them or refuses them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class ContactRequest(StrEnum):
    """What a contact's own words ask of us, or what they say."""

    OPT_OUT = "opt_out"
    """Do not write again."""
    OPT_IN = "opt_in"
    """Asks for our messages."""
    DECLINED = "declined"
    """No to the offer."""
    COMPLAINT = "complaint"
    """An insult, or a threat to report, block or sue."""
    WRONG_PERSON = "wrong_person"
    """A wrong number, another owner, somebody who left."""
    MINOR = "minor"
    """Says, or is said, to be under 18."""
    DECEASED = "deceased"
    """The person died."""
    AUTOMATIC = "automatic"
    """A program wrote it: a greeting, an absence notice, a menu."""
    INTERESTED = "interested"
    """Wants the offer, or asks for information or a call."""
    QUESTION = "question"
    """Asks about the offer, or about us."""
    COURTESY = "courtesy"
    """Thanks, a greeting, an ok."""
    UNCLEAR = "unclear"
    """Anything else: a person reads it."""


class Intent(StrEnum):
    """How clearly a contact's message shows an intent to buy."""

    NONE = "none"
    WEAK = "weak"
    CLEAR = "clear"
    ASKED = "asked"


class SetIntent(Struct, frozen=True):
    """Record the purchase intent of an inbound, with the quote that shows it as evidence."""

    intent: Intent
    quote: str


class AskReview(Struct, frozen=True):
    """Hold commercial messages to this contact until a person has reviewed it, for this reason."""

    reason: str


class QueueReply(Struct, frozen=True):
    """Enqueue a reply, which the gate evaluates like any other message."""

    text: str


class AddNote(Struct, frozen=True):
    """Append a note to the prospect."""

    text: str


InboundEffect: TypeAlias = SetIntent | AskReview | QueueReply | AddNote


class Draft(Struct, frozen=True):
    """A message before it is enqueued. ``session`` and ``channel`` may be None: not chosen yet."""

    recipient: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    campaign: str | None = None


class Prepared(Struct, frozen=True):
    """A draft as the sender plugin prepared it: the rendered text, the session and the channel."""

    text: str
    session: str
    channel: str


class SessionChoice(Struct, frozen=True):
    """One session that a draft could be sent through, as the sender plugin sees it.

    ``new_chats_left`` is how many new chats its number has left in the rolling 24 hours.
    """

    name: str
    channel: str
    phone: str | None
    ready: bool
    new_chats_left: int


class ContactView(Struct, frozen=True):
    """The data of a contact that a plugin gets with an inbound message.

    ``origen_en_palabras`` is the origin as somebody here would tell it; empty where nobody has.
    """

    prospect: str | None
    name: str
    cartera_origen: str | None
    permission: str
    suppressed: bool
    origen_en_palabras: str = ""
