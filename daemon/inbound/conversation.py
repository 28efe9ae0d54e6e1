"""What a contact's message does to what waits for them, and to their purchase intent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from daemon.api.effects import ContactRequest, InboundEffect, SetIntent
from daemon.inbound.context import InboundContext
from daemon.inbound.plugin_effects import set_intent
from storage import contacts, messages
from storage.contacts import HoldScope
from storage.tx import Tx

WRITING_TOLERANCE: Final = timedelta(seconds=2)
"""Platforms tell times in whole seconds, and their clocks are not ours."""

_OWN_WORDS_SOURCE: Final = "their own message"
_STOPPED_SENTENCE: Final = "Nothing goes to them until a person has read what they wrote."
_SOMEBODY_ELSE_SENTENCE: Final = "They are somebody else than the one it was written for."


def cancel_commercial(
    tx: Tx, contact: str, *, written_at: datetime, now: datetime, reason_code: str
) -> int:
    """Cancel the contact's commercial messages that were queued before something was written.

    Returns how many. Whoever queued one later may have known of it.
    """
    return messages.cancel_unsent_messages(
        tx,
        contact,
        at=now,
        reason_code=reason_code,
        sentence="A conversation with them has started, so this is not sent.",
        who="inbound",
        commercial_only=True,
        queued_by=written_at + WRITING_TOLERANCE,
    )


def stop_messages(tx: Tx, context: InboundContext) -> int:
    """Cancel what waits for them, as far as their message asks for it; return how many.

    Whom nothing may go to at all is stopped first, so that nothing new goes either.
    """
    effects, written_at = context.reading.effects, context.record.at
    if effects.stops:
        contacts.stop_contact(tx, context.contact, context.reading.request.value)
        return messages.cancel_unsent_messages(
            tx,
            context.contact,
            at=context.now,
            reason_code="stopped",
            sentence=_STOPPED_SENTENCE,
            who="inbound",
            commercial_only=False,
            confirmations=True,
        )
    if context.reading.words.says(ContactRequest.WRONG_PERSON):
        return messages.cancel_unsent_messages(
            tx,
            context.contact,
            at=context.now,
            reason_code="somebody_else",
            sentence=_SOMEBODY_ELSE_SENTENCE,
            who="inbound",
            commercial_only=False,
            queued_by=written_at + WRITING_TOLERANCE,
        )
    if effects.cancels is HoldScope.COMMERCIAL:
        return cancel_commercial(
            tx,
            context.contact,
            written_at=written_at,
            now=context.now,
            reason_code="they_wrote",
        )
    return 0


def set_read_intent(
    tx: Tx, context: InboundContext, effects: Sequence[tuple[str, InboundEffect]]
) -> None:
    """Store the purchase intent that their words show, unless a plugin says how strong it is."""
    intent = context.reading.effects.intent
    by_plugin = context.reading.shows_interest and any(
        isinstance(effect, SetIntent) for _, effect in effects
    )
    if intent is None or context.reading.past or by_plugin:
        return
    quote = context.reading.words.first.quote
    set_intent(tx, context, intent.value, quote, _OWN_WORDS_SOURCE)
