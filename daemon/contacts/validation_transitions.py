"""Applies transitions of a prospect's validation, with the evidence and events of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.contacts.aliases import Aliases
from daemon.errors import Conflict
from daemon.events import ProspectChanged
from daemon.gate.scoring import Scoring
from daemon.settings import Settings
from statemachines.machine import fire_event, restore_machine
from statemachines.prospect import (
    ValidationEvent,
    ValidationMachine,
    ValidationState,
    validado_tecnicamente_from_state,
)
from statemachines.vocabulary import WaitsFor
from storage import contacts, evidence, outcome_queries, outcomes, prospects, queue
from storage.evidence import Evidence, EvidenceKind
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord
from storage.tx import Tx

_ANSWER_EVENTS = {
    OnWhatsApp.YES: ValidationEvent.FOUND,
    OnWhatsApp.NO: ValidationEvent.NOT_FOUND,
    OnWhatsApp.UNKNOWN: ValidationEvent.UNKNOWN,
}
_VALIDATED, _REJECTED = ValidationEvent.OPERATOR_VALIDATED, ValidationEvent.OPERATOR_REJECTED
_EVIDENCE_STATES = frozenset(
    {ValidationState.VALIDATED, ValidationState.NOT_REACHABLE, ValidationState.EXPIRED}
)
_CHECK_SOURCE: Final = "number check"
GIVEN: Final = "given"
UNDELIVERED_SOURCE: Final = "a message that was not delivered"
_ANSWER_SENTENCES = {
    OnWhatsApp.YES: "The number is on WhatsApp.",
    OnWhatsApp.NO: "The number is not on WhatsApp.",
    OnWhatsApp.UNKNOWN: "WhatsApp did not answer; nothing is known about the number yet.",
}
_BOUNCE_SENTENCES: Final = {
    "not_on_whatsapp": "WhatsApp refused a message: the number is not on it.",
    "undelivered_72h": "Two messages in a row did not arrive.",
}


class ValidationReason(Struct, frozen=True):
    """The reason of a transition: a code for programs, a sentence for people."""

    reason_code: str
    sentence: str


class ValidationTransitions:
    """Applies transitions in the caller's transaction; ``validity`` is how long one is valid."""

    def __init__(self, scoring: Scoring, aliases: Aliases, validity: timedelta) -> None:
        self._scoring = scoring
        self._aliases = aliases
        self._validity = validity

    def start_check(self, tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
        """Mark the prospect's number as being checked."""
        self._apply_transition(
            tx,
            prospect,
            ValidationEvent.CHECK_STARTED,
            now,
            reason=ValidationReason("check_started", "The number is being checked."),
            changes={"checked_at": now},
        )

    def apply_answer(self, tx: Tx, prospect: str, answer: NumberAnswer, now: datetime) -> None:
        """Apply a check's answer, if the prospect is still being checked."""
        before = self._resolve_prospect(tx, prospect, answer, now)
        # An inbound or an operator's decision that came meanwhile is better evidence.
        if before is None or before.validation is not ValidationState.CHECKING:
            return
        on_whatsapp = answer.answer
        _add_evidence(
            tx, before, EvidenceKind.ON_WHATSAPP, on_whatsapp.value, now=now, source=_CHECK_SOURCE
        )
        if on_whatsapp is OnWhatsApp.NO and before.on_whatsapp == OnWhatsApp.YES:
            _add_evidence(
                tx, before, EvidenceKind.BOUNCE, "check_turned_no", now=now, source=_CHECK_SOURCE
            )
        changes: dict[str, object] = {"on_whatsapp": on_whatsapp.value, "check_attempts": 0}
        if on_whatsapp is OnWhatsApp.UNKNOWN:
            changes = {"check_attempts": before.check_attempts + 1}
        if answer.whatsapp_id:
            changes["whatsapp_id"] = answer.whatsapp_id
        if on_whatsapp is OnWhatsApp.NO:
            _record_missing_number(tx, before.contact, now)
        reason = ValidationReason(f"check_{on_whatsapp.value}", _ANSWER_SENTENCES[on_whatsapp])
        self._apply_transition(
            tx, before, _ANSWER_EVENTS[on_whatsapp], now, reason=reason, changes=changes
        )

    def apply_operator_decision(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        *,
        validated: bool,
        who: str,
        reason: str,
        now: datetime,
    ) -> None:
        """Apply an operator's decision; a validation by it expires like any other."""
        event, changes, source = _REJECTED, {}, f"operator {who}"
        if validated:
            event, changes = _VALIDATED, {"on_whatsapp": OnWhatsApp.YES.value}
            kind = EvidenceKind.ON_WHATSAPP
            _add_evidence(
                tx, prospect, kind, OnWhatsApp.YES.value, now=now, source=source, quote=reason
            )
        transition_reason = ValidationReason(event.value, f"Entered by an operator: {reason}")
        self._apply_transition(
            tx, prospect, event, now, reason=transition_reason, changes=changes, source=source
        )

    def apply_bounce(self, tx: Tx, prospect: ProspectRecord, value: str, now: datetime) -> None:
        """Store that messages do not arrive; a validation holds no longer.

        ``value`` is one of :attr:`EvidenceKind.BOUNCE`.
        """
        _add_evidence(tx, prospect, EvidenceKind.BOUNCE, value, now=now, source=UNDELIVERED_SOURCE)
        if prospect.validation is ValidationState.VALIDATED:
            self._apply_transition(
                tx,
                prospect,
                ValidationEvent.BOUNCED,
                now,
                reason=ValidationReason("bounced", _BOUNCE_SENTENCES[value]),
                source=UNDELIVERED_SOURCE,
            )

    def apply_given_number(
        self, tx: Tx, prospect: ProspectRecord, *, source: str, quote: str, now: datetime
    ) -> int:
        """Validate a number that was given as WhatsApp; return the id of the evidence."""
        record = _add_evidence(
            tx,
            prospect,
            EvidenceKind.GIVEN_AS_WHATSAPP,
            GIVEN,
            now=now,
            source=source,
            quote=quote,
        )
        self._apply_transition(
            tx,
            prospect,
            _VALIDATED,
            now,
            reason=ValidationReason(
                "given_as_whatsapp", "They gave this number as their WhatsApp."
            ),
            changes={"on_whatsapp": OnWhatsApp.YES.value},
            source=source,
        )
        return record

    def take_back_given_number(
        self, tx: Tx, prospect: ProspectRecord, given: Evidence, now: datetime, *, source: str
    ) -> None:
        """End a validation that rests on ``given``; the number is unchecked then.

        Call it after the piece was withdrawn.
        """
        # What a check or a message of the contact has proved since then stays.
        if not is_validated_by(prospect, given):
            return
        known = evidence.list_contact_evidence(tx, prospect.contact)
        seen = next((each.value for each in known if each.kind is EvidenceKind.ON_WHATSAPP), None)
        self._apply_transition(
            tx,
            prospect,
            ValidationEvent.WORD_WITHDRAWN,
            now,
            reason=ValidationReason(
                "given_number_taken_back", "That they gave this number as their WhatsApp is off."
            ),
            changes={"on_whatsapp": seen or OnWhatsApp.UNKNOWN.value, "validated_at": None},
            source=source,
        )

    def take_back_undelivered(
        self, tx: Tx, prospect: ProspectRecord, given: Evidence, now: datetime
    ) -> None:
        """Withdraw a statement on a number because a message to it was not delivered."""
        evidence.withdraw_evidence(tx, prospect.contact, given, at=now, source=UNDELIVERED_SOURCE)
        self.take_back_given_number(tx, prospect, given, now, source=UNDELIVERED_SOURCE)

    def expire(self, tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
        """End a validation that is too old, or a check that got no answer."""
        if prospect.validation is ValidationState.CHECKING:
            reason = ValidationReason(
                "check_unanswered",
                "The check got no answer; nothing is known about the number yet.",
            )
            changes = {"check_attempts": prospect.check_attempts + 1}
            self._apply_transition(
                tx, prospect, ValidationEvent.UNKNOWN, now, reason=reason, changes=changes
            )
        else:
            reason = ValidationReason(
                "validation_expired", f"It is older than {self._validity.days} days."
            )
            self._apply_transition(
                tx, prospect, ValidationEvent.AGED, now, reason=reason, source="clock"
            )

    def _resolve_prospect(
        self, tx: Tx, prospect: str, answer: NumberAnswer, now: datetime
    ) -> ProspectRecord | None:
        """Return the prospect of an answer, or None.

        A hidden id in the answer becomes an alias, which may merge the contact with another one.
        """
        found = prospects.get_prospect(tx, prospect)
        if found is None or answer.alias is None:
            return found
        aliases = (
            *self._aliases.from_phone(found.phone),
            *self._aliases.from_identities(answer.alias),
        )
        return prospects.find_prospect_by_contact(tx, contacts.resolve_contact(tx, aliases, now))

    def _apply_transition(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        event: ValidationEvent,
        now: datetime,
        *,
        reason: ValidationReason,
        changes: Mapping[str, object] = MappingProxyType({}),
        source: str = _CHECK_SOURCE,
    ) -> None:
        """Fire the event and store all that follows from it. Raises IllegalTransition."""
        state = fire_event(restore_machine(ValidationMachine, prospect.validation), event)
        columns: dict[str, object] = {
            "validation": state.value,
            "validado_tecnicamente": validado_tecnicamente_from_state(state),
            "expires_at": None,
        }
        if state is ValidationState.VALIDATED:
            columns |= {"validated_at": now, "expires_at": now + self._validity}
        prospects.update_prospect(tx, prospect.id, at=now, **columns, **changes)
        if state in _EVIDENCE_STATES:
            _add_evidence(
                tx,
                prospect,
                EvidenceKind.VALIDATION,
                state.value,
                now=now,
                source=source,
                quote=reason.sentence,
            )
        self._refresh_and_emit(tx, prospect, now, reason)
        # Whatever the result is, the gate decides what it means for the messages that waited.
        if state is not ValidationState.CHECKING:
            queue.requeue_waiting_messages(tx, now, WaitsFor.CHECKED, contact=prospect.contact)

    def _refresh_and_emit(
        self, tx: Tx, prospect: ProspectRecord, now: datetime, reason: ValidationReason
    ) -> None:
        """Recompute permission and score, and emit ``prospect.changed`` exactly once."""
        # Scoring emits it only where a column of its own changed.
        emitted_before = len(tx.emitted)
        self._scoring.refresh_prospect(
            tx, prospect.contact, now, reason_code=reason.reason_code, sentence=reason.sentence
        )
        if len(tx.emitted) > emitted_before:
            return
        after = prospects.require_prospect(tx, prospect.id).as_of(now)
        tx.emit(
            ProspectChanged(
                subject=after.id,
                at=now,
                validation=after.validation.value,
                validado_tecnicamente=after.validado_tecnicamente,
                score_contactabilidad=after.score_contactabilidad,
                permission=after.permission,
                reason_code=reason.reason_code,
                sentence=reason.sentence,
            )
        )


def build_validation_transitions(
    scoring: Scoring, aliases: Aliases, settings: Settings
) -> ValidationTransitions:
    """Return the transitions with the validity of the settings."""
    return ValidationTransitions(scoring, aliases, timedelta(days=settings.validation.valid_days))


def is_validated_by(prospect: ProspectRecord, given: Evidence) -> bool:
    """Return whether a validation rests on this statement and on nothing newer."""
    return prospect.validation is ValidationState.VALIDATED and prospect.validated_at == given.at


def has_delivery_failed(prospect: ProspectRecord, known: Sequence[Evidence]) -> bool:
    """Return whether a check or a message showed that the number does not work on WhatsApp."""
    return prospect.validation is ValidationState.NOT_REACHABLE or any(
        each.kind is EvidenceKind.WITHDRAWN and each.source == UNDELIVERED_SOURCE for each in known
    )


def require_no_failure(prospect: ProspectRecord, known: Sequence[Evidence]) -> None:
    """Raise Conflict where :func:`has_delivery_failed`."""
    if has_delivery_failed(prospect, known):
        raise Conflict(
            "A message or a check showed that this number does not work on WhatsApp.",
            hint="If you know better, validate it by hand, and say how you know.",
        )


def _record_missing_number(tx: Tx, contact: str, now: datetime) -> None:
    """Record what came of messages to a number that a check did not find."""
    # Who was never written to has no outcome.
    last = outcome_queries.get_latest_left(tx, contact)
    if last is not None:
        outcomes.insert_outcome(
            tx,
            contact,
            Outcome.NUMBER_DOES_NOT_EXIST,
            at=now,
            who=_CHECK_SOURCE,
            message=last.id,
        )


def _add_evidence(
    tx: Tx,
    prospect: ProspectRecord,
    kind: EvidenceKind,
    value: str,
    *,
    now: datetime,
    source: str,
    quote: str = "",
) -> int:
    return evidence.insert_evidence(
        tx, prospect.contact, kind, value, at=now, source=source, quote=quote
    )
