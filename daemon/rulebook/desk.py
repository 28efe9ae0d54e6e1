"""The rules' desk: tries what an operator saved, and decides whether it goes live, waits, or not.

The live set changes in one step, and only after a throwaway child has checked, compiled and run
the new one. Whatever fails, the last good set stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

import rules
from daemon.api.clock import Clock
from daemon.errors import Conflict, NotFound, RulesRejected
from daemon.events import RulesAwaitingAcceptance
from daemon.events import RulesRejected as RulesWereRejected
from daemon.rulebook import folder, past, pen
from daemon.rulebook.book import Judges, Rulebook
from daemon.rulebook.lines import Tried
from daemon.rulebook.state import (
    Foreseen,
    PendingRulesets,
    RejectedRulesets,
    RulesetStatus,
    changes_between,
    live_set,
    waiting_for,
)
from daemon.rulebook.trial import Trial
from daemon.settings import RulesSettings
from rules.amend import amended
from rules.amendments import Amendment, Changeable, NotAmendable, changeable
from rules.diff import Change
from storage import audit
from storage.db import Database
from storage.rulesets import RulesetActivationKind
from storage.tx import Tx

log = structlog.get_logger("rules")

_SHOWN_PROBLEMS = 50  # of a folder that is wrong all over


@dataclass(frozen=True, slots=True)
class _Candidate:
    judges: Judges
    waiting: PendingRulesets
    changes: tuple[Change, ...]


class RuleDesk:
    """Changes the rulebook, one change at a time; `on_swap` is awaited after each.

    `channels` are all that is installed to send by: a rule routes to one of them.
    """

    def __init__(
        self,
        database: Database,
        rulebook: Rulebook,
        clock: Clock,
        settings: RulesSettings,
        channels: tuple[str, ...],
        trial: Trial | None = None,
    ) -> None:
        self._database = database
        self._rulebook = rulebook
        self._clock = clock
        self._settings = settings
        self._channels = channels
        self._trial = trial or Trial(settings.trial_seconds, settings.engines, channels=channels)
        self._one_at_a_time = asyncio.Lock()
        self._candidate: _Candidate | None = None
        self._rejected: RejectedRulesets | None = None
        self._tried: tuple[rules.RuleFile, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._shadow_problems: tuple[str, ...] = ()
        self.on_swap: Callable[[], Awaitable[None]] = _nobody_minds

    def state(self) -> RulesetStatus:
        """Return what is live, what waits, and what was refused last."""
        judges, shadow = self._rulebook.judges, self._rulebook.shadow
        return RulesetStatus(
            gate=live_set(judges.gate),
            score=live_set(judges.score),
            folder=self._settings.dir,
            channels=self._channels,
            waiting=None if self._candidate is None else self._candidate.waiting,
            rejected=self._rejected,
            warnings=self._warnings,
            shadow=None if shadow is None else live_set(shadow.gate),
            shadow_problems=self._shadow_problems,
        )

    def waiting_changes(self) -> tuple[Change, ...]:
        """Return in what the rules that wait differ from what is live."""
        return () if self._candidate is None else self._candidate.changes

    async def restore(self) -> None:
        """Put the last accepted sets in force, and then what the folder says, if that may be."""
        files = await self._database.read(lambda reader: past.last_accepted(reader, self._rulebook))
        try:
            self._rulebook.judges = Judges.of(files, self._settings)
        except RulesRejected as error:
            # An older version accepted what this one can't read: the shipped rules hold.
            log.warning("accepted_rules_unreadable", sentence=str(error))
        judges, at = self._rulebook.judges, self._clock.now()
        await self._database.write(lambda tx: judges.store(tx, at=at, who="daemon"))
        await self.reload("daemon")

    async def reload(self, who: str) -> RulesetStatus:
        """Try the folder as it stands: it goes live, waits for a person, or is refused."""
        async with self._one_at_a_time:
            await self._reload(who, "")
            return self.state()

    async def changeable(self, amendment: Amendment) -> Changeable:
        """Return what an amendment is about, as the operator's folder says it now.

        Raises :class:`NotFound` where there is no such thing, :class:`RulesRejected` where the
        folder can't be read.
        """
        try:
            files = await asyncio.to_thread(folder.live, self._settings)
            sets = await asyncio.to_thread(rules.load_sets, files)
            return changeable(sets[amendment.kind], amendment.section, amendment.name)
        except NotAmendable as error:
            raise NotFound(str(error)) from error
        except rules.RulesInvalid as error:
            raise RulesRejected(str(error)) from error

    async def foresee(self, amendment: Amendment) -> Foreseen:
        """Tell what a change in the operator's folder would bring; nothing is written.

        Raises :class:`Conflict` where it can't be changed like this, :class:`RulesRejected` where
        the folder, as it is or as it would be, can't go live.
        """
        try:
            place = str(pen.folder_of(self._settings))
            files = await asyncio.to_thread(folder.live, self._settings)
            draft = await asyncio.to_thread(amended, files, amendment, place)
        except NotAmendable as error:
            raise Conflict(str(error)) from error
        except (rules.RulesInvalid, rules.GateFault) as error:
            raise RulesRejected(str(error)) from error
        tried = await self._trial.of(draft.files)
        if tried.problems:
            raise RulesRejected("\n".join(map(str, tried.problems)))
        judges = await asyncio.to_thread(Judges.of, draft.files, self._settings)
        changes = changes_between(self._rulebook.judges, judges)
        waits = any(change.weighty for change in changes) or await self._was_undone(judges)
        return Foreseen(draft.before, draft.files, draft.changed, changes, waits, draft.examples)

    async def change(self, amendment: Amendment, who: str, reason: str) -> Foreseen:
        """Change the operator's folder and reload it; raises as :meth:`foresee`."""
        async with self._one_at_a_time:
            found = await self.foresee(amendment)
            await asyncio.to_thread(pen.write, found.written)
            at, subject = self._clock.now(), f"{amendment.section}.{amendment.name}"
            detail = found.detail(amendment.value)
            await self._database.write(
                lambda tx: audit.add(tx, at, who, "rules_changed", subject, reason, detail)
            )
            await self._reload(who, reason)
            return found

    async def accept(self, hash_: str, who: str, reason: str) -> RulesetStatus:
        """Let what waits go live; raise :class:`NotFound` where nothing of that hash waits."""
        async with self._one_at_a_time:
            found = self._candidate
            if found is None or not found.waiting.hash.startswith(hash_):
                raise NotFound(
                    f"No rules of the hash {hash_} wait to be accepted.",
                    hint="leadmaster rules status shows what waits.",
                )
            await self._swap(found.judges, RulesetActivationKind.ACCEPTED, who, reason)
            return self.state()

    async def rollback(self, hash_: str, who: str, reason: str) -> RulesetStatus:
        """Put a set that was live before in force again; the other format's stays as it is.

        The folder still says the other thing: that waits, whatever it is, until it is mended.
        Raises :class:`NotFound`, :class:`Conflict` where several begin like that or it is live
        already, and :class:`RulesRejected` where it does not pass its trial any more.
        """
        async with self._one_at_a_time:
            files = await self._database.read(
                lambda reader: past.with_stored(reader, self._rulebook, hash_)
            )
            tried = await self._trial.of(files)
            if tried.problems:
                raise RulesRejected("\n".join(map(str, tried.problems)))
            judges = await asyncio.to_thread(Judges.of, files, self._settings)
            if judges.means_the_same(self._rulebook.judges):
                raise Conflict(f"The rules {hash_} are live already.")
            await self._swap(judges, RulesetActivationKind.ROLLED_BACK, who, reason)
            await self._reload(who, "", undone=True)
            return self.state()

    async def _reload(self, who: str, reason: str, *, undone: bool = False) -> None:
        await self._reload_shadow()
        try:
            files = await asyncio.to_thread(folder.live, self._settings)
        except rules.RulesInvalid as error:
            await self._reject(list(map(str, error.problems)))
            return
        if set(files) == self._rulebook.judges.sources:
            self._candidate = self._rejected = None
            self._warnings = self._warnings if self._tried == files else ()
            return
        tried = await self._trial.of(files)
        if tried.problems:
            await self._reject(list(map(str, tried.problems)))
            return
        judges = await asyncio.to_thread(Judges.of, files, self._settings)
        await self._take(judges, who, reason, undone=undone)
        self._tried, self._warnings = files, tuple(map(str, tried.warnings))

    async def _take(self, judges: Judges, who: str, reason: str, *, undone: bool) -> None:
        live, known = self._rulebook.judges, self._candidate
        changes = changes_between(live, judges)
        self._rejected = None
        if known is not None and known.judges.means_the_same(judges):
            undone = known.waiting.undone
        undone = undone or await self._was_undone(judges)
        if judges.means_the_same(live):
            self._candidate = None
        elif undone or any(change.weighty for change in changes):
            await self._let_wait(judges, changes, undone=undone)
        else:
            await self._swap(judges, RulesetActivationKind.LOADED, who, reason)

    async def _was_undone(self, judges: Judges) -> bool:
        """Tell whether a person rolled these very rules back: they do not return by themselves."""
        return await self._database.read(lambda reader: past.was_undone(reader, judges.hashes))

    async def _let_wait(self, judges: Judges, changes: tuple[Change, ...], *, undone: bool) -> None:
        at = self._clock.now()
        waiting = waiting_for(self._rulebook.judges, judges, changes, at, undone=undone)
        known = self._candidate is not None and self._candidate.waiting.hash == waiting.hash
        self._candidate = _Candidate(judges, waiting, changes)
        if known:
            return
        log.info("rules_awaiting_acceptance", hash=waiting.hash, changes=list(waiting.changes))
        side = judges.gate if waiting.hash == waiting.gate else judges.score
        event = RulesAwaitingAcceptance(
            subject=waiting.hash,
            at=at,
            format=str(side.ruleset.format),
            changes=waiting.changes,
            files=waiting.files,
        )
        await self._database.write(lambda tx: tx.emit(event))

    async def _swap(
        self, judges: Judges, how: RulesetActivationKind, who: str, reason: str
    ) -> None:
        at = self._clock.now()

        def job(tx: Tx) -> None:
            judges.store(tx, at=at, who=who, how=how, reason=reason)
            if how is not RulesetActivationKind.LOADED:
                subject, detail = judges.hashes[0], {"score": judges.hashes[1]}
                audit.add(tx, at, who, f"rules_{how}", subject, reason, detail)

        await self._database.write(job)
        self._rulebook.judges = judges
        self._candidate = self._rejected = None
        log.info("rules_live", gate=judges.hashes[0], score=judges.hashes[1], how=how, who=who)
        await self.on_swap()

    async def _reject(self, problems: Sequence[str]) -> None:
        shown, known = tuple(problems[:_SHOWN_PROBLEMS]), self._rejected
        at = self._clock.now()
        self._rejected = RejectedRulesets(at, shown)
        if known is not None and known.problems == shown:
            return
        log.warning("rules_rejected", problems=list(shown))
        event = RulesWereRejected(subject=self._rulebook.gate.ruleset.hash, at=at, problems=shown)
        await self._database.write(lambda tx: tx.emit(event))

    async def _reload_shadow(self) -> None:
        """Try the shadow's folder; it is judged by the second engine alone, so it costs little."""
        try:
            files = await asyncio.to_thread(folder.shadow, self._settings)
            tried = await self._trial.of(files) if files else Tried()
            self._shadow_problems = tuple(map(str, tried.problems))
            if not tried.problems:
                self._rulebook.shadow = Judges.beside(files) if files else None
        except rules.RulesInvalid as error:
            self._shadow_problems = tuple(map(str, error.problems))


async def _nobody_minds() -> None:
    """Hear that the live rules changed."""
