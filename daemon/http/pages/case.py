"""One case of the review: everything that a person needs to decide about it, read at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from daemon.consent import Permission, permission_of
from daemon.errors import NotFound
from daemon.http.house import House
from daemon.http.pages import proof, verdict
from daemon.http.pages.proof import Piece
from daemon.http.pages.verdict import Shown
from daemon.rulebook import Judges
from rules.ruleset import RuleSet
from statemachines.message import MessageState
from storage import cases, decisions, evidence, lives, messages, prospects, suppressions
from storage.evidence import Evidence
from storage.lives import Said
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader

DECIDABLE = frozenset({MessageState.HELD, MessageState.DEFERRED})
"""States of a message in which a person's word counts."""
UNSETTLED = frozenset({"unchecked", "expired"})
"""States of a number that a person may settle."""


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of one person: who they are, whether we may write, what was said."""

    contact: str
    prospect: ProspectRecord | None
    suppressed: bool
    permission: Permission
    proof: Evidence | None
    pieces: list[Piece]
    said: list[Said]


@dataclass(frozen=True, slots=True)
class Case:
    """A message or a prospect that waits for a person's word, or a number that no check can settle.

    `asked`: the word is wanted on the prospect itself. `taken_by` is somebody else who looks at it
    until `taken_until`.
    """

    id: str
    person: Person
    message: MessageRecord | None
    verdict: Shown | None
    why: str
    since: datetime
    open: bool
    asked: bool
    taken_by: str
    taken_until: datetime | None

    @property
    def name(self) -> str:
        """Return the person's name; empty where none is known."""
        return self.person.prospect.name if self.person.prospect else ""

    @property
    def phone(self) -> str:
        """Return the number that it is about."""
        if self.message is not None:
            return self.message.recipient
        return self.person.prospect.phone if self.person.prospect else ""

    @property
    def number_why(self) -> str:
        """Return the key of why a number waits; the others say it in the server's own sentence."""
        prospect = self.person.prospect
        return why_by_hand(prospect) if prospect and prospect.validation in UNSETTLED else ""


def person_of(reader: Reader, contact: str, now: datetime) -> Person:
    """Return what is known of a contact."""
    found = evidence.of_contact(reader, contact)
    permission = permission_of(found, now)
    return Person(
        contact=contact,
        prospect=prospects.of_contact(reader, contact),
        suppressed=suppressions.is_suppressed(reader, contact),
        permission=permission,
        proof=proof.proof_of(permission, found),
        pieces=proof.pieces(found),
        said=lives.conversation(reader, contact),
    )


def case_of(reader: Reader, house: House, wanted: str, who: str, now: datetime) -> Case:
    """Return a case by the id of its message or its prospect; raise :class:`NotFound`."""
    message = messages.get(reader, wanted)
    if message is not None:
        return _of_message(reader, house.rulebook.gate.ruleset, message, who, now)
    prospect = prospects.get(reader, wanted)
    if prospect is None:
        raise NotFound(f"There is no case {wanted}.", hint="It may have been decided already.")
    return _of_prospect(reader, house.rulebook.judges, prospect, now)


def _of_message(
    reader: Reader, ruleset: RuleSet, message: MessageRecord, who: str, now: datetime
) -> Case:
    looks = decisions.of_message(reader, message.id)
    other = somebody_else(message, who, now)
    return Case(
        id=message.id,
        person=person_of(reader, message.contact, now),
        message=message,
        verdict=verdict.of_decision(looks[-1].document, ruleset) if looks else None,
        why=message.sentence,
        since=message.changed_at,
        open=message.state in DECIDABLE,
        asked=False,
        taken_by=other,
        taken_until=message.lease_until if other else None,
    )


def _of_prospect(reader: Reader, judges: Judges, prospect: ProspectRecord, now: datetime) -> Case:
    unsettled = prospect.validation in UNSETTLED
    waiting = None if unsettled else cases.waiting(reader, prospect, judges.review_band, now)
    return Case(
        id=prospect.id,
        person=person_of(reader, prospect.contact, now),
        message=None,
        verdict=score_of(prospect, judges.score.ruleset),
        why=waiting.sentence if waiting else "",
        since=waiting.since if waiting else prospect.created_at,
        open=unsettled or waiting is not None,
        asked=waiting is not None,
        taken_by="",
        taken_until=None,
    )


def score_of(prospect: ProspectRecord, ruleset: RuleSet) -> Shown | None:
    """Return a prospect's score with its points; None before it was computed."""
    document = json.loads(prospect.score_explanation or "null")
    return verdict.of_score(document, ruleset) if document else None


def why_by_hand(prospect: ProspectRecord) -> str:
    """Return the key of why a number waits for a person."""
    asked = prospect.check_attempts >= cases.UNKNOWN_ANSWERS
    return "review.why.still_unknown" if asked else "review.why.landline"


def somebody_else(message: MessageRecord, who: str, now: datetime) -> str:
    """Return who else looks at a message just now; empty where nobody does."""
    leased = message.lease_until is not None and message.lease_until > now
    return message.taken_by or "" if leased and message.taken_by != who else ""
