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


async def print_banner(application: Application, addresses: Mapping[str, str]) -> None:
    """Print the addresses as sentences on a terminal, or log them as one structured line."""
    gate, score = application.rulesets.gate, application.rulesets.score
    has_users = await application.database.read(users.list_users)
    facts = {
        **addresses,
        "state": str(application.settings.state_dir),
        "gate": gate.ruleset.hash[:_HASH_LENGTH],
        "score": score.ruleset.hash[:_HASH_LENGTH],
        "engine": gate.engine,
        "next": expand_commands(_OPEN_COMMAND if has_users else _FIRST_USER_COMMAND),
    }
    if sys.stderr.isatty():
        print(_format_banner(facts), file=sys.stderr)
    else:
        structlog.get_logger("daemon").info("listening", **facts)


def _format_banner(facts: Mapping[str, str]) -> str:
    return (
        f"LeadMaster is open: {facts['http']}, control socket {facts['control']},"
        f" state in {facts['state']}; rules: gate {facts['gate']}, score {facts['score']},"
        f" judged by {facts['engine']}.\n"
        f"Next: {facts['next']}"
    )
