"""Reads an inbound signal: what it asks of us, and which effects it may have by kind and age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from daemon.api.effects import ContactRequest
from daemon.api.signals import InboundKind, InboundMessage, Origin
from daemon.inbound.contact_requests import ContactRequestReader, Reading

PAST_AFTER: Final = timedelta(days=14)
"""A linked device that is away for longer is unlinked: what is older is replayed history."""

_NO_CONVERSATION_KINDS: Final = frozenset(
    {InboundKind.REACTION, InboundKind.EDIT, InboundKind.DELETION, InboundKind.POLL}
)
_CAPTIONED_KINDS: Final = frozenset(
    {InboundKind.MEDIA, InboundKind.LOCATION, InboundKind.CONTACT, InboundKind.VOICE}
)

_READ_BY_A_PERSON: Final = frozenset(
    {
        ContactRequest.COMPLAINT,
        ContactRequest.WRONG_PERSON,
        ContactRequest.MINOR,
        ContactRequest.DECEASED,
    }
)
WORDS_REVIEW_REASON: Final = "They may be asking us to stop; a person should read the message."
UNREADABLE_REASONS: Final = {
    InboundKind.MEDIA: "They sent a picture, video or file without text; look at it on the phone.",
    InboundKind.LOCATION: "They sent a location without text; look at it on the phone.",
    InboundKind.CONTACT: "They sent a contact card without text; look at it on the phone.",
    InboundKind.VOICE: "They sent a voice message; listen to it on the phone.",
    InboundKind.UNSUPPORTED: (
        "They sent something that can't be shown here; look at it on the phone."
    ),
}


@dataclass(frozen=True, slots=True)
class InboundReading:
    """What a message asks, and what it may change.

    ``past``: it is told as part of the past, and changes facts by its date and nothing else.
    ``opens_conversation``: they wrote to us; a reaction, an edit, a deletion, a poll and what a
    program sent do not count as that. ``review_reason``: why a person should look, if so.
    ``is_readable``: there are words, so that what it asks is known.
    """

    request: ContactRequest
    past: bool
    opens_conversation: bool
    is_readable: bool
    automatic: bool
    review_reason: str | None

    @property
    def asks_plugins(self) -> bool:
        """Return whether plugins may answer it: an opt-out waits for none of them."""
        return self.opens_conversation and not self.past and self.request != ContactRequest.OPT_OUT

    @property
    def ends_selling(self) -> bool:
        """Return whether commercial messages that were queued before it are cancelled.

        What nobody could read holds them instead, until a person has looked.
        """
        said_no = self.request in {ContactRequest.DECLINED, ContactRequest.OPT_OUT}
        return said_no or (self.opens_conversation and self.is_readable)


def read_inbound(
    reader: ContactRequestReader, signal: InboundMessage, now: datetime
) -> InboundReading:
    """Return what a signal asks and may change, as of ``now``.

    Words of every kind are read for a no, an edit's once more; only a text can be an opt-in.
    """
    past = signal.origin is Origin.HISTORY or now - signal.written_at > PAST_AFTER
    words = reader.read(signal.text)
    request = words.first.request
    if request is ContactRequest.OPT_IN and (
        signal.automatic or signal.kind is not InboundKind.TEXT
    ):
        request = ContactRequest.UNCLEAR
    is_readable = request is not ContactRequest.UNCLEAR or not _is_wordless(signal)
    return InboundReading(
        request=request,
        past=past,
        opens_conversation=signal.kind not in _NO_CONVERSATION_KINDS and not signal.automatic,
        is_readable=is_readable,
        automatic=signal.automatic,
        review_reason=_find_review_reason(words, signal, is_readable=is_readable, past=past),
    )


def _is_wordless(signal: InboundMessage) -> bool:
    """Tell whether a person has to look at the phone to know what they sent."""
    if signal.kind is InboundKind.UNSUPPORTED:
        return True
    return signal.kind in _CAPTIONED_KINDS and not signal.text.strip()


def _find_review_reason(
    words: Reading, signal: InboundMessage, *, is_readable: bool, past: bool
) -> str | None:
    if not is_readable:
        return None if past or signal.automatic else UNREADABLE_REASONS[signal.kind]
    asks_a_person = words.requests & _READ_BY_A_PERSON
    return WORDS_REVIEW_REASON if asks_a_person or words.first.may_ask_to_stop else None
