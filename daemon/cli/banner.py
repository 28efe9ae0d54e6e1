"""Prints where a started daemon listens, by which rules it judges, and which command is next."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from daemon.cli.command_hints import expand_commands
from storage import users

if TYPE_CHECKING:
    from daemon.app import Application


_HASH_LENGTH: Final = 12  # characters of a hash, as everywhere that a person sees it
_OPEN_COMMAND: Final = "leadmaster open NAME"
_FIRST_USER_COMMAND: Final = (
    f"leadmaster users add NAME --role admin --link-only; then {_OPEN_COMMAND}"
)


async def print_banner(house: Application, doors: Mapping[str, str]) -> None:
    """Tell whoever started it in words, or the journal in a line of its own form."""
    gate, score = house.rulesets.gate, house.rulesets.score
    people = await house.database.read(users.list_users)
    found = {
        **doors,
        "state": str(house.settings.state_dir),
        "gate": gate.ruleset.hash[:_HASH_LENGTH],
        "score": score.ruleset.hash[:_HASH_LENGTH],
        "engine": gate.engine,
        "next": expand_commands(_OPEN_COMMAND if people else _FIRST_USER_COMMAND),
    }
    if sys.stderr.isatty():
        print(_format_banner(found), file=sys.stderr)
    else:
        structlog.get_logger("daemon").info("listening", **found)


def _format_banner(facts: Mapping[str, str]) -> str:
    return (
        f"LeadMaster is open: {facts['http']}, control socket {facts['control']},"
        f" state in {facts['state']}; rules: gate {facts['gate']}, score {facts['score']},"
        f" judged by {facts['engine']}.\n"
        f"Next: {facts['next']}"
    )
