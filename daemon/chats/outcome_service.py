"""Stores what a message of theirs says came of a conversation, and takes it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.effects import Intent
from daemon.contacts.validation_transitions import ValidationTransitions
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.events import ConversationChanged
from daemon.gate.consent import CONVERSATION_OPENERS
from daemon.gate.scoring import Scoring
from daemon.inbound.classification_effects import ClassificationEffects
from daemon.outbox.enqueue import build_message
from statemachines.message import CANCELLABLE_STATES
from statemachines.vocabulary import MessageKind
from storage import (
    audit,
    contacts,
    conversation_queries,
    conversations,
    evidence,
    inbound,
    messages,
    outcomes,
    prospects,
)
from storage.column_formats import format_timestamp, parse_timestamp
from storage.db import Database
from storage.evidence import Evidence, EvidenceKind
from storage.inbound import InboundRecord
from storage.inbound_reviews import Meaning
from storage.messages import MessageRecord
from storage.outcomes import NEXT_ACTIONS, READ_OUTCOMES, Outcome, OutcomeRecord
from storage.prospects import ProspectRecord
from storage.tx import Tx

UNDO_WINDOW: Final = timedelta(seconds=10)
"""How long an outcome can be taken back."""
_RECORDED: Final = "outcome_recorded"
_CANCELLED_SENTENCE: Final = "A person has said what came of the conversation; it is not sent."
_VALIDATION_COLUMNS: Final = ("validation", "validado_tecnicamente", "validated_at", "expires_at")
_CANCELS: Final[Mapping[Outcome, bool]] = {
    Outcome.NOT_INTERESTED: True,
    Outcome.NUMBER_CHANGED_OWNER: False,
}
"""Outcomes that cancel what waits for them, and whether commercial messages alone."""
_CLASSIFIES: Final[Mapping[Outcome, Meaning]] = {
    Outcome.INTERESTED: Meaning.WELCOME,
    Outcome.NOT_INTERESTED: Meaning.NO,
    Outcome.THIRD_PARTY: Meaning.THIRD_PARTY,
    Outcome.NUMBER_CHANGED_OWNER: Meaning.NUMBER_CHANGED_OWNER,
}
_CONSENTS: Final = frozenset({"opted_in", "relationship"})


class OutcomeCommand(Struct, frozen=True, kw_only=True):
    """What a person says of a conversation: who, when, and by which message of theirs.

    ``refuse``: of somebody who is not interested, that nothing commercial is written to them again.
    """

    contact: str
    outcome: Outcome
    message: InboundRecord
    who: str
    at: datetime
    refuse: bool

    @property
    def source(self) -> str:
        """Return where the evidence comes from that this becomes."""
        return f"classified by {self.who}"


class OutcomeResult(Struct, frozen=True, kw_only=True):
    """A stored outcome; ``id`` is None and ``erased`` true for a minor, of whom nothing is kept.

    ``undo_until``: until then it can be taken back.
    """

    contact: str
    id: int | None
    outcome: Outcome
    next_action: str
    cancelled_messages: int
    erased: bool
    undo_until: datetime | None


class OutcomeService:
    """Stores outcomes with their effects. Nothing is overwritten: what is undone is a row more."""

    def __init__(
        self,
        database: Database,
        erasure: ClassificationEffects,
        scoring: Scoring,
        transitions: ValidationTransitions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._erasure = erasure
        self._scoring = scoring
        self._transitions = transitions
        self._clock = clock

    async def record(
        self,
        contact: str,
        outcome: Outcome,
        who: str,
        *,
        inbound_id: str = "",
        refuse: bool = True,
        confirmed: bool = False,
    ) -> OutcomeResult:
        """Store what came of a conversation, with the message that shows it; the chat is closed.

        Without ``inbound_id`` their last message shows it. ``minor`` erases everything, can't be
        undone, and needs ``confirmed``. Raises :class:`NotFound`, :class:`BadRequest` and
        :class:`Conflict`.
        """
        _require_readable(outcome, confirmed=confirmed)
        now = self._clock.now()

        def job(tx: Tx) -> OutcomeResult:
            known = contacts.get_merged_contact(tx, contact)
            command = OutcomeCommand(
                contact=known,
                outcome=outcome,
                message=find_inbound(tx, known, inbound_id),
                who=who,
                at=now,
                refuse=refuse,
            )
            _audit(tx, command, "outcome_recorded")
            if outcome is Outcome.MINOR:
                return self._erase(tx, command)
            return self._store(tx, command)

        return await self._database.write(job, urgent=True)

    async def undo(self, contact: str, id_: int, who: str) -> OutcomeRecord:
        """Take an outcome back within ten seconds, and restore what it changed.

        Cancelled messages are queued again as new ones, which the gate judges. Raises
        :class:`NotFound`, and :class:`Conflict` where it is too late or was done.
        """
        now = self._clock.now()

        def job(tx: Tx) -> OutcomeRecord:
            record = _require_undoable(tx, contacts.get_merged_contact(tx, contact), id_, now)
            self._restore(tx, record, who, now)
            outcomes.insert_outcome(
                tx, record.contact, record.outcome, at=now, who=who, inbound=record.inbound,
                quote=record.quote, undoes=record.id,
            )  # fmt: skip
            audit.insert_audit_entry(
                tx, at=now, who=who, action="outcome_undone", subject=record.contact
            )
            emit_change(tx, record.contact, "outcome_undone", who, now)
            return record

        return await self._database.write(job, urgent=True)

    async def set_intent(
        self, contact: str, intent: Intent, who: str, *, inbound_id: str = ""
    ) -> ProspectRecord:
        """Store what a message of theirs says of their purchase intent; else their last one.

        Raises NotFound, and Conflict for somebody who is no prospect, or where the message has no
        words: who asks for it or is clearly interested has said so.
        """
        now = self._clock.now()

        def job(tx: Tx) -> ProspectRecord:
            known = contacts.get_merged_contact(tx, contact)
            message = find_inbound(tx, known, inbound_id)
            prospect = prospects.find_prospect_by_contact(tx, known)
            if prospect is None:
                raise Conflict("They are no prospect.", hint="Add them as a prospect first.")
            if intent in {Intent.CLEAR, Intent.ASKED} and not message.text:
                raise Conflict("That message has no words.", hint="Choose the one that says so.")
            evidence.insert_evidence(
                tx, known, EvidenceKind.INTENT, intent.value, at=message.at,
                source=f"classified by {who}", quote=message.text, inbound=message.id,
            )  # fmt: skip
            prospects.update_prospect(tx, prospect.id, at=now, intent=intent.value)
            detail = {"intent": intent.value, "inbound": message.id}
            audit.insert_audit_entry(
                tx, at=now, who=who, action="intent_set", subject=known, detail=detail
            )
            self._refresh(tx, known, now)
            emit_change(tx, known, "intent", who, now)
            return prospects.require_prospect(tx, prospect.id).as_of(now)

        return await self._database.write(job, urgent=True)

    def _erase(self, tx: Tx, command: OutcomeCommand) -> OutcomeResult:
        emit_change(tx, command.contact, "outcome", command.who, command.at)
        cancelled = self._erasure.erase_minor(tx, command.contact, who=command.who, at=command.at)
        return _build_result(command, None, cancelled)

    def _store(self, tx: Tx, command: OutcomeCommand) -> OutcomeResult:
        before = prospects.find_prospect_by_contact(tx, command.contact)
        cancelled = _cancel_messages(tx, command)
        withdrawn = _end_consent(tx, command)
        added = _add_evidence(tx, command, before)
        self._reject_number(tx, command, before)
        was_closed = conversations.get_conversation(tx, command.contact).closed_after
        conversations.close_conversation(tx, command.contact, who=command.who, at=command.at)
        changed = build_changes(
            added=added,
            withdrawn=withdrawn,
            cancelled=cancelled,
            prospect=keep_columns(before),
            reopen=was_closed is None,
        )
        id_ = outcomes.insert_outcome(
            tx,
            command.contact,
            command.outcome,
            at=command.at,
            who=command.who,
            inbound=command.message.id,
            quote=command.message.text,
            changed=changed,
        )
        self._refresh(tx, command.contact, command.at)
        emit_change(tx, command.contact, "outcome", command.who, command.at)
        return _build_result(command, id_, len(cancelled))

    def _reject_number(
        self, tx: Tx, command: OutcomeCommand, prospect: ProspectRecord | None
    ) -> None:
        if command.outcome is Outcome.NUMBER_CHANGED_OWNER and prospect is not None:
            self._transitions.apply_operator_decision(
                tx,
                prospect,
                validated=False,
                who=command.who,
                reason="the number has changed its owner",
                now=command.at,
            )

    def _restore(self, tx: Tx, record: OutcomeRecord, who: str, now: datetime) -> None:
        """Withdraw what was added, add again what was withdrawn, and queue what was cancelled."""
        changed, source = record.changed, f"undone by {who}"
        for id_ in changed["added"]:
            if piece := evidence.get_evidence(tx, id_):
                evidence.withdraw_evidence(tx, record.contact, piece, at=now, source=source)
        for id_ in changed["withdrawn"]:
            if piece := evidence.get_evidence(tx, id_):
                evidence.insert_evidence_pieces(tx, [(record.contact, piece)])
        prospect = prospects.find_prospect_by_contact(tx, record.contact)
        if prospect is not None and changed["prospect"]:
            prospects.update_prospect(tx, prospect.id, at=now, **_read_columns(changed["prospect"]))
        if changed["reopen"]:
            conversations.reopen_conversation(tx, record.contact)
        for id_ in changed["cancelled"]:
            _queue_again(tx, messages.require_message(tx, id_), who, now)
        self._refresh(tx, record.contact, now)

    def _refresh(self, tx: Tx, contact: str, at: datetime) -> None:
        self._scoring.refresh_prospect(
            tx, contact, at, reason_code=_RECORDED, sentence="A person has said what came of it."
        )


def build_changes(
    *,
    added: Sequence[int] = (),
    withdrawn: Sequence[int] = (),
    cancelled: Sequence[str] = (),
    prospect: Mapping[str, object] | None = None,
    reopen: bool = False,
) -> dict[str, object]:
    """Return what an outcome changed, for the taking back: evidence, messages, columns, chat."""
    return {
        "added": added,
        "withdrawn": withdrawn,
        "cancelled": cancelled,
        "prospect": prospect or {},
        "reopen": reopen,
    }


def find_inbound(tx: Tx, contact: str, id_: str) -> InboundRecord:
    """Return the message that shows an outcome. Raises NotFound for one of somebody else."""
    last = id_ or conversations.get_last_inbound(tx, contact)
    record = inbound.get_inbound(tx, last) if last else None
    if record is None or record.contact != contact:
        raise NotFound(f"There is no message {id_} of theirs." if id_ else "They wrote nothing.")
    if not conversation_queries.is_known(tx, contact):
        raise Conflict("Nobody here knows who this is.", hint="Add them as a prospect first.")
    return record


def _cancel_messages(tx: Tx, command: OutcomeCommand) -> list[str]:
    """Cancel what waits for them, as far as the outcome says so; return which."""
    if command.outcome not in _CANCELS:
        return []
    waiting = messages.list_contact_messages(tx, command.contact, CANCELLABLE_STATES)
    commercial_only = _CANCELS[command.outcome]
    messages.cancel_unsent_messages(
        tx,
        command.contact,
        at=command.at,
        reason_code=_RECORDED,
        sentence=_CANCELLED_SENTENCE,
        who=command.who,
        commercial_only=commercial_only,
    )
    return [
        each.id
        for each in waiting
        if each.kind != MessageKind.OPT_OUT_CONFIRMATION
        and (each.kind == MessageKind.COMMERCIAL or not commercial_only)
    ]


def _end_consent(tx: Tx, command: OutcomeCommand) -> list[int]:
    """Withdraw what the former owner of a number agreed to; return which pieces."""
    if command.outcome is not Outcome.NUMBER_CHANGED_OWNER:
        return []
    known = evidence.drop_withdrawn(evidence.list_contact_evidence(tx, command.contact))
    found = [each for each in known if _is_consent(each)]
    for piece in found:
        evidence.withdraw_evidence(tx, command.contact, piece, at=command.at, source=command.source)
    return [each.id for each in found]


def _is_consent(piece: Evidence) -> bool:
    match piece.kind:
        case EvidenceKind.CONSENT | EvidenceKind.MAY_SHARE:
            return True
        case EvidenceKind.PERMISSION:
            return piece.value in _CONSENTS
        case EvidenceKind.INBOUND:
            return piece.value in CONVERSATION_OPENERS
        case EvidenceKind.CLASSIFICATION:
            return piece.value == Meaning.WELCOME
    return False


def _add_evidence(tx: Tx, command: OutcomeCommand, prospect: ProspectRecord | None) -> list[int]:
    """Add what the outcome says of their message, by the date of its writing; return the ids."""
    pieces = [(EvidenceKind.CLASSIFICATION, _CLASSIFIES[command.outcome].value)]
    if command.outcome is Outcome.NOT_INTERESTED and not command.refuse:
        pieces = []
    intent = _choose_intent(command.outcome, prospect)
    pieces.append((EvidenceKind.INTENT, intent.value))
    if prospect is not None:
        prospects.update_prospect(tx, prospect.id, at=command.at, intent=intent.value)
    return [
        evidence.insert_evidence(
            tx,
            command.contact,
            kind,
            value,
            at=command.message.at,
            source=command.source,
            quote=command.message.text,
            inbound=command.message.id,
        )
        for kind, value in pieces
    ]


def _choose_intent(outcome: Outcome, prospect: ProspectRecord | None) -> Intent:
    """Return the purchase intent: who asked for it keeps that; other outcomes show none."""
    if outcome is not Outcome.INTERESTED:
        return Intent.NONE
    asked = prospect is not None and prospect.intent == Intent.ASKED
    return Intent.ASKED if asked else Intent.CLEAR


def keep_columns(prospect: ProspectRecord | None) -> dict[str, object]:
    """Return what an outcome may change of a prospect, as it is before it."""
    if prospect is None:
        return {}
    kept = {name: getattr(prospect, name) for name in ("intent", *_VALIDATION_COLUMNS)}
    return {
        name: format_timestamp(value) if isinstance(value, datetime) else value
        for name, value in kept.items()
    }


def _read_columns(kept: Mapping[str, Any]) -> dict[str, Any]:
    times = {"validated_at", "expires_at"}
    return {
        name: parse_timestamp(value) if name in times and value else value
        for name, value in kept.items()
    }


def _queue_again(tx: Tx, message: MessageRecord, who: str, now: datetime) -> None:
    """Queue a copy of a cancelled message, unless its time is over."""
    if message.not_after <= now or not message.text:
        return
    copy = build_message(
        at=now,
        contact=message.contact,
        recipient=message.recipient,
        session=message.session,
        channel=message.channel,
        text=message.text,
        kind=MessageKind(message.kind),
        not_after=message.not_after,
        expires_by_default=message.expires_by_default,
        template=message.template,
        typed=message.typed,
        campaign=message.campaign,
        not_before=message.not_before,
    )
    messages.insert_message(tx, copy, who=who)


def _require_undoable(tx: Tx, contact: str, id_: int, now: datetime) -> OutcomeRecord:
    record = outcomes.get_outcome(tx, id_)
    if record is None or record.contact != contact or record.undoes is not None:
        raise NotFound(f"There is no outcome {id_} of this chat.")
    standing: Sequence[OutcomeRecord] = outcomes.list_contact_outcomes(tx, contact)
    if not standing or standing[0].id != id_:
        raise Conflict("It was undone already, or another outcome came after it.")
    if now > record.at + UNDO_WINDOW:
        raise Conflict(
            "It is more than ten seconds old.", hint="Record what is right as a new outcome."
        )
    return record


def _require_readable(outcome: Outcome, *, confirmed: bool) -> None:
    if outcome not in READ_OUTCOMES:
        raise BadRequest(
            f"outcome: {outcome.value} is not read from a message of theirs.",
            hint="Record it of the person: leadmaster prospects outcome PROSPECT OUTCOME",
        )
    if outcome is Outcome.MINOR and not confirmed:
        raise BadRequest(
            "confirmed: a minor's data is erased for ever, which a person confirms.",
            hint="Confirm it, if they really are under 18.",
        )


def _audit(tx: Tx, command: OutcomeCommand, action: str) -> None:
    detail = {"outcome": command.outcome.value, "inbound": command.message.id}
    audit.insert_audit_entry(
        tx, at=command.at, who=command.who, action=action, subject=command.contact, detail=detail
    )


def emit_change(tx: Tx, contact: str, change: str, who: str, at: datetime) -> None:
    """Announce that something was done to a chat."""
    tx.emit(ConversationChanged(subject=contact, at=at, change=change, who=who))


def _build_result(command: OutcomeCommand, id_: int | None, cancelled: int) -> OutcomeResult:
    return OutcomeResult(
        contact=command.contact,
        id=id_,
        outcome=command.outcome,
        next_action=NEXT_ACTIONS[command.outcome].value,
        cancelled_messages=cancelled,
        erased=id_ is None,
        undo_until=None if id_ is None else command.at + UNDO_WINDOW,
    )
