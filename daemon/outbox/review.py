"""The review: lists messages and prospects that wait for a person, and stores the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import ProspectChanged
from daemon.settings import SendingSettings
from statemachines.message import REVIEWABLE_STATES, MessageState
from statemachines.prospect import ValidationState
from storage import (
    audit,
    contacts,
    decisions,
    inbound_reviews,
    messages,
    prospect_reviews,
    prospects,
    queue,
    review_queries,
)
from storage.db import Database
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReview, ProspectReviewOutcome
from storage.prospects import ProspectRecord
from storage.review_queries import NumberToValidate, WaitingProspect
from storage.tx import Tx


class ReviewService:
    """Approves and rejects messages and prospects.

    The approval of a message holds for exactly its text, recipient and channel.
    """

    def __init__(self, database: Database, clock: Clock, settings: SendingSettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def list_messages(self, limit: int = 100) -> list[MessageRecord]:
        """Return the messages that need a person's decision, longest waiting first."""
        return await self._database.read(
            lambda reader: queue.list_messages_for_review(reader, limit)
        )

    async def list_numbers(self, limit: int = 100) -> list[NumberToValidate]:
        """Return the numbers that a person has to validate."""
        now = self._clock.now()
        found = await self._database.read(
            lambda reader: review_queries.list_numbers_to_validate(reader, limit)
        )
        return [replace(each, prospect=each.prospect.as_of(now)) for each in found]

    async def take(self, message: str, who: str) -> MessageRecord:
        """Take a message for review, so that nobody else decides it meanwhile. This is optional.

        Taking it again extends the lease. A taken message is still cancelled by an opt-out, and
        expires. Raises :class:`Conflict` while another person has it.
        """
        at = self._clock.now()
        until = at + timedelta(minutes=self._settings.manual_lease_minutes)

        def job(tx: Tx) -> MessageRecord:
            _require_reviewable(tx, message, who, at)
            return queue.set_review_lease(tx, message, who, until)

        return await self._database.write(job, urgent=True)

    async def return_message(self, message: str, who: str) -> MessageRecord:
        """End the lease of a message. Raises :class:`Conflict` while another person has it."""
        at = self._clock.now()

        def job(tx: Tx) -> MessageRecord:
            _require_reviewable(tx, message, who, at)
            return queue.set_review_lease(tx, message, None, None)

        return await self._database.write(job, urgent=True)

    async def approve(self, message: str, who: str, reason: str) -> MessageRecord:
        """Approve a message: a held one is evaluated again, a deferred one still waits.

        The approval lifts the verdict `review`, but no veto and no block by score. It expires after
        ``approval_hours``.
        """
        at, stated_reason = self._clock.now(), require_reason(reason)
        until = at + timedelta(hours=self._settings.approval_hours)

        def job(tx: Tx) -> MessageRecord:
            found = _require_reviewable(tx, message, who, at)
            _insert_approval(tx, found, who=who, reason=stated_reason, at=at, until=until)
            if found.state is MessageState.DEFERRED:
                return queue.mark_message_reviewed(tx, message)
            return messages.transition_message(
                tx,
                message,
                MessageState.QUEUED,
                at=at,
                reason_code="approved",
                sentence=stated_reason,
                who=who,
                faults=0,
            )

        return await self._database.write(job)

    async def reject(self, message: str, who: str, reason: str) -> MessageRecord:
        """Reject a held or deferred message: it is blocked for good."""
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> MessageRecord:
            _require_reviewable(tx, message, who, at)
            audit.insert_audit_entry(
                tx, at=at, who=who, action="reject", subject=message, reason=stated_reason
            )
            return messages.transition_message(
                tx,
                message,
                MessageState.BLOCKED,
                at=at,
                reason_code="rejected",
                sentence=stated_reason,
                who=who,
            )

        return await self._database.write(job)

    async def list_prospects(self, band: range, limit: int = 100) -> Sequence[WaitingProspect]:
        """Return the prospects that wait for a decision, those with messages to read first.

        ``band`` is the live gate's: :attr:`daemon.rulesets.active.CompiledRulesets.review_band`.
        """
        at = self._clock.now()
        return await self._database.read(
            lambda reader: review_queries.list_waiting_prospects(reader, band, at, limit)
        )

    async def approve_prospect(self, prospect: str, who: str, reason: str) -> ProspectReview:
        """Approve a prospect, which ends its review; it adds no points and lifts no veto.

        The approval expires after ``approval_hours``. Raises :class:`NotFound`.
        """
        hours = timedelta(hours=self._settings.approval_hours)
        return await self._store_prospect_review(
            prospect, ProspectReviewOutcome.APPROVED, who, reason, hours
        )

    async def reject_prospect(self, prospect: str, who: str, reason: str) -> ProspectReview:
        """Reject a prospect: waiting commercial messages are cancelled, later ones blocked.

        Replies are still sent. It holds until the prospect is approved, or until a message of the
        contact asks for another review. Raises :class:`NotFound`.
        """
        return await self._store_prospect_review(
            prospect, ProspectReviewOutcome.REJECTED, who, reason, None
        )

    async def _store_prospect_review(
        self,
        prospect: str,
        outcome: ProspectReviewOutcome,
        who: str,
        reason: str,
        holds: timedelta | None,
    ) -> ProspectReview:
        at, stated_reason = self._clock.now(), require_reason(reason)
        until = None if holds is None else at + holds
        review = ProspectReview(
            outcome=outcome, who=who, reason=stated_reason, at=at, expires_at=until
        )

        def job(tx: Tx) -> None:
            found = prospects.get_prospect(tx, prospect)
            if found is None or found.validation is ValidationState.ERASED:
                raise NotFound(f"There is no prospect {prospect}.")
            prospect_reviews.insert_prospect_review(tx, review, contact=found.contact)
            _end_contact_review(tx, found.contact)
            audit.insert_audit_entry(tx, at, who, _AUDIT_ACTIONS[outcome], prospect, stated_reason)
            if outcome is ProspectReviewOutcome.REJECTED:
                messages.cancel_unsent_messages(
                    tx,
                    found.contact,
                    at=at,
                    reason_code="prospect_rejected",
                    sentence=stated_reason,
                    who=who,
                    commercial_only=True,
                )
            tx.emit(_build_prospect_changed(found, review))

        await self._database.write(job)
        return review


_AUDIT_ACTIONS = {
    ProspectReviewOutcome.APPROVED: "approve_prospect",
    ProspectReviewOutcome.REJECTED: "reject_prospect",
}


def _build_prospect_changed(prospect: ProspectRecord, review: ProspectReview) -> ProspectChanged:
    return ProspectChanged(
        subject=prospect.id,
        at=review.at,
        validation=str(prospect.validation),
        validado_tecnicamente=prospect.validado_tecnicamente,
        score_contactabilidad=prospect.score_contactabilidad,
        permission=str(prospect.as_of(review.at).permission),
        reason_code=f"review_{review.outcome}",
        sentence=review.reason,
    )


def _insert_approval(
    tx: Tx, message: MessageRecord, *, who: str, reason: str, at: datetime, until: datetime
) -> None:
    """Store the approval with its audit entry, and end the review of the contact."""
    decisions.insert_approval(
        tx,
        message=message.id,
        body_hash=message.body_hash,
        recipient=message.recipient,
        channel=message.channel,
        who=who,
        reason=reason,
        at=at,
        expires_at=until,
    )
    audit.insert_audit_entry(
        tx, at=at, who=who, action="approve", subject=message.id, reason=reason
    )
    _end_contact_review(tx, message.contact)


def _end_contact_review(tx: Tx, contact: str) -> None:
    # What they wrote holds on until somebody has said what it means.
    if not inbound_reviews.has_unread_words(tx, contact):
        contacts.end_contact_review(tx, contact)


def _require_reviewable(tx: Tx, message: str, who: str, at: datetime) -> MessageRecord:
    """Return a message that this person may decide. Raises NotFound or Conflict."""
    found = messages.get_message(tx, message)
    if found is None:
        raise NotFound(f"There is no message {message}.")
    if found.state not in REVIEWABLE_STATES:
        raise Conflict(
            f"The message {message} is {found.state}; "
            "only a message that waits for approval can be decided."
        )
    leased = found.lease_until is not None and found.lease_until > at
    if leased and found.taken_by != who:
        raise Conflict(f"{found.taken_by} is looking at it now.", hint="Take the next one.")
    return found
