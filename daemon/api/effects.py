"""Data that plugins receive and return: effects of an inbound, drafts, session choices.

A plugin never writes: the core commits the effects or refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class ContactRequest(StrEnum):
    """What a contact's own words ask of us."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    REFUSED = "refused"
    REVIEW = "review"
    NONE = "none"


class Intent(StrEnum):
    """How clearly a contact wants to buy; the quote is kept as evidence."""

    NONE = "none"
    WEAK = "weak"
    CLEAR = "clear"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class SetIntent:
    """Record the purchase intent that an inbound shows, with the words that show it."""

    intent: Intent
    quote: str


@dataclass(frozen=True, slots=True)
class AskReview:
    """Hold commercial messages to this contact until a person has looked, and say why."""

    reason: str


@dataclass(frozen=True, slots=True)
class QueueReply:
    """Enqueue a reply; it passes the gate like any other message."""

    text: str


@dataclass(frozen=True, slots=True)
class AddNote:
    """Append a note to the prospect's story."""

    text: str


InboundEffect: TypeAlias = SetIntent | AskReview | QueueReply | AddNote


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is enqueued. ``session`` and ``channel`` may still be open."""

    recipient: str
    text: str
    session: str | None = None
    channel: str | None = None
    template: str | None = None
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the sender plugin made of a draft: rendered text and the route it chose."""

    text: str
    session: str
    channel: str


@dataclass(frozen=True, slots=True)
class SessionChoice:
    """One session that a draft could go through, as the sender plugin sees it."""

    name: str
    channel: str
    phone: str | None
    ready: bool
    new_chats_left: int


@dataclass(frozen=True, slots=True)
class ContactView:
    """What a plugin may know of the contact behind an inbound message."""

    prospect: str | None
    name: str
    cartera_origen: str | None
    permission: str
    suppressed: bool
