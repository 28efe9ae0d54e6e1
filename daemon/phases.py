"""The phases of the service: which are closed, active, planned or deferred, and why.

Everything is derived from the data at the moment of asking, but for what a person opened early by
a decision entry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.auth.identity import Role
from daemon.backup.service import BackupService
from daemon.errors import Conflict, NotFound, require_reason
from daemon.events import DecisionRecorded
from daemon.rulesets.service import RulesetService
from rules.evaluator import BOTH_ENGINES
from storage import audit, decision_entries, users
from storage.db import Database
from storage.decision_entries import DecisionEntry
from storage.first_contacts import count_first_contacts
from storage.tx import Reader, Tx

FIRST_CONTACTS_NEEDED: Final = 100
ARRIVED_PERCENT_NEEDED: Final = 90
REFUSED_PERCENT_ALLOWED: Final = 2
_SUBJECT_PREFIX: Final = "phase."


class PhaseState(StrEnum):
    """The state of a phase; its work may begin when it is active."""

    CLOSED = "closed"
    ACTIVE = "active"
    PLANNED = "planned"
    DEFERRED = "deferred"


class PhaseCriterionCode(StrEnum):
    """What is asked of a phase before it is closed."""

    RULES_IN_FORCE = "rules_in_force"
    BOTH_ENGINES = "both_engines"
    ADMIN = "admin"
    RESTORE_TESTED = "restore_tested"
    FIRST_CONTACTS = "first_contacts"
    ARRIVED = "arrived"
    REFUSED = "refused"
    NOT_SEEN = "not_seen"


class PhaseCriterion(Struct, frozen=True):
    """One condition for closing a phase, with what was counted; `value` null: nothing to count yet.

    `value` and `needed` are counts, percents, or 0 and 1 for no and yes; with `at_most`, the value
    may not be above `needed`.
    """

    code: PhaseCriterionCode
    met: bool
    value: float | None
    needed: float
    at_most: bool = False
    percent: bool = False


class PhaseStatus(Struct, frozen=True):
    """One phase: its state, what decides it, and who opened it before its time.

    `built` is False where the software has nothing yet that the phase would open: nobody can open
    it then.
    """

    number: int
    code: str
    name: str
    state: PhaseState
    built: bool
    criteria: Sequence[PhaseCriterion]
    opened: DecisionEntry | None
    sentence: str


class PhaseDefinition(Struct, frozen=True):
    """What is fixed of a phase: its number, code and name, and whether it is built."""

    number: int
    code: str
    name: str
    built: bool = True
    deferred: bool = False


PHASES: Final = (
    PhaseDefinition(1, "foundation", "Foundation"),
    PhaseDefinition(2, "infrastructure", "Infrastructure and sign-in"),
    PhaseDefinition(3, "prospect_quality", "Prospect quality"),
    PhaseDefinition(4, "session_automation", "Automatic lists", built=False),
    PhaseDefinition(5, "commercial_intelligence", "Calibration report", built=False, deferred=True),
)
"""In their order: a later one becomes active when those before it are closed."""


class PhaseService:
    """Returns the phases' status, and records that a person opens one early."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        rulesets: RulesetService,
        backups: BackupService,
        simulated_channels: Collection[str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._rulesets = rulesets
        self._backups = backups
        self._simulated_channels = simulated_channels

    async def list_phases(self) -> list[PhaseStatus]:
        """Return every phase, in order."""
        restored = self._backups.read_status().last_tested_restore is not None
        rules = self._rulesets.get_status()
        engines = rules.gate.engine == rules.score.engine == BOTH_ENGINES
        code = PhaseCriterionCode

        def job(reader: Reader) -> list[PhaseStatus]:
            criteria = {
                1: [
                    _ask(code.RULES_IN_FORCE, rules.rejected is None),
                    _ask(code.BOTH_ENGINES, engines),
                ],
                2: [
                    _ask(code.ADMIN, users.count_active_users(reader, Role.ADMIN) > 0),
                    _ask(code.RESTORE_TESTED, restored),
                ],
                3: self._count_quality(reader),
            }
            opened = {
                each.number: decision_entries.find_decision_entry(reader, _name_subject(each))
                for each in PHASES
            }
            return _build_statuses(criteria, opened)

        return await self._database.read(job)

    async def open_phase(self, number: int, who: str, decision: str) -> PhaseStatus:
        """Record that a person opens a phase before those that it follows are closed; return it.

        Raises :class:`NotFound` for an unknown number, :class:`Conflict` for a phase that is open
        already or that is not built yet.
        """
        reason = require_reason(decision, hint="Say why it may begin early; everybody reads it.")
        phase = next((each for each in await self.list_phases() if each.number == number), None)
        if phase is None:
            raise NotFound(f"There is no phase {number}.", hint=f"They are 1 to {len(PHASES)}.")
        if not phase.built:
            raise Conflict(
                f"Phase {number} can't be opened: {phase.sentence}",
                hint="leadmaster phases says what each phase needs.",
            )
        if phase.state is not PhaseState.PLANNED:
            raise Conflict(f"Phase {number} is {phase.state} already.")
        await self._record_decision(number, who, reason)
        return (await self.list_phases())[number - 1]

    async def _record_decision(self, number: int, who: str, reason: str) -> None:
        at, subject = self._clock.now(), _name_subject(PHASES[number - 1])

        def job(tx: Tx) -> None:
            decision_entries.insert_decision_entry(
                tx, at=at, who=who, subject=subject, value=1, reason=reason
            )
            audit.insert_audit_entry(tx, at, who, "decision_recorded", subject, reason)
            tx.emit(DecisionRecorded(subject=subject, at=at, who=who, value=1, reason=reason))

        await self._database.write(job)

    def _count_quality(self, reader: Reader) -> list[PhaseCriterion]:
        found = count_first_contacts(reader, self._clock.now(), self._simulated_channels)
        arrived = _compute_percent(found.arrived, found.seen)
        refused = _compute_percent(found.refused, found.sent)
        return [
            PhaseCriterion(
                PhaseCriterionCode.FIRST_CONTACTS,
                found.sent >= FIRST_CONTACTS_NEEDED,
                found.sent,
                FIRST_CONTACTS_NEEDED,
            ),
            PhaseCriterion(
                PhaseCriterionCode.ARRIVED,
                arrived is not None and arrived >= ARRIVED_PERCENT_NEEDED,
                arrived,
                ARRIVED_PERCENT_NEEDED,
                percent=True,
            ),
            PhaseCriterion(
                PhaseCriterionCode.REFUSED,
                refused is not None and refused <= REFUSED_PERCENT_ALLOWED,
                refused,
                REFUSED_PERCENT_ALLOWED,
                at_most=True,
                percent=True,
            ),
            # Left out of the share that arrived, and so counted here: it keeps nothing open.
            PhaseCriterion(
                PhaseCriterionCode.NOT_SEEN, True, found.sent - found.seen, 0, at_most=True
            ),
        ]


def _build_statuses(
    criteria: dict[int, list[PhaseCriterion]], opened: dict[int, DecisionEntry | None]
) -> list[PhaseStatus]:
    statuses: list[PhaseStatus] = []
    for phase in PHASES:
        found, entry = criteria.get(phase.number, []), opened[phase.number]
        state = _find_state(phase, found, entry, [each.state for each in statuses])
        sentence = _describe(phase, state, found)
        statuses.append(
            PhaseStatus(
                phase.number, phase.code, phase.name, state, phase.built, found, entry, sentence
            )
        )
    return statuses


def _find_state(
    phase: PhaseDefinition,
    criteria: Sequence[PhaseCriterion],
    opened: DecisionEntry | None,
    earlier: Sequence[PhaseState],
) -> PhaseState:
    if not phase.built:
        return PhaseState.DEFERRED if phase.deferred else PhaseState.PLANNED
    if opened is None and any(each is not PhaseState.CLOSED for each in earlier):
        return PhaseState.PLANNED
    return PhaseState.CLOSED if all(each.met for each in criteria) else PhaseState.ACTIVE


def _describe(phase: PhaseDefinition, state: PhaseState, criteria: Sequence[PhaseCriterion]) -> str:
    if not phase.built:
        return "This software has nothing yet that it would open."
    if state is PhaseState.CLOSED:
        return "Everything that it needs is there."
    if state is PhaseState.ACTIVE:
        missing = sum(not each.met for each in criteria)
        return f"Still missing: {missing} of {len(criteria)}."
    return "It begins when the phases before it are closed."


def _ask(code: PhaseCriterionCode, answer: bool) -> PhaseCriterion:  # noqa: FBT001 - the answer is the point
    return PhaseCriterion(code, answer, int(answer), 1)


def _compute_percent(count: int, total: int) -> float | None:
    return round(100 * count / total, 1) if total else None


def _name_subject(phase: PhaseDefinition) -> str:
    return f"{_SUBJECT_PREFIX}{phase.number}"
