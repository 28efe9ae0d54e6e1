"""The append-only `prospect_reviews` table: what people decided about prospects.

The latest row counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


class ProspectReviewOutcome(StrEnum):
    """What a person may say about a prospect."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProspectReview:
    """One person's decision on a prospect. ``expires_at`` is None where it holds until another."""

    outcome: ProspectReviewOutcome
    who: str
    reason: str
    at: datetime
    expires_at: datetime | None


def insert_prospect_review(tx: Tx, review: ProspectReview, *, contact: str) -> None:
    """Append a decision; it belongs to the contact, and so outlives a merging of prospects."""
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
"""The decision on a contact that holds at ``:at``: the last one, unless it has run out, or a
review was asked for after it."""


def get_current_prospect_review(
    reader: Reader, contact: str, at: datetime
) -> ProspectReview | None:
    """Return the decision that holds for a contact, or None."""
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
