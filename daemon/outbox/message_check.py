"""Says what would become of a message if it were sent now, and stores nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.errors import LeadMasterError
from daemon.gate.gate import Evaluation, EvaluationPhase, Gate
from daemon.outbox.enqueue import SendRequest
from daemon.outbox.evaluator import EvaluationTransition, MessageEvaluator
from daemon.outbox.forecast import WAIT_SENTENCES, SendForecast, forecast_message
from daemon.outbox.outbox import Outbox
from daemon.outbox.pacing import Pacing
from daemon.sessions import Sessions
from rules import RememberedRulings
from statemachines.message import MessageState
from statemachines.vocabulary import BuiltinChannel
from storage.db import Database
from storage.evaluation_context import EvaluationContext, SharedRows, read_evaluation_context
from storage.messages import MessageRecord
from storage.texts import ApprovedText
from storage.tx import Reader

_MAX_ROUTES: Final = 2
_BATCH_SIZE: Final = 250
_AT_ONCE: Final = 8
"""How many messages are judged before the loop may do something else."""
_BY_HAND: Final = "by_hand"
_ROUTED_AWAY_SENTENCE: Final = "The rules send it through another channel, not by hand."
_Judged: TypeAlias = tuple[Evaluation, EvaluationTransition] | LeadMasterError
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


class MessageCheckResult(Struct, frozen=True, kw_only=True):
    """What would become of a message now; it is judged again when it is sent.

    ``kind`` is derived, as at the send. ``sentence`` says why it waits or can't go, and ``at`` when
    a wait ends, if that is known. ``links`` is how many the text has, and ``similarity`` how much
    it is like what was sent to others in the last day, from 0 to 1; None where the gate failed.
    """

    outlook: SendOutlook
    kind: str
    session: str
    channel: str
    reason_code: str
    sentence: str
    at: datetime | None
    links: int | None
    similarity: float | None


class ListedCheck(Struct, frozen=True, kw_only=True):
    """What would become of one of many messages by hand, and the facts that this rests on.

    ``due_at`` is when a wait for a time ends, and ``waits_for`` what ends another wait.
    ``revision`` is that of the facts about the contact.
    """

    outlook: SendOutlook
    reason_code: str
    sentence: str
    due_at: datetime | None = None
    waits_for: str | None = None
    first_contact: bool = False
    suppressed: bool = False
    revision: int = 0


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
        clock: Clock,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._gate = gate
        self._evaluator = evaluator
        self._sessions = sessions
        self._pacing = pacing
        self._clock = clock

    async def check(
        self, request: SendRequest, *, as_approved: ApprovedText | None = None
    ) -> MessageCheckResult:
        """Return what would become of this message. Raises what a send would raise.

        With ``as_approved``, as if it were made of that text, and a person had approved it.
        """
        first = await self._judge(await self._outbox.draft(request), as_approved)
        evaluation, transition = await self._follow_routes(first, as_approved)
        return await self._database.read(
            lambda reader: self._describe(reader, evaluation, transition)
        )

    async def check_by_hand(self, requests: Sequence[SendRequest]) -> list[ListedCheck]:
        """Return what would become of each of many messages, if a person sent them in this order.

        Each is judged by its contact's facts of now, and as alike to the text before it.
        """
        shared, now = SharedRows(), self._clock.now()
        remembered = RememberedRulings()
        checked: list[ListedCheck] = []
        before: MessageRecord | None = None
        for start in range(0, len(requests), _BATCH_SIZE):
            drafts = await self._outbox.draft_all(requests[start : start + _BATCH_SIZE])
            contexts = await self._database.read(partial(_read_contexts, drafts, now, shared))
            judged: list[_Judged] = []
            for n, draft in enumerate(drafts):
                if n % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # the loop has other work, and judging never waits
                if isinstance(draft, LeadMasterError):
                    judged.append(draft)
                    continue
                context = _add_text(contexts[draft.id], before)
                first = await self._gate.evaluate_in_context(
                    draft, EvaluationPhase.ENQUEUE, context, remembered
                )
                judged.append(await self._follow_routes(first))
                before = draft
            checked += await self._database.read(partial(self._describe_all, judged))
        return checked

    def _describe_all(self, judged: Sequence[_Judged], reader: Reader) -> list[ListedCheck]:
        return [
            ListedCheck(outlook=SendOutlook.NO, reason_code=each.code, sentence=str(each))
            if isinstance(each, LeadMasterError)
            else self._describe_by_hand(reader, *each)
            for each in judged
        ]

    def _describe_by_hand(
        self, reader: Reader, evaluation: Evaluation, transition: EvaluationTransition
    ) -> ListedCheck:
        transition = self._evaluator.name_check_obstacle(reader, evaluation, transition)
        message = _apply(evaluation, transition)
        outlook = _find_outlook(message, None, evaluation.at)
        code, sentence = transition.reason_code, transition.sentence
        if outlook is SendOutlook.BY_HAND:
            code, sentence = _BY_HAND, WAIT_SENTENCES[_BY_HAND]
        elif outlook is SendOutlook.NOW:
            # A person sends whatever goes, and nothing goes by itself.
            outlook, code, sentence = SendOutlook.NO, "routed_away", _ROUTED_AWAY_SENTENCE
        return ListedCheck(
            outlook=outlook,
            reason_code=code,
            sentence=sentence,
            due_at=message.due_at,
            waits_for=message.waits_for,
            first_contact=evaluation.first_contact,
            suppressed=evaluation.context.suppressed,
            revision=evaluation.context.revision,
        )

    async def _judge(
        self, message: MessageRecord, as_approved: ApprovedText | None = None
    ) -> Evaluation:
        if as_approved is None:
            return await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
        now = self._clock.now()
        context = await self._database.read(
            lambda reader: read_evaluation_context(reader, message, now)
        )
        context = replace(context, approved_text=as_approved)
        return await self._gate.evaluate_in_context(message, EvaluationPhase.ENQUEUE, context)

    async def _follow_routes(
        self, evaluation: Evaluation, as_approved: ApprovedText | None = None
    ) -> tuple[Evaluation, EvaluationTransition]:
        """Return the last evaluation of a message that rules route from channel to channel."""
        transition = self._evaluator.choose_transition(evaluation)
        for _ in range(_MAX_ROUTES):
            if transition.target is not MessageState.QUEUED:
                break
            message = replace(evaluation.message, channel=str(transition.columns["channel"]))
            evaluation = await self._judge(message, as_approved)
            transition = self._evaluator.choose_transition(evaluation)
        return evaluation, transition

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
            links=_get_figure(evaluation, "message.links", int),
            similarity=_get_figure(evaluation, "message.similarity", float),
        )


_Figure = TypeVar("_Figure", int, float)


def _get_figure(evaluation: Evaluation, name: str, kind: type[_Figure]) -> _Figure | None:
    """Return a fact that is a number; None where the gate failed before it was known."""
    value = evaluation.facts.get(name)
    return value if isinstance(value, kind) else None


def _read_contexts(
    drafts: Sequence[MessageRecord | LeadMasterError],
    now: datetime,
    shared: SharedRows,
    reader: Reader,
) -> dict[str, EvaluationContext]:
    found = [each for each in drafts if isinstance(each, MessageRecord)]
    shared.note_contacts(reader, {each.contact for each in found})
    return {each.id: read_evaluation_context(reader, each, now, shared) for each in found}


def _add_text(context: EvaluationContext, before: MessageRecord | None) -> EvaluationContext:
    """Return the context as it is once the message before this one has left."""
    if before is None or before.contact == context.contact:
        return context
    texts = (before.text, *context.history.recent_texts)
    return replace(context, history=replace(context.history, recent_texts=texts))


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
