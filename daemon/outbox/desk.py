"""Judging what is queued, and writing down what the gate said, when it said anything but go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from daemon.events import GateFaulted
from daemon.gate import Fault, Gate, Look, Phase
from daemon.outbox.records import keep
from daemon.settings import SendingSettings
from rules import Decision, Verdict
from rules.verdict import DeferKind
from statemachines.message import MessageState
from storage import circumstances, contacts, decisions, messages, queue
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord, MovedOn
from storage.tx import Tx

log = structlog.get_logger("outbox")

GATE = "gate"
_BATCH = 32
_UNKNOWN_ANSWERS = 3
_WAITS: Mapping[DeferKind, str] = {
    DeferKind.UNTIL_CHECKED: "checked",
    DeferKind.UNTIL_SESSION_CAN_SEND: "session",
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """Where a look moves its message, with what."""

    target: MessageState
    reason_code: str
    sentence: str
    columns: Mapping[str, object] = field(default_factory=dict)


class EvaluationOutdated(Exception):
    """What the gate looked at has changed meanwhile: the message is judged again."""


class Desk:
    """Judges every queued message once, in order; a release that is not allowed ends here too."""

    def __init__(self, database: Database, gate: Gate, settings: SendingSettings) -> None:
        self._database = database
        self._gate = gate
        self._settings = settings
        self.on_cleared: Callable[[str], None] = lambda _session: None
        self.on_check_wanted: Callable[[], None] = lambda: None
        self.busy_since: float | None = None
        """Since when (`time.monotonic()`) the message at hand is being judged; None between two."""

    async def judge_waiting(self) -> int:
        """Judge a batch of queued messages; return how many could be judged.

        One that can't be does not stand in the others' way; its error is raised when it is alone.
        """
        waiting = await self._database.read(lambda reader: queue.to_judge(reader, _BATCH))
        failed: Exception | None = None
        judged = 0
        for message in waiting:
            self.busy_since = time.monotonic()
            try:
                await self.write_down(await self._gate.look(message, Phase.ENQUEUE))
            except Exception as error:
                log.exception("judging_failed", message=message.id)
                failed = error
            else:
                judged += 1
            finally:
                self.busy_since = None
        if failed is not None and not judged:
            raise failed
        return judged

    async def write_down(self, look: Look) -> MessageRecord | None:
        """Store the decision and move the message; None when it, or the facts, moved meanwhile."""
        wanted = self._ruling(look)

        def job(tx: Tx) -> MessageRecord:
            if _has_changed(tx, look):
                raise EvaluationOutdated
            ruling = _out_of_circles(tx, look, wanted)
            decision = new_id("dec", look.at)
            keep(tx, look, decision)
            if isinstance(look.outcome, Fault):
                tx.emit(
                    GateFaulted(
                        subject=look.message.id,
                        at=look.at,
                        reason_code=look.outcome.reason_code,
                        sentence=look.outcome.sentence,
                    )
                )
            return messages.move(
                tx,
                look.message.id,
                ruling.target,
                at=look.at,
                reason_code=ruling.reason_code,
                sentence=ruling.sentence,
                who=GATE,
                decision=decision,
                kind=look.facts["message.kind"],
                first_contact=int(look.first_contact),
                **ruling.columns,
            )

        try:
            after = await self._database.write(job)
        except (MovedOn, EvaluationOutdated):
            return None
        self._tell(after)
        return after

    def _tell(self, message: MessageRecord) -> None:
        if message.state is MessageState.CLEARED:
            self.on_cleared(message.session)
        if message.waits_for == _WAITS[DeferKind.UNTIL_CHECKED]:
            self.on_check_wanted()

    def _ruling(self, look: Look) -> Ruling:
        if isinstance(look.outcome, Fault):
            return self._faulted(look.message, look.outcome, look.at)
        decision = look.outcome
        sound: dict[str, object] = {"faults": 0}
        if decision.verdict is Verdict.DEFER:
            return self._deferred(look, decision)
        if decision.verdict is Verdict.ROUTE:
            columns = {"channel": decision.route} | sound
            return Ruling(MessageState.QUEUED, decision.reason_code, decision.sentence, columns)
        target = {
            Verdict.ALLOW: MessageState.CLEARED,
            Verdict.REVIEW: MessageState.HELD,
            Verdict.BLOCK: MessageState.BLOCKED,
        }[decision.verdict]
        return Ruling(target, decision.reason_code, decision.sentence, sound)

    def _deferred(self, look: Look, decision: Decision) -> Ruling:
        """Wait for the event if there is one, else for the latest time; then all is judged anew."""
        kinds = [defer.kind for defer in decision.defers]
        waits_for = next((word for kind, word in _WAITS.items() if kind in kinds), None)
        prospect = look.around.prospect
        asked = prospect.check_attempts if prospect is not None else 0
        if waits_for == _WAITS[DeferKind.UNTIL_CHECKED] and asked >= _UNKNOWN_ANSWERS:
            sentence = "Three checks could not tell whether the number is on WhatsApp"
            return Ruling(MessageState.HELD, "still_unknown", sentence, {"faults": 0})
        columns: dict[str, object] = {
            "waits_for": waits_for,
            "due_at": None if waits_for else look.until,
            "needs_review": int(decision.needs_review),
            "faults": 0,
        }
        return Ruling(MessageState.DEFERRED, decision.reason_code, decision.sentence, columns)

    def _faulted(self, message: MessageRecord, fault: Fault, at: datetime) -> Ruling:
        """A fault destroys nobody's queue: wait longer each time, then ask a person."""
        faults = message.faults + 1
        if faults > self._settings.gate_fault_retries:
            return Ruling(MessageState.HELD, fault.reason_code, fault.sentence, {"faults": faults})
        wait = timedelta(minutes=2 ** (faults - 1))
        columns: dict[str, object] = {"faults": faults, "due_at": at + wait, "waits_for": None}
        return Ruling(MessageState.DEFERRED, "gate_fault", fault.sentence, columns)


def _has_changed(tx: Tx, look: Look) -> bool:
    """Tell whether a look is out of date: it could defer to something that has just happened."""
    seen = look.around.session
    now = circumstances.of_session(tx, seen.name, look.at)
    return (now.connection, now.sending, now.banned) != (
        seen.connection,
        seen.sending,
        seen.banned,
    ) or contacts.revision(tx, look.around.contact) != look.around.revision


def _out_of_circles(tx: Tx, look: Look, ruling: Ruling) -> Ruling:
    """Hold what rules would re-route again and again: a message changes its channel once."""
    route = ruling.columns.get("channel")
    if route is None or (
        route != look.message.channel and not decisions.was_routed(tx, look.message.id)
    ):
        return ruling
    sentence = "The rules send it from channel to channel; a person has to decide"
    return Ruling(MessageState.HELD, "routed_in_circles", sentence, {"faults": 0})
