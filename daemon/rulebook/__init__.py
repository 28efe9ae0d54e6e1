"""The rules in force: loaded, tried in a process apart, swapped in one step, accepted, undone."""

from __future__ import annotations

from daemon.rulebook.book import Judges, Rulebook
from daemon.rulebook.desk import RuleDesk
from daemon.rulebook.watch import RuleWatch

__all__ = ["Judges", "RuleDesk", "RuleWatch", "Rulebook"]
