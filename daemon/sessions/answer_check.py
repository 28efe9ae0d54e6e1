"""Checks a transport's answers to a send, to a number check and to a request for its contacts.

Nothing here raises: an answer that can't be read becomes the one that promises least.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog

from daemon.api.identity import Identity, NotAContact
from daemon.api.transport import (
    Acknowledged,
    Capabilities,
    Content,
    KnownContact,
    Media,
    NumberAnswer,
    OnWhatsApp,
    Refused,
    SendResult,
    Template,
    Unknown,
)
from daemon.logs.processors import mask_numbers_in_text
from daemon.sessions.signal_check import (
    ValueRejected,
    check_identity,
    check_member,
    check_time,
    check_word,
    make_storable,
)

log = structlog.get_logger("sessions")

_MAX_SENTENCE_LENGTH: Final = 500
_MAX_CODE: Final = 2**31
_MAX_CONTACTS: Final = 100_000
"""More than a phone's address book holds; the rest is not read."""
_MAX_IDENTITIES: Final = 16


def refuse_content(content: Content, capabilities: Capabilities) -> Refused | None:
    """Return a refusal where the channel does not declare this kind of content, else None."""
    if isinstance(content, Template) and not capabilities.templates:
        return Refused("content_not_supported", "This channel can't send templates.")
    if isinstance(content, Media) and not capabilities.media:
        return Refused("content_not_supported", "This channel can't send files.")
    return None


def check_send_result(result: object, capabilities: Capabilities, now: datetime) -> SendResult:
    """Return the answer to a send, checked.

    An acknowledgement counts only from a channel that declares ``acks``, and with an id and an
    aware time. Any other becomes :class:`Unknown`: the message may have left.
    """
    if isinstance(result, Acknowledged):
        return _check_acknowledgement(result, capabilities, now)
    if isinstance(result, Refused):
        return _check_refusal(result)
    if isinstance(result, Unknown):
        return Unknown(_check_code_word(result.reason_code), _check_sentence(result.sentence))
    kind = make_storable(type(result).__name__)
    return Unknown("answer_unusable", f"The channel answered with {kind}; it may have left.")


def _check_acknowledgement(
    result: Acknowledged, capabilities: Capabilities, now: datetime
) -> SendResult:
    if not capabilities.acks:
        sentence = "The channel declares no acknowledgements, so this one does not count."
        return Unknown("acknowledgement_not_declared", sentence)
    try:
        wire_id, at = check_word("wire_id", result.wire_id), check_time(result.at)
    except ValueRejected as fault:
        sentence = f"The channel's acknowledgement can't be used: a field of it {fault.problem}."
        return Unknown("acknowledgement_unusable", sentence)
    # The time is of the platform's clock, and nothing may be stored as sent in the future.
    return Acknowledged(wire_id, min(at, now))


def _check_refusal(result: Refused) -> Refused:
    """Return a refusal with defaults in place of fields that can't be used."""
    # Never Unknown, whatever else is wrong: its class alone says that nothing left.
    return Refused(
        _check_code_word(result.reason_code),
        _check_sentence(result.sentence),
        retryable=result.retryable is True,
        code=_check_platform_code(result.code),
        detail=_check_sentence(result.detail, ""),
        retry_after=_check_wait(result.retry_after),
    )


def _check_code_word(value: object) -> str:
    try:
        return check_word("reason_code", value) or "unnamed"
    except ValueRejected:
        return "unnamed"


def _check_sentence(value: object, otherwise: str = "The channel gave no reason.") -> str:
    """Return a channel's own sentence, shortened and with numbers masked."""
    if not isinstance(value, str) or not value.strip():
        return otherwise
    words = " ".join(make_storable(value[:_MAX_SENTENCE_LENGTH]).split())
    return mask_numbers_in_text(words)


def _check_platform_code(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) < _MAX_CODE else None


def _check_wait(value: object) -> timedelta | None:
    return value if isinstance(value, timedelta) and value > timedelta() else None


def check_number_answers(answers: object, phones: Sequence[str]) -> list[NumberAnswer]:
    """Return one answer for each of ``phones``, in that order.

    An answer that is missing, unreadable or contradicts another of the same number is UNKNOWN.
    """
    found: dict[str, NumberAnswer] = {}
    for each in answers if isinstance(answers, Iterable) else ():
        answer = _check_number_answer(each)
        if answer is None or answer.phone not in phones:
            log.warning("number_answer_refused", kind=make_storable(type(each).__name__))
        elif found.setdefault(answer.phone, answer).answer is not answer.answer:
            # Two answers that differ: neither yes nor no may be believed.
            found[answer.phone] = NumberAnswer(answer.phone, OnWhatsApp.UNKNOWN)
    return [found.get(phone, NumberAnswer(phone, OnWhatsApp.UNKNOWN)) for phone in phones]


def _check_number_answer(value: object) -> NumberAnswer | None:
    if not isinstance(value, NumberAnswer):
        return None
    try:
        return NumberAnswer(
            check_identity(value.phone).value,
            check_member(value.answer, OnWhatsApp),
            _check_whatsapp_id(value.whatsapp_id),
            _check_alias(value.alias),
        )
    except (NotAContact, ValueRejected):
        return None


def _check_whatsapp_id(value: object) -> str | None:
    try:
        return check_word("whatsapp_id", value) or None
    except ValueRejected:
        return None


def _check_alias(value: object) -> Identity | None:
    """Return another identity of the number's owner, or None where it can't be read."""
    try:
        return None if value is None else check_identity(value)
    except (NotAContact, ValueRejected):
        return None


def check_contacts(answer: object) -> list[KnownContact]:
    """Return the contacts that can be read, each with its readable identities."""
    # islice, because the channel's answer may be an iterator without end.
    found = []
    for each in islice(answer, _MAX_CONTACTS) if isinstance(answer, Iterable) else ():
        contact = _check_contact(each)
        if contact is None:
            log.warning("contact_refused", kind=make_storable(type(each).__name__))
        elif contact.identities:
            found.append(contact)
    return found


def _check_contact(value: object) -> KnownContact | None:
    if not isinstance(value, KnownContact) or not isinstance(value.identities, list | tuple):
        return None
    known = filter(None, map(_check_alias, value.identities[:_MAX_IDENTITIES]))
    name = value.name if isinstance(value.name, str) else ""
    return KnownContact(tuple(dict.fromkeys(known)), check_word("push_name", name))
