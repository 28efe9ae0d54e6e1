"""The gate: facts of one message → rules and opinions → decision → permit.

A message is evaluated at least twice, on enqueue and at release. The gate fails closed: after a
fault a message is not sent, and not lost either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from msgspec.structs import replace

import rules
from daemon.api.clock import Clock
from daemon.api.opinions import OpinionRequest
from daemon.api.permit import Permit, PermitSigner
from daemon.gate import consent, facts, hard_limits, recipient_locale
from daemon.late_imports import LateImport
from daemon.plugin_manager import PluginAnswer, Plugins
from daemon.rulesets.active import ActiveRulesets, CompiledRulesets
from rules.verdict import Defer, DeferKind, Opinion, VetoEffect
from statemachines.vocabulary import MessageKind
from storage import evaluation_context
from storage.db import Database
from storage.evaluation_context import EvaluationContext
from storage.ids import new_id
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReviewOutcome

log = structlog.get_logger("gate")

# A plugin may ask for a deferral that ends at once, which would keep the gate busy for ever.
_FAILED_SENTENCE: Final = "The rules could not be applied; see the log."
_UNKNOWN_WAIT = timedelta(hours=1)
"""The wait for a count to fall that is 0 already, and for days that have passed already."""
_SHORTEST_WAIT = timedelta(seconds=1)


class EvaluationPhase(StrEnum):
    """When a message is evaluated: on enqueue, or at its release."""

    ENQUEUE = "enqueue"
    RELEASE = "release"


class EvaluationFault(Struct, frozen=True):
    """The gate could not decide: a code, a sentence for people, and values to keep for repair."""

    reason_code: str
    sentence: str
    dump: Mapping[str, object]


class Evaluation(Struct, frozen=True):
    """The result of evaluating one message: a decision or a fault, and the facts that it used.

    ``deferred_until`` is when the last timed deferral ends, or None. ``shadow`` is the decision of
    the shadow rulesets, which is only counted.
    """

    message: MessageRecord
    phase: EvaluationPhase
    at: datetime
    context: EvaluationContext
    facts: facts.Facts
    outcome: rules.Decision | EvaluationFault
    ruleset: str
    score_ruleset: str
    microseconds: int
    deferred_until: datetime | None = None
    shadow: rules.Decision | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the message may be sent."""
        return isinstance(self.outcome, rules.Decision) and (
            self.outcome.verdict is rules.Verdict.ALLOW
        )

    @property
    def first_contact(self) -> bool:
        """Whether there was no message between us and the contact yet."""
        return bool(self.facts["message.first_contact"])


_SIGNING: Final = LateImport("cryptography.hazmat.primitives.asymmetric.ed25519")
"""What signs a permit."""


async def load_libraries() -> None:
    """Load what judging a message and signing its permit need, unless they are, beside the loop."""
    await recipient_locale.load_libraries()
    await _SIGNING.ensure_loaded()


class Gate:
    """Evaluates messages and signs permits. It reads and asks plugins; it never writes or sends."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        rulesets: ActiveRulesets,
        signer: PermitSigner,
        clock: Clock,
    ) -> None:
        self._database = database
        self._plugins = plugins
        self._rulesets = rulesets
        self._signer = signer
        self._clock = clock
        self.fault_count = 0

    async def evaluate(self, message: MessageRecord, phase: EvaluationPhase) -> Evaluation:
        """Evaluate a message by the present rows. Raises only what storage raises."""
        at = self._clock.now()
        context = await self._database.read(
            lambda reader: evaluation_context.read_evaluation_context(reader, message, at)
        )
        return await self.evaluate_in_context(message, phase, context)

    async def evaluate_in_context(
        self,
        message: MessageRecord,
        phase: EvaluationPhase,
        context: EvaluationContext,
        remembered: rules.RememberedRulings | None = None,
    ) -> Evaluation:
        """Evaluate a message by rows that were read; what is ``remembered`` is not judged again."""
        at = context.at
        compiled = self._rulesets.compiled  # read once: others may go live while plugins answer
        # The facts of the result where building them fails; a first contact is the strict case.
        message_facts: facts.Facts = {"message.kind": message.kind, "message.first_contact": True}
        until, microseconds, shadow = None, 0, None
        try:
            await load_libraries()
            message_facts = self._build_facts(compiled, message, context, remembered)
            answers = await self._plugins.judge(_build_question(message, message_facts))
            begun = time.perf_counter()
            outcome = self._decide(compiled, message_facts, answers, context, remembered)
            microseconds = round((time.perf_counter() - begun) * 1e6)
            until = _compute_deferred_until(compiled, outcome, message, context)
            shadow = self._evaluate_shadow(outcome, message, message_facts, context)
        # Any defect, of ours too, becomes a fault: an error here must not allow a message.
        except Exception:
            log.exception("gate_failed", message=message.id)
            outcome = self._record_fault("gate_failed", _FAILED_SENTENCE, {})
        return Evaluation(
            message=message,
            phase=phase,
            at=at,
            context=context,
            facts=message_facts,
            outcome=outcome,
            ruleset=compiled.gate.ruleset.hash,
            score_ruleset=compiled.score.ruleset.hash,
            microseconds=microseconds,
            deferred_until=until,
            shadow=shadow,
        )

    def sign_permit(self, evaluation: Evaluation, decision: str, valid: timedelta) -> Permit:
        """Return a signed permit for an allowed message; ``decision`` is the stored decision's id.

        Raises ValueError for any other evaluation, which is a defect of the caller.
        """
        if not evaluation.is_allowed:
            msg = "a permit was asked for a message that the gate did not allow"
            raise ValueError(msg)
        message = evaluation.message
        unsigned = Permit(
            id=new_id("per", evaluation.at),
            message=message.id,
            recipient=message.recipient,
            body=message.body_hash,
            session=message.session,
            decision=decision,
            ruleset=evaluation.ruleset,
            issued_at=evaluation.at,
            expires_at=evaluation.at + valid,
        )
        return self._signer.sign(unsigned)

    def _build_facts(
        self,
        rulesets: CompiledRulesets,
        message: MessageRecord,
        context: EvaluationContext,
        remembered: rules.RememberedRulings | None,
    ) -> facts.Facts:
        message_facts = facts.build_prospect_facts(
            context.prospect, context.evidence, suppressed=context.suppressed, at=context.at
        )
        message_facts |= facts.build_message_facts(message, context)
        locale = recipient_locale.locale_from_phone(message.recipient, context.session.time_zone)
        message_facts |= locale.build_clock_facts(rulesets.gate.ruleset, context.at)
        message_facts["history.business_days_since_commercial"] = locale.count_business_days(
            facts.get_last_commercial_time(context.history), context.at
        )
        if context.prospect is not None:
            score = message_facts["prospect.score_contactabilidad"] = _compute_score(
                rulesets, message_facts, remembered
            )
            message_facts["prospect.review"] = facts.compute_review_status(
                context.review_reason, context.reviewed, in_band=score in rulesets.review_band
            )
        return message_facts

    def _evaluate_shadow(
        self,
        outcome: rules.Decision | EvaluationFault,
        message: MessageRecord,
        message_facts: facts.Facts,
        context: EvaluationContext,
    ) -> rules.Decision | None:
        """Return what the shadow ruleset would have decided; its faults are only logged."""
        shadow = self._rulesets.shadow
        if shadow is None or isinstance(outcome, EvaluationFault):
            return None
        try:
            locale = recipient_locale.locale_from_phone(
                message.recipient, context.session.time_zone
            )
            # Its own windows and score: these depend on the rulesets.
            shadow_facts = {
                **message_facts,
                **locale.build_clock_facts(shadow.gate.ruleset, context.at),
            }
            shadow_facts["prospect.score_contactabilidad"] = _compute_score(shadow, message_facts)
            return hard_limits.apply_hard_limits(
                shadow.gate.decide(shadow_facts, outcome.opinions), shadow_facts
            )
        except Exception:
            log.exception("shadow_failed", message=message.id)
            return None

    def _decide(
        self,
        rulesets: CompiledRulesets,
        message_facts: Mapping[str, object],
        answers: Sequence[PluginAnswer],
        context: EvaluationContext,
        remembered: rules.RememberedRulings | None,
    ) -> rules.Decision | EvaluationFault:
        # Fails closed: a plugin that did not answer might have blocked the message.
        failed = next((answer for answer in answers if answer.failure), None)
        if failed:
            return self._record_fault(
                "plugin_opinion_missing", failed.failure, {"plugin": failed.plugin}
            )
        opinions = _build_core_opinions(message_facts, context)
        for answer in answers:
            if isinstance(answer.value, Opinion) and _is_valid_opinion(answer.value):
                opinions.append(answer.value)
            elif answer.value is not None:
                sentence = f"The plugin {answer.plugin!r} gave an answer that is not an opinion."
                return self._record_fault(
                    "plugin_opinion_invalid", sentence, {"plugin": answer.plugin}
                )
        try:
            decision = (
                remembered.decide(rulesets.gate, message_facts, opinions)
                if remembered
                else rulesets.gate.decide(message_facts, opinions)
            )
        except rules.GateFault as fault:
            return self._record_fault(fault.reason_code, fault.sentence, fault.dump)
        limited = hard_limits.apply_hard_limits(decision, message_facts)
        dated = _date_refusal(limited, context)
        return hard_limits.hold_for_person(
            dated, message_facts, reason=context.review_reason, scope=context.hold_scope
        )

    def _record_fault(
        self, reason_code: str, sentence: str, dump: Mapping[str, object]
    ) -> EvaluationFault:
        self.fault_count += 1
        log.error("gate_faulted", reason_code=reason_code)
        return EvaluationFault(reason_code, sentence, dump)


def _date_refusal(decision: rules.Decision, context: EvaluationContext) -> rules.Decision:
    """Return the decision with the day of the refusal in its sentence, where that is the reason."""
    at = consent.find_refusal_time(context.evidence)
    if at is None or decision.sentence != consent.REFUSED_SENTENCE:
        return decision
    day = at.astimezone(ZoneInfo(context.session.time_zone)).date()
    dated = f"{consent.REFUSED_SENTENCE} on {day}"
    vetoes = (
        replace(veto, reason=dated) if veto.reason == consent.REFUSED_SENTENCE else veto
        for veto in decision.vetoes
    )
    return replace(decision, sentence=dated, vetoes=tuple(vetoes))


def _compute_score(
    rulesets: CompiledRulesets,
    message_facts: Mapping[str, object],
    remembered: rules.RememberedRulings | None = None,
) -> int | None:
    """Return the score for these facts, or None after a fault of the engines."""
    try:
        if remembered:
            return remembered.score(rulesets.score, message_facts).score
        return rulesets.score.score(message_facts).score
    except rules.GateFault as fault:
        log.exception("score_faulted", reason_code=fault.reason_code)
        return None  # the score is a required fact, so this blocks


def _compute_deferred_until(
    rulesets: CompiledRulesets,
    outcome: rules.Decision | EvaluationFault,
    message: MessageRecord,
    context: EvaluationContext,
) -> datetime | None:
    """Return when the last of a decision's timed deferrals ends, or None without one."""
    if isinstance(outcome, EvaluationFault):
        return None
    ends = (_find_defer_end(rulesets, defer, message, context) for defer in outcome.defers)
    last = max((end for end in ends if end is not None), default=None)
    return None if last is None else max(last, context.at + _SHORTEST_WAIT)


def _find_defer_end(
    rulesets: CompiledRulesets, defer: Defer, message: MessageRecord, context: EvaluationContext
) -> datetime | None:
    """Return when one deferral ends, or None where no time says so."""
    locale = recipient_locale.locale_from_phone(message.recipient, context.session.time_zone)
    if defer.window is not None:
        return locale.find_next_opening(rulesets.gate.ruleset, defer.window, context.at)
    if defer.fact is not None:
        falls_at = facts.find_count_fall(context.history, defer.fact, context.at)
        return falls_at or context.at + _UNKNOWN_WAIT
    if defer.days is not None:
        last = facts.get_last_commercial_time(context.history)
        passed_at = locale.find_business_day(last, defer.days) if last else context.at
        return passed_at if passed_at > context.at else context.at + _UNKNOWN_WAIT
    return None if defer.seconds is None else context.at + timedelta(seconds=defer.seconds)


def _build_question(message: MessageRecord, message_facts: facts.Facts) -> OpinionRequest:
    return OpinionRequest(
        message.id, message.recipient, message.session, message.channel, dict(message_facts)
    )


def _is_valid_opinion(opinion: Opinion) -> bool:
    """Return whether an opinion's effect and defer are of our types."""
    # A plain text "block" equals no effect in the order of precedence, and would block nothing.
    defer = opinion.defer
    return isinstance(opinion.effect, VetoEffect) and (
        defer is None or (isinstance(defer, Defer) and isinstance(defer.kind, DeferKind))
    )


def _build_core_opinions(
    message_facts: Mapping[str, object], context: EvaluationContext
) -> list[Opinion]:
    """Return the core's own opinions: hold for a review that is due, block a rejected prospect."""
    # Commercial messages alone: a reply or a confirmation answers the contact.
    if message_facts["message.kind"] != MessageKind.COMMERCIAL:
        return []
    if context.review_reason:
        return [Opinion("core", VetoEffect.HOLD, context.review_reason)]
    if context.reviewed and context.reviewed.outcome is ProspectReviewOutcome.REJECTED:
        sentence = f"A person rejected this prospect: {context.reviewed.reason}"
        return [Opinion("core", VetoEffect.BLOCK, sentence)]
    return []
