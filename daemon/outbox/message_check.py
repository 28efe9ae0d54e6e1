"""Says what would become of a message if it were sent now, and stores nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from daemon.gate.gate import Evaluation, EvaluationPhase, Gate
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.evaluator import EvaluationTransition, MessageEvaluator
from daemon.outbox.forecast import SendForecast, forecast_message
from daemon.outbox.outbox import Outbox
from daemon.outbox.pacing import Pacing
from daemon.sessions import Sessions
from statemachines.message import MessageState
from statemachines.vocabulary import BuiltinChannel
from storage.db import Database
from storage.messages import MessageRecord
from storage.tx import Reader

_MAX_ROUTES: Final = 2
_SOON: Final = timedelta(minutes=1)
_ANY_MOMENT: Final = "any_moment"
_DUE: Final = "due"


class SendOutlook(StrEnum):
    """What would become of a message, in the words of the five answers."""

    NOW = "now"
    LATER = "later"
    APPROVAL = "approval"
    BY_HAND = "by_hand"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCheckResult:
    """What would become of a message now; it is judged again when it is sent.

    ``kind`` is derived, as at the send. ``sentence`` says why it waits or can't go, and ``at`` when
    a wait ends, if that is known.
    """

    outlook: SendOutlook
    kind: str
    session: str
    channel: str
    reason_code: str
    sentence: str
    at: datetime | None


class MessageCheck:
    """Runs the code of a send up to its verdict, without storing anything."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        gate: Gate,
        evaluator: MessageEvaluator,
        sessions: Sessions,
        pacing: Pacing,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._gate = gate
        self._evaluator = evaluator
        self._sessions = sessions
        self._pacing = pacing

    async def check(self, request: SendRequest) -> MessageCheckResult:
        """Return what would become of this message. Raises what a send would raise."""
        message = await self._outbox.draft(request)
        evaluation = await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
        transition = self._evaluator.choose_transition(evaluation)
        for _ in range(_MAX_ROUTES):  # rules may route a message from channel to channel
            if transition.target is not MessageState.QUEUED:
                break
            message = replace(message, channel=str(transition.columns["channel"]))
            evaluation = await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
            transition = self._evaluator.choose_transition(evaluation)
        return await self._database.read(
            lambda reader: self._describe(reader, evaluation, transition)
        )

    def _describe(
        self, reader: Reader, evaluation: Evaluation, transition: EvaluationTransition
    ) -> MessageCheckResult:
        """Return the result of a verdict, with the forecast of a message that may go."""
        transition = self._evaluator.name_check_obstacle(reader, evaluation, transition)
        judged = _apply(evaluation, transition)
        forecast = forecast_message(reader, self._sessions, self._pacing, judged, evaluation.at)
        outlook = _find_outlook(judged, forecast, evaluation.at)
        waits = forecast is not None and outlook is SendOutlook.LATER
        allowed = judged.state is MessageState.CLEARED
        return MessageCheckResult(
            outlook=outlook,
            kind=judged.kind,
            session=judged.session,
            channel=judged.channel,
            reason_code=forecast.code if forecast and allowed else transition.reason_code,
            sentence=forecast.sentence if forecast and allowed else transition.sentence,
            at=forecast.at if forecast and waits else None,
        )


def _apply(evaluation: Evaluation, transition: EvaluationTransition) -> MessageRecord:
    """Return the message as it would be after the transition."""
    columns = transition.columns
    due_at = columns.get("due_at")
    return replace(
        evaluation.message,
        state=transition.target,
        kind=str(evaluation.facts["message.kind"]),
        first_contact=evaluation.first_contact,
        due_at=due_at if isinstance(due_at, datetime) else None,
        waits_for=str(columns["waits_for"]) if columns.get("waits_for") else None,
        blocked_by=str(columns["blocked_by"]) if columns.get("blocked_by") else None,
    )


def _find_outlook(
    message: MessageRecord, forecast: SendForecast | None, now: datetime
) -> SendOutlook:
    by_state = {
        MessageState.HELD: SendOutlook.APPROVAL,
        MessageState.BLOCKED: SendOutlook.NO,
        MessageState.DEFERRED: SendOutlook.LATER,
        MessageState.QUEUED: SendOutlook.APPROVAL,  # routed in circles: a person decides
    }
    if message.state in by_state:
        return by_state[message.state]
    if message.channel == BuiltinChannel.MANUAL:
        return SendOutlook.BY_HAND
    if forecast is None or forecast.code == _ANY_MOMENT:
        return SendOutlook.NOW
    # Held back only so that its writer can take it back.
    soon = forecast.code == _DUE and forecast.at is not None and forecast.at - now <= _SOON
    return SendOutlook.NOW if soon else SendOutlook.LATER
