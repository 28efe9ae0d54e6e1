"""A message at the very beginning of its life: an id of its own, and queued."""

from __future__ import annotations

from datetime import datetime

from daemon.api.permit import body_hash
from storage.ids import new_id
from storage.messages import MessageRecord


def new_message(
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
    """Return a message at the beginning of its life, with an id of its own."""
    return MessageRecord(
        id=new_id("msg", at),
        idempotency_key=key,
        request_hash=request_hash,
        contact=contact,
        recipient=recipient,
        session=session,
        channel=channel,
        text=text,
        body_hash=body_hash(text),
        template=template,
        campaign=campaign,
        kind=kind,
        created_at=at,
        changed_at=at,
        not_before=not_before,
        not_after=not_after,
    )
