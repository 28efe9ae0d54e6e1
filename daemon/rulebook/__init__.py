"""The rules in force: loaded, tried in a process apart, swapped in one step, accepted, undone."""

from __future__ import annotations

from daemon.rulebook.book import ActiveRulesets, CompiledRulesets
from daemon.rulebook.desk import RulesetService
from daemon.rulebook.watch import RulesetWatcher

__all__ = ["ActiveRulesets", "CompiledRulesets", "RulesetService", "RulesetWatcher"]
