"""What a daemon says once its doors are open: where it is, by what it judges, what is next."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from daemon.cli.calling import as_called
from storage import users

if TYPE_CHECKING:
    from daemon.app import House

_HASH: Final = 12  # characters of a hash, as everywhere that a person sees it
_COME_IN: Final = "leadmaster open NAME"
_BEGIN: Final = f"leadmaster users add NAME --role admin --link-only; then {_COME_IN}"


async def greet(house: House, doors: Mapping[str, str]) -> None:
    """Tell whoever started it in words, or the journal in a line of its own form."""
    gate, score = house.rulebook.gate, house.rulebook.score
    people = await house.database.read(users.every)
    found = {
        **doors,
        "state": str(house.settings.state_dir),
        "gate": gate.ruleset.hash[:_HASH],
        "score": score.ruleset.hash[:_HASH],
        "engine": gate.engine,
        "next": as_called(_COME_IN if people else _BEGIN),
    }
    if sys.stderr.isatty():
        print(_in_words(found), file=sys.stderr)
    else:
        structlog.get_logger("daemon").info("listening", **found)


def _in_words(found: Mapping[str, str]) -> str:
    return (
        f"LeadMaster is open: {found['http']}, control socket {found['control']},"
        f" state in {found['state']}; rules: gate {found['gate']}, score {found['score']},"
        f" judged by {found['engine']}.\n"
        f"Next: {found['next']}"
    )
