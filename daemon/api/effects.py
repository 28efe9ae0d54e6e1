"""Data that plugins receive and return: effects of an inbound, drafts, session choices.

A plugin never writes to the database: the core checks the effects that it returns, and commits
them or refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class ContactRequest(StrEnum):
    """The request that is read from a contact's message."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    REFUSED = "refused"
    REVIEW = "review"
    NONE = "none"


class Intent(StrEnum):
    """How clearly a contact's message shows an intent to buy."""

    NONE = "none"
    WEAK = "weak"
    CLEAR = "clear"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class SetIntent:
    """Record the purchase intent of an inbound, with the quote that shows it as evidence."""

    intent: Intent
    quote: str


@dataclass(frozen=True, slots=True)
class AskReview:
    """Hold commercial messages to this contact until a person has reviewed it, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class QueueReply:
    """Enqueue a reply, which the gate evaluates like any other message."""

    text: str


@dataclass(frozen=True, slots=True)
class AddNote:
    """Append a note to the prospect."""

    text: str


InboundEffect: TypeAlias = SetIntent | AskReview | QueueReply | AddNote


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is enqueued. ``session`` and ``channel`` may be None: not chosen yet."""

    recipient: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A draft as the sender plugin prepared it: the rendered text, the session and the channel."""

    text: str
    session: str
    channel: str


@dataclass(frozen=True, slots=True)
class SessionChoice:
    """One session that a draft could be sent through, as the sender plugin sees it.

    ``new_chats_left`` is how many new chats its number has left in the rolling 24 hours.
    """

    name: str
    channel: str
    phone: str | None
    ready: bool
    new_chats_left: int


@dataclass(frozen=True, slots=True)
class ContactView:
    """The data of a contact that a plugin gets with an inbound message."""

    prospect: str | None
    name: str
    cartera_origen: str | None
    permission: str
    suppressed: bool
