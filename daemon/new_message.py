"""A message at the very beginning of its life: a text that can be sent, an id, and queued."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Final

from daemon.api.permit import hash_body
from daemon.errors import BadRequest
from storage.ids import new_id
from storage.messages import MessageRecord

MAX_TEXT_LENGTH: Final = 4096
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but tab and line feed: no person types them, and no phone shows them."""
_FORMAT_CATEGORY: Final = "Cf"
"""Marks of format, such as a space without width: alone they show nothing."""


def validate_text(text: str) -> str:
    """Return a text as it goes out, every line ended by a line feed alone.

    Raises :class:`BadRequest` for one that is empty, too long, or has control characters in it.
    """
    text = text.replace("\r\n", "\n")
    if all(each.isspace() or unicodedata.category(each) == _FORMAT_CATEGORY for each in text):
        raise BadRequest("text: there is nothing to send.", hint="Give the message a text.")
    if len(text) > MAX_TEXT_LENGTH:
        raise BadRequest(
            f"text: {len(text)} characters are more than a message carries.",
            hint=f"Keep it within {MAX_TEXT_LENGTH}.",
        )
    if found := _CONTROL_CHARACTER.search(text):
        raise BadRequest(
            f"text: character {found.start() + 1} is a control character (U+{ord(found[0]):04X}).",
            hint="Take it out; of these only tabs and the ends of lines can be sent.",
        )
    return text


def build_message(
    *,
    at: datetime,
    contact: str,
    recipient: str,
    session: str,
    channel: str,
    text: str,
    kind: str,
    not_after: datetime,
    key: str | None = None,
    request_hash: str = "",
    template: str | None = None,
    campaign: str | None = None,
    not_before: datetime | None = None,
) -> MessageRecord:
    """Return a message at the beginning of its life, with an id of its own.

    Raises :class:`BadRequest` for a text that can't be sent, whoever made it.
    """
    text = validate_text(text)
    return MessageRecord(
        id=new_id("msg", at),
        idempotency_key=key,
        request_hash=request_hash,
        contact=contact,
        recipient=recipient,
        session=session,
        channel=channel,
        text=text,
        body_hash=hash_body(text),
        template=template,
        campaign=campaign,
        kind=kind,
        created_at=at,
        changed_at=at,
        not_before=not_before,
        not_after=not_after,
    )
