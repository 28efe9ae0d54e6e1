"""`rules status`, `reload`, `accept`, `rollback`, `history` and `shadow`: what is in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from daemon.cli.context import Here, as_json, pass_here, reason
from daemon.cli.moments import moment
from daemon.cli.screen import advise, print_json, say
from daemon.cli.tables import print_table

REFUSED = 2
_HASH = 12  # characters of a hash that a person sees, and may type


@click.command()
@as_json
@pass_here
def status(here: Here, *, json_: bool) -> None:
    """Show the rules in force, what waits for a person, and what was refused."""
    _show(here.client().get("rules"), json_=json_)


@click.command()
@as_json
@pass_here
def reload(here: Here, *, json_: bool) -> int:
    """Try the operator's folder now, as a save there does; exits with 2 where it is refused."""
    state = here.client().post("rules", "reload")
    _show(state, json_=json_)
    return REFUSED if state["rejected"] else 0


@click.command()
@click.argument("hash_", metavar="HASH")
@reason()
@as_json
@pass_here
def accept(here: Here, *, hash_: str, reason: str, json_: bool) -> None:
    """Let the rules that wait under HASH go live."""
    _show(here.client().post("rules", "accept", hash=hash_, reason=reason), json_=json_)


@click.command()
@click.argument("hash_", metavar="HASH")
@reason()
@as_json
@pass_here
def rollback(here: Here, *, hash_: str, reason: str, json_: bool) -> None:
    """Put the rules of HASH, which were live before, in force again."""
    _show(here.client().post("rules", "rollback", hash=hash_, reason=reason), json_=json_)


@click.command()
@as_json
@pass_here
def history(here: Here, *, json_: bool) -> None:
    """List which rules went live when, by whom, and why."""
    items = here.client().get("rules", "history")["items"]
    if json_:
        print_json(items)
        return
    rows = [{**item, "hash": item["hash"][:_HASH]} for item in items]
    columns = {key: key for key in ("at", "format", "hash", "how", "who", "reason")}
    print_table(rows, columns, empty="Nothing went live yet.")


_NO_SHADOW: Final = "There is no shadow: name its folder in [rules] shadow."
_NO_SHADOW_YET: Final = "There is no shadow until its files are mended: see above."


@click.command()
@as_json
@pass_here
def shadow(here: Here, *, json_: bool) -> None:
    """Show how often the shadow rules would have decided otherwise."""
    report = here.client().get("rules", "shadow")
    if json_:
        print_json(report)
        return
    for problem in report["problems"]:
        say(problem)
    if report["shadow"] is None:
        say(_NO_SHADOW_YET if report["problems"] else _NO_SHADOW)
        return
    standing = report["standing"]
    share = standing["differed"] / standing["asked"] if standing["asked"] else 0
    say(
        f"shadow {report['shadow']['hash'][:_HASH]}: asked {standing['asked']} times,"
        f" {standing['differed']} otherwise ({share:.1%})"
    )
    for flip, count in standing["flips"].items():
        say(f"  {count:>6}  {flip}")
    columns = {key: key for key in ("message", "live", "shadow", "sentence")}
    if report["examples"]:
        print_table(report["examples"], columns, empty="")


def _show(state: Mapping[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(state)
        return
    for side in ("gate", "score"):
        live = state[side]
        say(f"{side} {live['hash'][:_HASH]}, {live['engine']}, {', '.join(live['files'])}")
    if state["waiting"]:
        _show_waiting(state["waiting"])
    if rejected := state["rejected"]:
        say(f"refused at {moment(rejected['at'])}, the rules above go on:")
        for problem in rejected["problems"]:
            say(f"  {problem}")
    for warning in state["warnings"]:
        say(f"warning: {warning}")
    if shadow := state["shadow"]:
        say(f"shadow {shadow['hash'][:_HASH]}, never obeyed")
    for problem in state["shadow_problems"]:
        say(f"shadow: {problem}")


def _show_waiting(waiting: Mapping[str, Any]) -> None:
    """Show what waits for a person; after a rollback, that the folder is to be mended."""
    hash_, files = waiting["hash"][:_HASH], ", ".join(waiting["differs"])
    if waiting["undone"]:
        say(f"the folder still differs from the rules above, after a rollback: {files}")
    else:
        say(f"waiting for a person since {moment(waiting['at'])}: {hash_}")
    for change in waiting["changes"]:
        say(f"  {change}")
    if waiting["undone"]:
        say("  change that back, or take it away; or put it in force after all:")
    advise(f"  leadmaster rules accept {hash_} --reason …")
