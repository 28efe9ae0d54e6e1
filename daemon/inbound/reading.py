"""Reads an inbound signal: what it says, and which effects it may have by kind and age."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest
from daemon.api.signals import InboundKind, InboundMessage, Origin
from daemon.gate.consent import QUESTION_ABOUT_US
from daemon.inbound.contact_requests import ContactRequestReader, Finding, Reading
from daemon.inbound.request_effects import RequestEffects, unite_effects

PAST_AFTER: Final = timedelta(days=14)
"""A linked device that is away for longer is unlinked: what is older is replayed history."""

_PAST_ORIGINS: Final = frozenset({Origin.HISTORY, Origin.IMPORTED})
_NO_CONVERSATION_KINDS: Final = frozenset(
    {InboundKind.REACTION, InboundKind.EDIT, InboundKind.DELETION, InboundKind.POLL}
)
_CAPTIONED_KINDS: Final = frozenset(
    {InboundKind.MEDIA, InboundKind.LOCATION, InboundKind.CONTACT, InboundKind.VOICE}
)
_REFUSALS: Final = frozenset(
    {
        ContactRequest.OPT_OUT,
        ContactRequest.DECLINED,
        ContactRequest.COMPLAINT,
        ContactRequest.WRONG_PERSON,
        ContactRequest.MINOR,
        ContactRequest.DECEASED,
    }
)
"""What counts in every kind of message, and in what a program sent."""

WORDS_REVIEW_REASON: Final = "They may be asking us to stop; a person should read the message."
NOT_UNDERSTOOD_REASON: Final = "The message was not understood; a person should read it."
ABOUT_US_REASON: Final = "They ask who we are; a person should answer."
REVIEW_REASONS: Final = {
    ContactRequest.COMPLAINT: "They complain; a person should read the message.",
    ContactRequest.WRONG_PERSON: "They may be somebody else; a person should read the message.",
    ContactRequest.MINOR: "They may be under 18; a person should read the message.",
    ContactRequest.DECEASED: "The person may have died; a person should read the message.",
}
UNREADABLE_REASONS: Final = {
    InboundKind.MEDIA: "They sent a picture, video or file without text; look at it on the phone.",
    InboundKind.LOCATION: "They sent a location without text; look at it on the phone.",
    InboundKind.CONTACT: "They sent a contact card without text; look at it on the phone.",
    InboundKind.VOICE: "They sent a voice message; listen to it on the phone.",
    InboundKind.UNSUPPORTED: (
        "They sent something that can't be shown here; look at it on the phone."
    ),
}
_MAY_SHOW_INTEREST: Final = frozenset(
    {
        ContactRequest.INTERESTED,
        ContactRequest.QUESTION,
        ContactRequest.COURTESY,
        ContactRequest.OPT_IN,
    }
)
_NO_WORDS: Final = Reading(frozenset({Finding(ContactRequest.UNCLEAR, "")}))
_NO_EFFECTS: Final = RequestEffects()


class InboundReading(Struct, frozen=True):
    """What a message says, and what it may change.

    ``past``: it is told as part of the past, and changes facts by its date and nothing else.
    ``opens_conversation``: they wrote to us; a reaction, an edit, a deletion, a poll and what a
    program sent do not count as that. ``review_reason``: why a person should look, if so.
    """

    words: Reading
    effects: RequestEffects
    past: bool
    opens_conversation: bool
    automatic: bool
    review_reason: str | None

    @property
    def request(self) -> ContactRequest:
        """Return the class that is shown for it."""
        return self.words.first.request

    @property
    def is_refusal(self) -> bool:
        """Return whether it is a no of any kind: it counts whatever kind of message it is."""
        return bool(self.words.requests & _REFUSALS)

    @property
    def asks_plugins(self) -> bool:
        """Return whether plugins may answer it: a no and a program wait for none of them."""
        return self.opens_conversation and not self.past and not self.is_refusal

    @property
    def shows_interest(self) -> bool:
        """Return whether a purchase intent may be read into it, by a plugin too."""
        return self.words.requests <= _MAY_SHOW_INTEREST


def read_inbound(
    reader: ContactRequestReader, signal: InboundMessage, now: datetime
) -> InboundReading:
    """Return what a signal says and may change, as of ``now``.

    Words of every kind are read for a no, an edit's once more; only a text can be an opt-in.
    """
    return assess_words(read_words(reader, signal), signal, now)


def assess_words(words: Reading, signal: InboundMessage, now: datetime) -> InboundReading:
    """Return what a signal may change, as of ``now``, by what its words say."""
    past = signal.origin in _PAST_ORIGINS or now - signal.written_at > PAST_AFTER
    automatic = signal.automatic or words.says(ContactRequest.AUTOMATIC)
    is_own_message = signal.kind not in _NO_CONVERSATION_KINDS
    counts = is_own_message or bool(words.requests & _REFUSALS)
    effects = unite_effects(words) if counts else _NO_EFFECTS
    return InboundReading(
        words=words,
        effects=effects,
        past=past,
        opens_conversation=is_own_message and not automatic,
        automatic=automatic,
        review_reason=_find_review_reason(words, signal, past=past, counts=counts),
    )


def list_evidence_values(reading: InboundReading) -> list[str]:
    """Return what they wrote, as values of evidence: nothing for what was no message of theirs.

    Beside a no, what was not understood says nothing more.
    """
    if not (reading.opens_conversation or reading.is_refusal):
        return []
    values = {
        QUESTION_ABOUT_US if each.about_us else each.request.value
        for each in reading.words.findings
    }
    if len(values) > 1:
        values.discard(ContactRequest.UNCLEAR.value)
    return sorted(values)


def read_words(reader: ContactRequestReader, signal: InboundMessage) -> Reading:
    """Return what the words say, as far as it counts in a message of this kind."""
    words = reader.read(signal.text)
    if _is_wordless(signal) and not words.requests & _REFUSALS:
        return _NO_WORDS
    if signal.kind is InboundKind.REACTION and words.requests & _REFUSALS:
        # An emoji is no sentence: a person reads it, and nothing commercial goes out meanwhile.
        return Reading(
            frozenset({Finding(ContactRequest.UNCLEAR, signal.text, may_ask_to_stop=True)})
        )
    if signal.automatic and not words.requests & _REFUSALS:
        return Reading(frozenset({Finding(ContactRequest.AUTOMATIC, signal.text)}))
    if words.says(ContactRequest.OPT_IN) and signal.kind is not InboundKind.TEXT:
        return Reading(frozenset({Finding(ContactRequest.UNCLEAR, signal.text)}))
    return words


def _is_wordless(signal: InboundMessage) -> bool:
    """Tell whether a person has to look at the phone to know what they sent."""
    if signal.kind is InboundKind.UNSUPPORTED:
        return True
    return signal.kind in _CAPTIONED_KINDS and not signal.text.strip()


def _find_review_reason(
    words: Reading, signal: InboundMessage, *, past: bool, counts: bool
) -> str | None:
    """Say why a person should look, with the strictest reason first.

    Words that may ask us to stop are read however old they are, and in whatever kind.
    """
    for finding in sorted(words.findings, key=_rank_reason):
        if reason := REVIEW_REASONS.get(finding.request):
            return reason
        if finding.may_ask_to_stop:
            return WORDS_REVIEW_REASON
        if not counts or signal.automatic:
            continue
        if finding.about_us and not past:
            return ABOUT_US_REASON
        # A former system's answers were read by nobody here; a phone's history was by its owner.
        unread = not past or signal.origin is Origin.IMPORTED
        if finding.request is ContactRequest.UNCLEAR and unread:
            wordless = UNREADABLE_REASONS if _is_wordless(signal) else {}
            return wordless.get(signal.kind, NOT_UNDERSTOOD_REASON)
    return None


def _rank_reason(finding: Finding) -> tuple[bool, bool]:
    return finding.request not in REVIEW_REASONS, not finding.may_ask_to_stop
