"""Changes the active rulesets: reload, edit, accept, roll back.

New rulesets go live in one step, after a child process has checked them. Where anything fails, the
last good ones stay in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import Struct
from msgspec.structs import replace

import rules
from daemon.api.clock import Clock
from daemon.errors import Conflict, LeadMasterError, NotFound, RulesRejected
from daemon.events import RuleFilesRejected as RulesWereRejected
from daemon.events import RulesAwaitingAcceptance
from daemon.rulesets import history, rule_files
from daemon.rulesets.active import ActiveRulesets, CompiledRulesets
from daemon.rulesets.check_process import RuleCheckProcess, RuleCheckResult
from daemon.rulesets.status import (
    PendingRulesets,
    RejectedRulesets,
    RuleChangePreview,
    RulesetStatus,
    compare_compiled_rulesets,
    describe_pending,
    summarise_ruleset,
)
from daemon.settings import RulesSettings
from rules.diff import RulesetChange
from rules.edits import EditableValue, EditNotAllowed, RulesetEdit, apply_edit, find_editable_value
from storage import audit, queue
from storage.db import Database
from storage.rulesets import RulesetActivationKind
from storage.tx import Tx

log = structlog.get_logger("rules")

_SHOWN_PROBLEMS = 50  # bounds the event and the status where a folder has very many


class _Candidate(Struct, frozen=True):
    compiled: CompiledRulesets
    pending: PendingRulesets
    changes: tuple[RulesetChange, ...]


class RulesetService:
    """Changes the active rulesets, one change at a time.

    `channels` are the installed ones: a rule may route to one of them.
    """

    def __init__(
        self,
        database: Database,
        active: ActiveRulesets,
        clock: Clock,
        settings: RulesSettings,
        channels: tuple[str, ...],
        check_process: RuleCheckProcess | None = None,
    ) -> None:
        self._database = database
        self._active = active
        self._clock = clock
        self._settings = settings
        self._channels = channels
        self._check_process = check_process or RuleCheckProcess(
            settings.check_seconds, settings.engines, channels=channels
        )
        self._lock = asyncio.Lock()
        self._candidate: _Candidate | None = None
        self._rejected: RejectedRulesets | None = None
        self._checked_files: tuple[rules.RuleFile, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._shadow_problems: tuple[str, ...] = ()

    def get_status(self) -> RulesetStatus:
        """Return the live rulesets, the waiting ones, and the problems of rejected ones."""
        compiled, shadow = self._active.compiled, self._active.shadow
        return RulesetStatus(
            gate=summarise_ruleset(compiled.gate),
            score=summarise_ruleset(compiled.score),
            folder=self._settings.dir,
            channels=self._channels,
            waiting=None if self._candidate is None else self._candidate.pending,
            rejected=self._rejected,
            warnings=self._warnings,
            shadow=None if shadow is None else summarise_ruleset(shadow.gate),
            shadow_problems=self._shadow_problems,
        )

    def get_pending_changes(self) -> tuple[RulesetChange, ...]:
        """Return the changes that the rulesets waiting for acceptance would make."""
        return () if self._candidate is None else self._candidate.changes

    async def restore(self) -> None:
        """Put the last accepted rulesets in force, at a start, and then reload the folder.

        What changed in the folder meanwhile goes live, waits or is rejected as at any reload.
        """
        files = await self._database.read(
            lambda reader: history.read_last_accepted(reader, self._active)
        )
        try:
            self._active.compiled = CompiledRulesets.compile_files(files, self._settings)
        except RulesRejected as error:
            # An older version accepted what this one can't read: the shipped rules stay in force.
            log.warning("accepted_rules_unreadable", sentence=str(error))
        compiled, at = self._active.compiled, self._clock.now()
        await self._database.write(lambda tx: compiled.store(tx, at=at, who="daemon"))
        await self.reload("daemon")

    async def reload(self, who: str) -> RulesetStatus:
        """Check the folder as it is now: it goes live, waits for acceptance, or is rejected."""
        async with self._lock:
            await self._reload(who, "")
            return self.get_status()

    async def find_editable(self, amendment: RulesetEdit) -> EditableValue:
        """Return the value that an edit would change, by the operator's folder as it is now.

        Raises :class:`NotFound` where there is none, :class:`RulesRejected` where the folder can't
        be read.
        """
        try:
            files = await asyncio.to_thread(rule_files.read_configured_files, self._settings)
            sets = await asyncio.to_thread(rules.load_rulesets, files)
            return find_editable_value(sets[amendment.kind], amendment.section, amendment.name)
        except EditNotAllowed as error:
            raise NotFound(str(error)) from error
        except rules.RulesInvalid as error:
            raise RulesRejected(str(error)) from error

    async def preview_change(self, amendment: RulesetEdit) -> RuleChangePreview:
        """Return the effect of an edit in the operator's folder; nothing is written.

        Raises :class:`Conflict` where the edit is not possible, :class:`RulesRejected` where the
        folder, before or after the edit, can't go live.
        """
        try:
            folder = str(rule_files.require_writable_folder(self._settings))
            files = await asyncio.to_thread(rule_files.read_configured_files, self._settings)
            draft = await asyncio.to_thread(apply_edit, files, amendment, folder)
        except EditNotAllowed as error:
            raise Conflict(str(error)) from error
        except (rules.RulesInvalid, rules.GateFault) as error:
            raise RulesRejected(str(error)) from error
        result = await self._check_process.check_files(draft.files)
        if result.problems:
            raise RulesRejected("\n".join(map(str, result.problems)))
        compiled = await asyncio.to_thread(
            CompiledRulesets.compile_files, draft.files, self._settings
        )
        changes = compare_compiled_rulesets(self._active.compiled, compiled)
        waits = any(change.needs_acceptance for change in changes) or await self._was_rolled_back(
            compiled
        )
        return RuleChangePreview(
            draft.before, draft.files, draft.changed, changes, waits, draft.examples
        )

    async def apply_change(
        self, amendment: RulesetEdit, who: str, reason: str
    ) -> RuleChangePreview:
        """Apply an edit to the operator's folder, and reload it; raises as `preview_change`."""
        async with self._lock:
            preview = await self.preview_change(amendment)
            await asyncio.to_thread(rule_files.write_rule_files, preview.written)
            # Audited whatever the reload gives: the files are changed by now.
            at, subject = self._clock.now(), f"{amendment.section}.{amendment.name}"
            detail = preview.build_audit_detail(amendment.value)
            await self._database.write(
                lambda tx: audit.insert_audit_entry(
                    tx, at, who, "rules_changed", subject, reason, detail
                )
            )
            await self._reload(who, reason)
            return preview

    async def accept(self, hash_: str, who: str, reason: str) -> RulesetStatus:
        """Make the waiting rulesets live. Raises :class:`NotFound` where none has that hash."""
        async with self._lock:
            waiting = self._require_candidate(hash_).compiled
            await self._activate(waiting, RulesetActivationKind.ACCEPTED, who, reason)
            return self.get_status()

    async def discard(self, hash_: str, who: str, reason: str) -> RulesetStatus:
        """Take what waits out of the operator's folder: its files get the texts in force.

        Each text that is taken out is kept beside, with the ending `.undone`. Raises
        :class:`NotFound` where nothing of that hash waits, and :class:`Conflict` where none of the
        folder's files is as it was when it began to wait.
        """
        async with self._lock:
            waiting = self._require_candidate(hash_).compiled
            try:
                taken_out = await asyncio.to_thread(
                    rule_files.restore_rule_files,
                    self._settings,
                    waiting.sources,
                    self._active.compiled.sources,
                    keeps_texts=True,
                )
            except rules.RulesInvalid as error:
                raise RulesRejected(str(error)) from error
            if not taken_out:
                raise Conflict(
                    "Nothing was taken out: the files were changed since, or the change is not in"
                    " your folder.",
                    hint="Check the folder, and look at what waits then.",
                )
            await self._audit_files("rules_taken_out", taken_out, who, reason)
            await self._reload(who, "")
            return self.get_status()

    def _require_candidate(self, hash_: str) -> _Candidate:
        candidate = self._candidate
        if candidate is None or not candidate.pending.hash.startswith(hash_):
            raise NotFound(
                f"No rules of the hash {hash_} are waiting to be accepted.",
                hint="leadmaster rules status shows what waits.",
            )
        return candidate

    async def rollback(self, hash_: str, who: str, reason: str) -> RulesetStatus:
        """Make a ruleset live that was live before; that of the other format stays as it is.

        The files of the operator's folder get their former texts, but for those that were changed
        since the live ruleset was read: these wait.

        Raises :class:`NotFound`, :class:`Conflict` where several hashes have the prefix or it is
        live already, and :class:`RulesRejected` where it does not pass its check any more.
        """
        async with self._lock:
            files = await self._database.read(
                lambda reader: history.find_stored_files(reader, self._active, hash_)
            )
            result = await self._check_process.check_files(files)
            if result.problems:
                raise RulesRejected("\n".join(map(str, result.problems)))
            compiled = await asyncio.to_thread(
                CompiledRulesets.compile_files, files, self._settings
            )
            if compiled.is_equivalent_to(self._active.compiled):
                raise Conflict(f"The rules {hash_} are in force already.")
            undone = self._active.compiled
            await self._activate(compiled, RulesetActivationKind.ROLLED_BACK, who, reason)
            await self._restore_files(undone, compiled, who, reason)
            # What the folder still has of the rules that were rolled back waits from now on.
            await self._reload(who, "", undone=True)
            return self.get_status()

    async def _restore_files(
        self, undone: CompiledRulesets, former: CompiledRulesets, who: str, reason: str
    ) -> None:
        """Take what was rolled back out of the folder; where that fails, the rules are in force."""
        try:
            restored = await asyncio.to_thread(
                rule_files.restore_rule_files, self._settings, undone.sources, former.sources
            )
        except (LeadMasterError, rules.RulesInvalid) as error:
            log.warning("rule_files_not_restored", sentence=str(error))
            return
        if restored:
            await self._audit_files("rule_files_restored", restored, who, reason)

    async def _audit_files(self, action: str, paths: list[str], who: str, reason: str) -> None:
        at, subject, detail = self._clock.now(), self._settings.dir, {"files": paths}
        await self._database.write(
            lambda tx: audit.insert_audit_entry(tx, at, who, action, subject, reason, detail)
        )

    async def _reload(self, who: str, reason: str, *, undone: bool = False) -> None:
        await self._reload_shadow()
        try:
            files = await asyncio.to_thread(rule_files.read_configured_files, self._settings)
        except rules.RulesInvalid as error:
            await self._reject(list(map(str, error.problems)))
            return
        # The same texts as those in force: no child process, and nothing waits any more.
        if set(files) == self._active.compiled.sources:
            self._candidate = self._rejected = None
            self._warnings = self._warnings if self._checked_files == files else ()
            return
        result = await self._check_process.check_files(files)
        if result.problems:
            await self._reject(list(map(str, result.problems)))
            return
        compiled = await asyncio.to_thread(CompiledRulesets.compile_files, files, self._settings)
        await self._activate_or_hold(compiled, who, reason, undone=undone)
        self._checked_files, self._warnings = files, tuple(map(str, result.warnings))

    async def _activate_or_hold(
        self, compiled: CompiledRulesets, who: str, reason: str, *, undone: bool
    ) -> None:
        live, previous = self._active.compiled, self._candidate
        changes = compare_compiled_rulesets(live, compiled)
        self._rejected = None
        if previous is not None and previous.compiled.is_equivalent_to(compiled):
            undone = previous.pending.undone
        # Also from the database: a restart must not bring back what a person has rolled back.
        undone = undone or await self._was_rolled_back(compiled)
        if compiled.is_equivalent_to(live):
            self._candidate = None
        elif undone or any(change.needs_acceptance for change in changes):
            await self._hold_for_acceptance(compiled, changes, undone=undone)
        else:
            await self._activate(compiled, RulesetActivationKind.LOADED, who, reason)

    async def _was_rolled_back(self, compiled: CompiledRulesets) -> bool:
        """Return whether a person rolled these rulesets back, which then need acceptance."""
        return await self._database.read(
            lambda reader: history.was_rolled_back(reader, compiled.hashes)
        )

    async def _hold_for_acceptance(
        self, compiled: CompiledRulesets, changes: tuple[RulesetChange, ...], *, undone: bool
    ) -> None:
        at = self._clock.now()
        pending = describe_pending(self._active.compiled, compiled, changes, at, undone=undone)
        known = self._candidate
        if known is not None and known.pending.hash == pending.hash:
            # Kept anew for its files; it has waited since it was first seen.
            waiting = replace(pending, at=known.pending.at)
            self._candidate = _Candidate(compiled, waiting, changes)
            return
        log.info("rules_awaiting_acceptance", hash=pending.hash, changes=list(pending.changes))
        side = compiled.gate if pending.hash == pending.gate else compiled.score
        event = RulesAwaitingAcceptance(
            subject=pending.hash,
            at=at,
            format=str(side.ruleset.format),
            changes=pending.changes,
            files=pending.files,
        )
        # Before it waits: where this fails, the next reload tells it.
        await self._database.write(lambda tx: tx.emit(event))
        self._candidate = _Candidate(compiled, pending, changes)

    async def _activate(
        self, compiled: CompiledRulesets, how: RulesetActivationKind, who: str, reason: str
    ) -> None:
        """Make rulesets live, and queue deferred and cleared messages to be judged by them."""
        at = self._clock.now()

        def job(tx: Tx) -> None:
            compiled.store(tx, at=at, who=who, how=how, reason=reason)
            queue.requeue_all_messages(tx, at)
            if how is not RulesetActivationKind.LOADED:
                subject, detail = compiled.hashes[0], {"score": compiled.hashes[1]}
                audit.insert_audit_entry(tx, at, who, f"rules_{how}", subject, reason, detail)

        await self._database.write(job)
        # After the commit: no decision may name a ruleset that is not stored.
        self._active.compiled = compiled
        self._candidate = self._rejected = None
        log.info("rules_live", gate=compiled.hashes[0], score=compiled.hashes[1], how=how, who=who)

    async def _reject(self, problems: Sequence[str]) -> None:
        shown, previous = tuple(problems[:_SHOWN_PROBLEMS]), self._rejected
        at = self._clock.now()
        rejected = RejectedRulesets(at, shown)
        if previous is None or previous.problems != shown:  # the same problems again are no news
            log.warning("rules_rejected", problems=list(shown))
            event = RulesWereRejected(subject=self._active.gate.ruleset.hash, at=at, problems=shown)
            # Before they are kept: where this fails, the next reload tells them.
            await self._database.write(lambda tx: tx.emit(event))
        self._rejected = rejected

    async def _reload_shadow(self) -> None:
        """Check and compile the shadow's folder; its problems never affect the live rulesets."""
        try:
            files = await asyncio.to_thread(rule_files.read_shadow_files, self._settings)
            result = await self._check_process.check_files(files) if files else RuleCheckResult()
            self._shadow_problems = tuple(map(str, result.problems))
            if not result.problems:
                self._active.shadow = CompiledRulesets.compile_shadow(files) if files else None
        except rules.RulesInvalid as error:
            self._shadow_problems = tuple(map(str, error.problems))
