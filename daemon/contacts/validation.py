"""Technical validation of prospects: number checks within their budget, and expiry."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

import structlog

from daemon.api.clock import Clock
from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.background import run_in_background
from daemon.clock_event import ClockEvent
from daemon.contacts.aliases import Aliases
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.contacts.validation_transitions import build_validation_transitions
from daemon.errors import Conflict, NotFound, Unavailable, require_reason
from daemon.gate.scoring import Scoring
from daemon.settings import Settings
from statemachines.machine import IllegalTransition
from statemachines.prospect import CHECKABLE_STATES, VALIDATION_DEADLINES
from statemachines.prospect import ValidationState as State
from statemachines.vocabulary import WaitsFor
from storage import audit, prospects, queue, spends, validation_queries
from storage.db import Database
from storage.prospects import ProspectRecord
from storage.spends import SpendKind
from storage.tx import Reader, Tx
from storage.validation_queries import CheckSession

log = structlog.get_logger("validation")

NEGATIVE_ANSWER_VALID_FOR: Final = timedelta(days=7)
"""How long a negative answer is used again; a positive one is for as long as the validation."""
RETRY_AFTER: Final = timedelta(minutes=10)
"""The shortest time between a check without an answer and the next one."""
UNDELIVERED_AFTER: Final = timedelta(hours=72)
"""A message without a sign of arrival counts as undelivered after this time."""
_POLL_SECONDS: Final = 60.0
_CHECK_BATCH_SIZE: Final = 10  # numbers in one request to a transport
_SWEEP_LIMIT: Final = 500  # prospects in one sweep


class NumberChecker(Protocol):
    """The part of the sessions that checks numbers."""

    def check_numbers(
        self, name: str, phones: Sequence[str]
    ) -> Coroutine[Any, Any, Sequence[NumberAnswer]]:
        """Check numbers (E.164) through the session of this name; return the answers."""
        ...


class ValidationService:
    """Validates prospects: number checks within budgets, operators' decisions, expiry.

    Messages that waited for a check are queued in the transaction that stores its answer.
    """

    def __init__(
        self,
        database: Database,
        sessions: NumberChecker,
        scoring: Scoring,
        aliases: Aliases,
        clock: Clock,
        policy: NumberCheckPolicy,
        settings: Settings,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._policy = policy
        self._transitions = build_validation_transitions(scoring, aliases, settings)
        self._clock = clock
        self._pacing = settings.pacing
        self._answer_seconds = settings.sending.answer_seconds
        self._clock_event = ClockEvent(clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check numbers that messages wait for, for the length of the block."""
        async with run_in_background(self._run(), "validation"):
            yield

    def wake(self) -> None:
        """Check now whether messages wait for a number check."""
        self._clock_event.trigger()

    async def check(self, prospect: str, who: str) -> OnWhatsApp:
        """Check whether a prospect's number is on WhatsApp, unless a fresh answer is stored.

        Raises NotFound; Conflict where only an operator can decide; Unavailable where no session
        may check a number now.
        """
        found = await self._require_prospect(prospect)
        if _has_fresh_answer(found, self._clock.now()):
            return OnWhatsApp(found.on_whatsapp)
        if found.validation not in CHECKABLE_STATES:
            raise Conflict(
                f"The prospect is {found.validation.value}; a check can't change that.",
                hint="Validate it by hand if you know that it works.",
            )
        answers = await self._check_numbers([found.id], who)
        if not answers:
            now = self._clock.now()
            obstacle = await self._database.read(partial(self._policy.find_obstacle, now=now))
            if obstacle is not None:
                raise Unavailable(obstacle.sentence)
            raise Unavailable(
                "No session can check a number now.",
                hint=f"It takes a session that is ready, with checks left of its"
                f" {self._pacing.number_checks} in 24 h, whose number has been linked for"
                f" {self._pacing.number_check_min_age_days} days.",
            )
        return answers[found.id]

    async def check_waiting(self) -> int:
        """Check prospects whose messages wait for it, as budgets allow; return how many."""
        done = 0
        while True:
            waiting = await self._database.read(self._list_waiting)
            answers = await self._check_numbers(waiting, "outbox") if waiting else {}
            if not answers:
                return done
            done += len(answers)

    async def set_by_hand(self, prospect: str, *, validated: bool, who: str, reason: str) -> None:
        """Store an operator's decision that a number does, or does not, reach the prospect.

        It expires like any other validation. Raises NotFound, BadRequest without a reason, and
        Conflict for a prospect whose data is erased.
        """
        stated_reason = require_reason(reason, hint="Say how you know; it is recorded.")
        found = await self._require_prospect(prospect)
        now = self._clock.now()

        def job(tx: Tx) -> None:
            self._transitions.apply_operator_decision(
                tx,
                prospects.require_prospect(tx, found.id),
                validated=validated,
                who=who,
                reason=stated_reason,
                now=now,
            )
            audit.insert_audit_entry(
                tx, now, who, "validate_by_hand", found.id, stated_reason, {"validated": validated}
            )

        try:
            await self._database.write(job, urgent=True)
        except IllegalTransition as error:
            raise Conflict("The prospect's data is erased.") from error

    async def sweep(self) -> int:
        """Expire old validations and unanswered checks; return how many there were.

        A number that was only given as WhatsApp is unchecked again once a message did not arrive.
        """
        now = self._clock.now()
        check_seconds = VALIDATION_DEADLINES[State.CHECKING].seconds or 0

        def job(tx: Tx) -> int:
            lapsed = validation_queries.list_expired_prospects(
                tx, now, _SWEEP_LIMIT
            ) + validation_queries.list_unanswered_checks(
                tx, now - timedelta(seconds=check_seconds), _SWEEP_LIMIT
            )
            for prospect in lapsed:
                self._transitions.expire(tx, prospect, now)
            for prospect, given in validation_queries.list_undelivered_given_numbers(
                tx, now - UNDELIVERED_AFTER, _SWEEP_LIMIT
            ):
                self._transitions.take_back_undelivered(tx, prospect, given, now)
            # Messages deferred for a check right after its answer was stored.
            for contact in validation_queries.list_contacts_with_answered_check(tx):
                queue.requeue_waiting_messages(tx, now, WaitsFor.CHECKED, contact=contact)
            return len(lapsed)

        lapsed = await self._database.write(job)
        self.wake()
        return lapsed

    async def _run(self) -> None:
        while True:
            try:
                await self.check_waiting()
            except Exception:
                log.exception("checks_failed")
            await self._clock_event.wait(_POLL_SECONDS)

    async def _require_prospect(self, prospect: str) -> ProspectRecord:
        found = await self._database.read(partial(prospects.get_prospect, prospect=prospect))
        if found is None:
            raise NotFound(f"There is no prospect {prospect}.")
        return found

    def _list_waiting(self, reader: Reader) -> list[str]:
        """Return prospects to check now; none where no session may check a number."""
        now = self._clock.now()
        # Before all waiting messages are read: this is called after each evaluation of one.
        session, _left = self._policy.choose_session(reader, now)
        if session is None:
            return []
        return validation_queries.list_prospects_awaiting_check(
            reader, checked_before=now - RETRY_AFTER, limit=_CHECK_BATCH_SIZE
        )

    async def _check_numbers(
        self, prospect_ids: Sequence[str], who: str
    ) -> Mapping[str, OnWhatsApp]:
        """Check as many prospects as one session's budget allows; return the answers."""
        session, reserved = await self._database.write(
            partial(self._reserve_checks, prospect_ids=prospect_ids, who=who)
        )
        if session is None or not reserved:
            return {}
        answers = await self._request_answers(session, [prospect.phone for prospect in reserved])
        now = self._clock.now()

        def settle(tx: Tx) -> None:
            for prospect in reserved:
                self._transitions.apply_answer(tx, prospect.id, answers[prospect.phone], now)

        await self._database.write(settle, urgent=True)
        return {prospect.id: answers[prospect.phone].answer for prospect in reserved}

    def _reserve_checks(
        self, tx: Tx, prospect_ids: Sequence[str], who: str
    ) -> tuple[CheckSession | None, list[ProspectRecord]]:
        """Choose a session, record the spends and mark the prospects as being checked."""
        # Committed before the request is sent: after a crash the budget must count what was asked.
        now = self._clock.now()
        session, left = self._policy.choose_session(tx, now)
        if session is None:
            return None, []
        found = [prospects.get_prospect(tx, each) for each in prospect_ids]
        reserved = [each for each in found if each and each.validation in CHECKABLE_STATES][:left]
        for prospect in reserved:
            spends.insert_spend(
                tx, session.phone, SpendKind.CHECK, session=session.session, message=None, at=now
            )
            self._transitions.start_check(tx, prospect, now)
            audit.insert_audit_entry(tx, now, who, "check_number", prospect.id)
        return session, reserved

    async def _request_answers(
        self, session: CheckSession, phones: Sequence[str]
    ) -> Mapping[str, NumberAnswer]:
        """Return an answer for each number; UNKNOWN after an error, a timeout or no answer."""
        unknown = {phone: NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones}
        check = asyncio.ensure_future(self._sessions.check_numbers(session.session, phones))
        timeout = asyncio.ensure_future(self._clock.sleep(self._answer_seconds))
        try:
            await asyncio.wait({check, timeout}, return_when=asyncio.FIRST_COMPLETED)
            answers = check.result() if check.done() else ()
        except Exception:
            log.exception("check_failed", session=session.session, numbers=len(phones))
            return unknown
        finally:
            check.cancel()
            timeout.cancel()
        # Only numbers that were asked about: a transport may answer anything.
        return unknown | {answer.phone: answer for answer in answers if answer.phone in unknown}


def _has_fresh_answer(prospect: ProspectRecord, now: datetime) -> bool:
    """Return whether the prospect is validated, or has a recent negative answer."""
    if prospect.validation is State.NOT_REACHABLE and prospect.on_whatsapp == OnWhatsApp.NO:
        return (
            prospect.checked_at is not None
            and now - prospect.checked_at < NEGATIVE_ANSWER_VALID_FOR
        )
    return prospect.validation is State.VALIDATED
