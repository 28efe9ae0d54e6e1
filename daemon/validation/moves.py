"""The moves of a prospect's validation: the machine's, what follows from it, and the news."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from daemon.aliases import Aliases
from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.events import ProspectChanged
from daemon.scoring import Scoring
from statemachines.machine import fire, restore
from statemachines.prospect import (
    ValidationEvent,
    ValidationMachine,
    ValidationState,
    validado_tecnicamente_of,
)
from storage import contacts, evidence, prospects
from storage.evidence import EvidenceKind
from storage.prospects import ProspectRecord
from storage.tx import Tx

_ANSWERED = {
    OnWhatsApp.YES: ValidationEvent.FOUND,
    OnWhatsApp.NO: ValidationEvent.NOT_FOUND,
    OnWhatsApp.UNKNOWN: ValidationEvent.UNKNOWN,
}
_VALIDATED, _REJECTED = ValidationEvent.OPERATOR_VALIDATED, ValidationEvent.OPERATOR_REJECTED
_WORTH_KEEPING = frozenset(
    {ValidationState.VALIDATED, ValidationState.NOT_REACHABLE, ValidationState.EXPIRED}
)
_CHECK = "number check"
_SENTENCES = {
    OnWhatsApp.YES: "WhatsApp knows the number.",
    OnWhatsApp.NO: "WhatsApp does not know the number.",
    OnWhatsApp.UNKNOWN: "WhatsApp gave no answer; that says nothing about the number.",
}


@dataclass(frozen=True, slots=True)
class Why:
    """The reason of a move, as people read it and as machines do."""

    reason_code: str
    sentence: str


class Moves:
    """Makes the moves inside write jobs; ``validity`` is how long a validation holds."""

    def __init__(self, scoring: Scoring, aliases: Aliases, validity: timedelta) -> None:
        self._scoring = scoring
        self._aliases = aliases
        self._validity = validity

    def begin(self, tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
        """Note that the number is being asked about."""
        self._move(
            tx,
            prospect,
            ValidationEvent.CHECK_STARTED,
            now,
            why=Why("check_started", "The number is being checked."),
            known={"checked_at": now},
        )

    def settle(self, tx: Tx, prospect: str, answer: NumberAnswer, now: datetime) -> None:
        """Take a check's answer, unless a word of theirs or an operator's came first."""
        before = self._identified(tx, prospect, answer, now)
        if before is None or before.validation is not ValidationState.CHECKING:
            return
        told = answer.answer
        _note(tx, before, EvidenceKind.ON_WHATSAPP, told.value, now=now, source=_CHECK)
        if told is OnWhatsApp.NO and before.on_whatsapp == OnWhatsApp.YES:
            _note(tx, before, EvidenceKind.BOUNCE, "check_turned_no", now=now, source=_CHECK)
        known: dict[str, object] = {"on_whatsapp": told.value, "check_attempts": 0}
        if told is OnWhatsApp.UNKNOWN:
            known = {"check_attempts": before.check_attempts + 1}
        if answer.whatsapp_id:
            known["whatsapp_id"] = answer.whatsapp_id
        why = Why(f"check_{told.value}", _SENTENCES[told])
        self._move(tx, before, _ANSWERED[told], now, why=why, known=known)

    def by_hand(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        *,
        validated: bool,
        who: str,
        reason: str,
        now: datetime,
    ) -> None:
        """Take an operator's word; it expires like any other validation."""
        event, known, source = _REJECTED, {}, f"operator {who}"
        if validated:
            event, known = _VALIDATED, {"on_whatsapp": OnWhatsApp.YES.value}
            kind = EvidenceKind.ON_WHATSAPP
            _note(tx, prospect, kind, OnWhatsApp.YES.value, now=now, source=source, quote=reason)
        why = Why(event.value, f"An operator's word: {reason}")
        self._move(tx, prospect, event, now, why=why, known=known, source=source)

    def lapse(self, tx: Tx, prospect: ProspectRecord, now: datetime) -> None:
        """Let a validation that is too old, or a check without an answer, count no longer."""
        if prospect.validation is ValidationState.CHECKING:
            why = Why("check_unanswered", "The check was never answered; that says nothing.")
            known = {"check_attempts": prospect.check_attempts + 1}
            self._move(tx, prospect, ValidationEvent.UNKNOWN, now, why=why, known=known)
        else:
            why = Why("validation_expired", f"It is older than {self._validity.days} days.")
            self._move(tx, prospect, ValidationEvent.AGED, now, why=why, source="clock")

    def _identified(
        self, tx: Tx, prospect: str, answer: NumberAnswer, now: datetime
    ) -> ProspectRecord | None:
        """Return the prospect; a hidden id in the answer may show who it really is."""
        found = prospects.get(tx, prospect)
        if found is None or answer.lid is None:
            return found
        line = (*self._aliases.of_phone(found.phone), *self._aliases.of_lid(answer.lid))
        return prospects.of_contact(tx, contacts.resolve(tx, line, now))

    def _move(
        self,
        tx: Tx,
        prospect: ProspectRecord,
        event: ValidationEvent,
        now: datetime,
        *,
        why: Why,
        known: Mapping[str, object] = MappingProxyType({}),
        source: str = _CHECK,
    ) -> None:
        """Move the machine and everything that follows from it; raise IllegalMove."""
        state = fire(restore(ValidationMachine, prospect.validation), event)
        columns: dict[str, object] = {
            "validation": state.value,
            "validado_tecnicamente": validado_tecnicamente_of(state),
            "expires_at": None,
        }
        if state is ValidationState.VALIDATED:
            columns |= {"validated_at": now, "expires_at": now + self._validity}
        prospects.update(tx, prospect.id, at=now, **columns, **known)
        if state in _WORTH_KEEPING:
            _note(
                tx,
                prospect,
                EvidenceKind.VALIDATION,
                state.value,
                now=now,
                source=source,
                quote=why.sentence,
            )
        self._tell(tx, prospect, now, why)

    def _tell(self, tx: Tx, prospect: ProspectRecord, now: datetime, why: Why) -> None:
        """Recompute what derives, and publish the move also where no score changed by it."""
        told = len(tx.emitted)
        self._scoring.refresh(
            tx, prospect.contact, now, reason_code=why.reason_code, sentence=why.sentence
        )
        if len(tx.emitted) > told:
            return
        after = prospects.must(tx, prospect.id)
        tx.emit(
            ProspectChanged(
                subject=after.id,
                at=now,
                validation=after.validation.value,
                validado_tecnicamente=after.validado_tecnicamente,
                score_contactabilidad=after.score_contactabilidad,
                permission=after.permission,
                reason_code=why.reason_code,
                sentence=why.sentence,
            )
        )


def _note(
    tx: Tx,
    prospect: ProspectRecord,
    kind: EvidenceKind,
    value: str,
    *,
    now: datetime,
    source: str,
    quote: str = "",
) -> None:
    evidence.add(tx, prospect.contact, kind, value, at=now, source=source, quote=quote)
