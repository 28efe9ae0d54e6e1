"""The gate: facts for one message → rules and opinions → decision → permit.

It is asked twice, on enqueue and at release, and it fails closed: whatever goes
wrong in here lets nothing through and destroys nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

import rules
from daemon import facts, floor, places
from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitSigner
from daemon.api.questions import Defer, DeferKind, Effect, Opinion, Question
from daemon.plugin_manager import Answer, Plugins
from daemon.rulebook import Judges, Rulebook
from storage import circumstances
from storage.circumstances import Circumstances
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReviewOutcome

log = structlog.get_logger("gate")

_SHORTEST_WAIT = timedelta(seconds=1)
"""A deferral that ends at once, as a plugin may ask for, must not keep the gate spinning."""


class Phase(StrEnum):
    """Which of its two looks the gate takes."""

    ENQUEUE = "enqueue"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Fault:
    """The gate could not judge: why, for people and for alarms."""

    reason_code: str
    sentence: str
    dump: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one message: a decision, or a fault, and all that it was based on.

    ``until`` is when the last timed deferral ends, if there is one.
    """

    message: MessageRecord
    phase: Phase
    at: datetime
    around: Circumstances
    facts: facts.Facts
    outcome: rules.Decision | Fault
    ruleset: str
    microseconds: int
    until: datetime | None = None
    shadow: rules.Decision | None = None

    @property
    def allows(self) -> bool:
        """Tell whether the message may go."""
        return isinstance(self.outcome, rules.Decision) and (
            self.outcome.verdict is rules.Verdict.ALLOW
        )

    @property
    def first_contact(self) -> bool:
        """Tell whether this would be the first that ever went between us."""
        return bool(self.facts["message.first_contact"])


class Gate:
    """Judges messages. It reads, asks and signs; it never writes and never sends."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        rulebook: Rulebook,
        signer: PermitSigner,
        clock: Clock,
    ) -> None:
        self._database = database
        self._plugins = plugins
        self._rulebook = rulebook
        self._signer = signer
        self._clock = clock
        self.faults = 0

    async def look(self, message: MessageRecord, phase: Phase) -> Look:
        """Judge a message as things are now. Raises only what storage raises."""
        at = self._clock.now()
        around = await self._database.read(lambda reader: circumstances.around(reader, message, at))
        judges = self._rulebook.judges  # one rule set from here to the end, whatever is swapped in
        known: facts.Facts = {"message.kind": message.kind, "message.first_contact": True}
        until, microseconds, shadow = None, 0, None
        try:
            known = self._facts(judges, message, around)
            answers = await self._plugins.judge(_question(message, known))
            begun = time.perf_counter()
            outcome = self._judge(judges, known, answers, around)
            microseconds = round((time.perf_counter() - begun) * 1e6)
            until = _until(judges, outcome, message, around)
            shadow = self._shadow(outcome, message, known, around)
        except Exception as error:
            log.exception("gate_failed", message=message.id)
            outcome = self._fault("gate_failed", f"The gate failed: {type(error).__name__}.", {})
        return Look(
            message=message,
            phase=phase,
            at=at,
            around=around,
            facts=known,
            outcome=outcome,
            ruleset=judges.gate.ruleset.hash,
            microseconds=microseconds,
            until=until,
            shadow=shadow,
        )

    def permit(self, look: Look, decision: str, valid: timedelta) -> Permit:
        """Sign leave for exactly what was looked at; ``decision`` is the stored decision's id."""
        if not look.allows:
            msg = "a permit was asked for a message that the gate did not allow"
            raise ValueError(msg)
        message = look.message
        unsigned = Permit(
            id=new_id("per", look.at),
            message=message.id,
            recipient=message.recipient,
            body=message.body_hash,
            session=message.session,
            decision=decision,
            ruleset=look.ruleset,
            expires_at=look.at + valid,
        )
        return self._signer.sign(unsigned)

    def _facts(self, judges: Judges, message: MessageRecord, around: Circumstances) -> facts.Facts:
        known = facts.of_prospect(
            around.prospect, around.evidence, suppressed=around.suppressed, at=around.at
        )
        known |= facts.of_message(message, around)
        place = places.of(message.recipient, around.session.time_zone)
        known |= place.clock_facts(judges.gate.ruleset, around.at)
        if around.prospect is not None:
            score = known["prospect.score_contactabilidad"] = _score(judges, known)
            known["prospect.review"] = facts.review_of(
                around.review_reason, around.reviewed, in_band=score in judges.review_band
            )
        return known

    def _shadow(
        self,
        outcome: rules.Decision | Fault,
        message: MessageRecord,
        known: facts.Facts,
        around: Circumstances,
    ) -> rules.Decision | None:
        """Return what the shadow would have said of the same facts; its trouble is nobody's."""
        shadow = self._rulebook.shadow
        if shadow is None or isinstance(outcome, Fault):
            return None
        try:
            place = places.of(message.recipient, around.session.time_zone)
            seen = {**known, **place.clock_facts(shadow.gate.ruleset, around.at)}
            seen["prospect.score_contactabilidad"] = _score(shadow, known)
            return floor.under(shadow.gate.decide(seen, outcome.opinions), seen)
        except Exception:
            log.exception("shadow_failed", message=message.id)
            return None

    def _judge(
        self,
        judges: Judges,
        known: Mapping[str, object],
        answers: Sequence[Answer],
        around: Circumstances,
    ) -> rules.Decision | Fault:
        late = next((answer for answer in answers if answer.failure), None)
        if late:
            return self._fault("plugin_opinion_missing", late.failure, {"plugin": late.plugin})
        opinions = _core_opinions(known, around)
        for answer in answers:
            if isinstance(answer.value, Opinion) and _is_sound(answer.value):
                opinions.append(answer.value)
            elif answer.value is not None:
                sentence = f"The plugin {answer.plugin!r} gave an answer that is no opinion."
                return self._fault("plugin_opinion_invalid", sentence, {"plugin": answer.plugin})
        try:
            decision = judges.gate.decide(known, opinions)
        except rules.GateFault as fault:
            return self._fault(fault.reason_code, fault.sentence, fault.dump)
        return floor.under(decision, known)

    def _fault(self, reason_code: str, sentence: str, dump: Mapping[str, object]) -> Fault:
        self.faults += 1
        log.error("gate_faulted", reason_code=reason_code)
        return Fault(reason_code, sentence, dump)


def _score(judges: Judges, known: Mapping[str, object]) -> int | None:
    """Return the score as of now; a fault leaves it unknown, which blocks."""
    try:
        return judges.score.score(known).score
    except rules.GateFault as fault:
        log.exception("score_faulted", reason_code=fault.reason_code)
        return None


def _until(
    judges: Judges,
    outcome: rules.Decision | Fault,
    message: MessageRecord,
    around: Circumstances,
) -> datetime | None:
    """Return when the last of a decision's timed deferrals ends, if any does."""
    if isinstance(outcome, Fault):
        return None
    place = places.of(message.recipient, around.session.time_zone)
    ends = (
        place.next_opening(judges.gate.ruleset, defer.window, around.at)
        if defer.window is not None
        else around.at + timedelta(seconds=defer.seconds or 0)
        for defer in outcome.defers
        if defer.window is not None or defer.seconds is not None
    )
    last = max((end for end in ends if end is not None), default=None)
    return None if last is None else max(last, around.at + _SHORTEST_WAIT)


def _question(message: MessageRecord, known: facts.Facts) -> Question:
    return Question(message.id, message.recipient, message.session, message.channel, dict(known))


def _is_sound(opinion: Opinion) -> bool:
    """Tell whether its words are ours: a plain "block" would be no effect, and block nothing."""
    defer = opinion.defer
    return isinstance(opinion.effect, Effect) and (
        defer is None or (isinstance(defer, Defer) and isinstance(defer.kind, DeferKind))
    )


def _core_opinions(known: Mapping[str, object], around: Circumstances) -> list[Opinion]:
    """Return the core's own word: a person should read theirs first, or said no to them."""
    if known["message.kind"] != "commercial":
        return []
    if around.review_reason:
        return [Opinion("core", Effect.HOLD, around.review_reason)]
    if around.reviewed and around.reviewed.word is ProspectReviewOutcome.REJECTED:
        sentence = f"A person rejected this prospect: {around.reviewed.reason}"
        return [Opinion("core", Effect.BLOCK, sentence)]
    return []
