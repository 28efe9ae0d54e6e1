"""One case of the review: everything that a person needs to decide, in one transaction."""

from __future__ import annotations

import json
from datetime import datetime

from msgspec import Struct

from daemon.errors import NotFound
from daemon.gate.consent import Permission, derive_permission
from daemon.http.console import evidence_view, verdict_view
from daemon.http.console.evidence_view import EvidenceItem
from daemon.http.console.verdict_view import VerdictView
from daemon.rulesets.active import CompiledRulesets
from daemon.services import Services
from rules.ruleset import Ruleset
from statemachines.message import REVIEWABLE_STATES
from statemachines.prospect import CHECKABLE_STATES
from storage import (
    contacts,
    decisions,
    evidence,
    inbound_reviews,
    messages,
    prospects,
    review_queries,
    score_explanations,
    suppressions,
    timeline_queries,
)
from storage.evidence import Evidence
from storage.inbound_reviews import STOP_CAUSES
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.review_queries import NumberToValidate
from storage.timeline_queries import ConversationEntry
from storage.tx import Reader


class ContactProfile(Struct, frozen=True):
    """What is known of one contact: prospect, permission with its proof, evidence, conversation.

    ``stopped`` is why nothing goes to them until a person has decided: `minor` or `deceased`, and
    ``stopping_message`` the one to decide on; empty where it is not stored any more.
    """

    contact: str
    prospect: ProspectRecord | None
    suppressed: bool
    stopped: str | None
    stopping_message: str
    permission: Permission
    proof: Evidence | None
    evidence: list[EvidenceItem]
    conversation: list[ConversationEntry]


class ReviewCase(Struct, frozen=True):
    """A message or a prospect that waits for a decision, or a number to validate.

    `awaits_decision` says that the decision is on the prospect itself. `taken_by` is another
    reviewer, who has the case until `taken_until`.
    """

    id: str
    person: ContactProfile
    message: MessageRecord | None
    verdict: VerdictView | None
    number: NumberToValidate | None
    reason: str
    since: datetime
    open: bool
    awaits_decision: bool
    taken_by: str
    taken_until: datetime | None

    @property
    def name(self) -> str:
        """Return the prospect's name; empty if none is known."""
        return self.person.prospect.name if self.person.prospect else ""

    @property
    def phone(self) -> str:
        """Return the phone number of the case."""
        if self.message is not None:
            return self.message.recipient
        return self.person.prospect.phone if self.person.prospect else ""


def build_contact_profile(reader: Reader, contact: str, now: datetime) -> ContactProfile:
    """Return what is known of a contact."""
    found = evidence.list_contact_evidence(reader, contact)
    permission = derive_permission(found, now)
    known = contacts.get_contact(reader, contact)
    return ContactProfile(
        contact=contact,
        prospect=prospects.find_prospect_by_contact(reader, contact),
        suppressed=suppressions.is_contact_suppressed(reader, contact),
        stopped=known.stopped_reason if known else None,
        stopping_message=next(
            (
                each.inbound
                for each in inbound_reviews.list_contact_reviews(reader, contact)
                if each.cause in STOP_CAUSES and each.meaning is None
            ),
            "",
        ),
        permission=permission,
        proof=evidence_view.find_permission_evidence(permission, found),
        evidence=evidence_view.build_evidence_items(found),
        conversation=timeline_queries.list_conversation(reader, contact),
    )


def build_review_case(
    reader: Reader, services: Services, case_id: str, who: str, now: datetime
) -> ReviewCase:
    """Return a case by the id of its message or its prospect; raise :class:`NotFound`."""
    message = messages.get_message(reader, case_id)
    if message is not None:
        return _case_from_message(reader, services.rulesets.gate.ruleset, message, who, now)
    prospect = prospects.get_prospect(reader, case_id)
    if prospect is None:
        raise NotFound(f"There is no case {case_id}.", hint="Somebody may have decided it already.")
    return _case_from_prospect(reader, services.rulesets.compiled, prospect, now)


def _case_from_message(
    reader: Reader, ruleset: Ruleset, message: MessageRecord, who: str, now: datetime
) -> ReviewCase:
    judgements = decisions.list_message_decisions(reader, message.id)
    other = find_other_reviewer(message, who, now)
    return ReviewCase(
        id=message.id,
        person=build_contact_profile(reader, message.contact, now),
        message=message,
        verdict=verdict_view.build_verdict_view(judgements[-1].document, ruleset)
        if judgements
        else None,
        number=None,
        reason=message.sentence,
        since=message.changed_at,
        open=message.state in REVIEWABLE_STATES,
        awaits_decision=False,
        taken_by=other,
        taken_until=message.lease_until if other else None,
    )


def _case_from_prospect(
    reader: Reader, rulesets: CompiledRulesets, prospect: ProspectRecord, now: datetime
) -> ReviewCase:
    waiting = number = None
    if prospect.validation in CHECKABLE_STATES:
        number = review_queries.build_number_to_validate(reader, prospect)
    else:
        waiting = review_queries.get_waiting_prospect(reader, prospect, rulesets.review_band, now)
    shown = number or waiting
    return ReviewCase(
        id=prospect.id,
        person=build_contact_profile(reader, prospect.contact, now),
        message=None,
        verdict=build_prospect_score_view(reader, prospect, rulesets.score.ruleset),
        number=number,
        reason=shown.sentence if shown else "",
        since=shown.since if shown else prospect.created_at,
        open=shown is not None,
        awaits_decision=waiting is not None,
        taken_by="",
        taken_until=None,
    )


def build_prospect_score_view(
    reader: Reader, prospect: ProspectRecord, ruleset: Ruleset
) -> VerdictView | None:
    """Return a prospect's score with its points; None before the first scoring."""
    document = score_explanations.get_score_explanation(reader, prospect.score_explanation)
    return verdict_view.build_score_view(json.loads(document), ruleset) if document else None


def find_other_reviewer(message: MessageRecord, who: str, now: datetime) -> str:
    """Return who else has taken a message for review; empty if nobody has."""
    # A lease that is over is not removed: it ends by its time.
    leased = message.lease_until is not None and message.lease_until > now
    return message.taken_by or "" if leased and message.taken_by != who else ""
