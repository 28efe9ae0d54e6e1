"""`leadmaster rules`: check rule files without a daemon, and explain a decision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from daemon.cli.context import Here, as_json, pass_here
from daemon.cli.screen import cell, console, print_json, say

_SIDES = ("gate", "score")


@click.group()
def rules() -> None:
    """Check the rules, and see why they decided as they did."""


@rules.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@as_json
@pass_here
def check(here: Here, *, files: tuple[Path, ...], json_: bool) -> None:
    """Check FILES, or the sets that the settings name, line by line; no daemon is needed."""
    checked = _check_files(files) if files else _check_settings(here)
    if json_:
        print_json({"ok": True, "sets": checked})
        return
    for each in checked:
        say(f"ok: {each['set']} {each['hash'][:12]}, {', '.join(each['files'])}")


def _check_files(files: tuple[Path, ...]) -> list[dict[str, Any]]:
    import rules as library
    from daemon.errors import RulesRejected

    try:
        ruleset = library.load(files)
    except library.RulesInvalid as error:
        raise RulesRejected(str(error)) from error
    return [{"set": "files", "hash": ruleset.hash, "files": list(ruleset.files)}]


def _check_settings(here: Here) -> list[dict[str, Any]]:
    from daemon.rulebook import Rulebook

    book = Rulebook.load(here.settings().rules)
    return [
        {
            "set": side,
            "hash": getattr(book, side).ruleset.hash,
            "files": list(getattr(book, side).ruleset.files),
        }
        for side in _SIDES
    ]


@rules.command()
@click.argument("subject")
@as_json
@pass_here
def explain(here: Here, *, subject: str, json_: bool) -> None:
    """Explain the last decision on a message, or one decision by its id."""
    client = here.client()
    if subject.startswith("dec_"):
        decision = client.get("decisions", subject)
    else:
        decision = client.get("messages", subject, "explain")
    if json_:
        print_json(decision)
    else:
        print_decision(decision)


def print_decision(decision: Mapping[str, Any]) -> None:
    """Print verdict, score, vetoes and contributions, each with its reason and its place."""
    screen = console()
    document = decision["document"]
    verdict = cell("verdict", decision["verdict"])
    screen.print(f"  {verdict} — {cell('sentence', document.get('sentence'))}")
    if document.get("score") is not None:
        screen.print(f"  score {document['score']} ({cell('band', document.get('band'))})")
    for veto in document.get("vetoes", ()):
        screen.print(f"    {_line(veto, veto['effect'])}")
    for part in document.get("contributions", ()):
        screen.print(f"    {_line(part, format(part['points'], '+g'))}")
    for opinion in document.get("opinions", ()):
        text = f"plugin {opinion['source']}: {opinion['effect']} — {opinion['reason']}"
        screen.print(f"    {cell('opinion', text)}")
    if missing := document.get("missing"):
        screen.print(f"  not known: {cell('missing', ', '.join(missing))}")
    rules_of, engine = decision["ruleset"][:12], document.get("engine", "")
    screen.print(f"  [bright_black]rules {rules_of}, engine {engine}, {decision['phase']}[/]")


def _line(rule: Mapping[str, Any], weight: str) -> str:
    place = cell("place", rule["at"])
    return f"{weight:>6}  {cell('id', rule['id'])}: {cell('reason', rule['reason'])} ({place})"
