"""The append-only `prospect_reviews` table: people's decisions on prospects; the latest counts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


class ProspectReviewOutcome(StrEnum):
    """A person's decision on a prospect."""

    APPROVED = "approved"
    REJECTED = "rejected"


class ProspectReview(Struct, frozen=True, kw_only=True):
    """One decision, with its author and reason. ``expires_at`` is None where it does not expire."""

    outcome: ProspectReviewOutcome
    who: str
    reason: str
    at: datetime
    expires_at: datetime | None


def insert_prospect_review(tx: Tx, review: ProspectReview, *, contact: str) -> None:
    """Append a decision on the contact's prospect."""
    # Stored by contact: when contacts are merged, one of their prospects is deleted.
    until = review.expires_at and format_timestamp(review.expires_at)
    tx.execute(
        "INSERT INTO prospect_reviews (contact, outcome, who, reason, at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            contact,
            review.outcome,
            review.who,
            review.reason,
            format_timestamp(review.at),
            until,
        ),
    )


CURRENT_PROSPECT_REVIEW = (
    "SELECT r.* FROM prospect_reviews AS r JOIN contacts AS rc ON rc.id = r.contact"
    " WHERE r.contact = {contact} AND (r.expires_at IS NULL OR r.expires_at > :at)"
    " AND r.at >= coalesce(rc.review_asked_at, '') AND NOT EXISTS (SELECT 1"
    " FROM prospect_reviews AS later WHERE later.contact = r.contact AND later.id > r.id)"
)
"""SQL for the decision on a contact in force at ``:at``: the last one, unless it has expired, or
a review was asked for after it."""


def get_current_prospect_review(
    reader: Reader, contact: str, at: datetime
) -> ProspectReview | None:
    """Return the decision on a contact's prospect that is in force, or None."""
    row = reader.one(
        CURRENT_PROSPECT_REVIEW.format(contact=":contact"),
        {"contact": contact, "at": format_timestamp(at)},
    )
    if row is None:
        return None
    return ProspectReview(
        outcome=ProspectReviewOutcome(row["outcome"]),
        who=row["who"],
        reason=row["reason"],
        at=parse_timestamp(row["at"]),
        expires_at=parse_timestamp(row["expires_at"]) if row["expires_at"] else None,
    )
