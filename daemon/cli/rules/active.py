"""The `rules` commands about the rules in force: show, explain, reload, accept and roll back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, json_option, pass_cli_context, reason_option
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time

EXIT_REFUSED = 2
_HASH_LENGTH = 12  # characters of a hash that a person sees, and may type


@click.command("status")
@json_option
@pass_cli_context
def show_rules_status(cli: CliContext, *, json_: bool) -> None:
    """Show the rules in force, what waits for a person, and what was refused."""
    _print_rules_state(cli.client().get("rules"), json_=json_)


@click.command("reload")
@json_option
@pass_cli_context
def reload_rules(cli: CliContext, *, json_: bool) -> int:
    """Try the operator's folder now, as a save there does; exits with 2 where it is refused."""
    state = cli.client().post("rules", "reload")
    _print_rules_state(state, json_=json_)
    return EXIT_REFUSED if state["rejected"] else 0


@click.command("accept")
@click.argument("hash_", metavar="HASH")
@reason_option()
@json_option
@pass_cli_context
def accept_rules(cli: CliContext, *, hash_: str, reason: str, json_: bool) -> None:
    """Let the rules that wait under HASH go live."""
    _print_rules_state(cli.client().post("rules", "accept", hash=hash_, reason=reason), json_=json_)


@click.command("rollback")
@click.argument("hash_", metavar="HASH")
@reason_option()
@json_option
@pass_cli_context
def rollback_rules(cli: CliContext, *, hash_: str, reason: str, json_: bool) -> None:
    """Put the rules of HASH, which were live before, in force again."""
    _print_rules_state(
        cli.client().post("rules", "rollback", hash=hash_, reason=reason), json_=json_
    )


@click.command("discard")
@click.argument("hash_", metavar="HASH")
@reason_option()
@json_option
@pass_cli_context
def discard_rules(cli: CliContext, *, hash_: str, reason: str, json_: bool) -> None:
    """Take the rules that wait under HASH out of your folder; NAME.undone keeps each text."""
    state = cli.client().post("rules", "discard", hash=hash_, reason=reason)
    _print_rules_state(state, json_=json_)


@click.command("history")
@json_option
@pass_cli_context
def list_rules_history(cli: CliContext, *, json_: bool) -> None:
    """List the last 20 rules that went live: when, why, by which user, and what each changed."""
    items = cli.client().get("rules", "history", changes="true")["items"]
    if json_:
        print_json(items)
        return
    if not items:
        print_hint("No rules have been in force yet.")
    for item in items:
        side = item["format"].removeprefix("leadmaster/").partition("@")[0]
        how = f"{item['how'].replace('_', ' ')} by {item['who']}"
        reason = f": {item['reason']}" if item["reason"] else ""
        print_text(f"{format_time(item['at'])} {side} {item['hash'][:_HASH_LENGTH]}: {how}{reason}")
        for sentence in _list_changes(item):
            print_text(f"  {sentence}")


def _list_changes(item: Mapping[str, Any]) -> list[str]:
    """Return what an entry of the history changed, or why that is not known."""
    if item["changes"]:
        return list(item["changes"])
    if item["changes"] is not None:
        return ["Only the order in the files changed."]
    if item["previous"] is None:
        return ["The first rules."]
    return ["What changed can't be shown: another version of LeadMaster wrote these rules."]


_NO_SHADOW: Final = "There is no shadow: name its folder in [rules] shadow."
_NO_SHADOW_YET: Final = "There is no shadow until its files are corrected: see above."


@click.command("shadow")
@json_option
@pass_cli_context
def show_shadow(cli: CliContext, *, json_: bool) -> None:
    """Show how often the shadow rules would have decided otherwise."""
    report = cli.client().get("rules", "shadow")
    if json_:
        print_json(report)
        return
    for problem in report["problems"]:
        print_text(problem)
    if report["shadow"] is None:
        print_text(_NO_SHADOW_YET if report["problems"] else _NO_SHADOW)
        return
    counts = report["standing"]
    share = counts["differed"] / counts["asked"] if counts["asked"] else 0
    print_text(
        f"shadow {report['shadow']['hash'][:_HASH_LENGTH]}: asked {counts['asked']} times,"
        f" {counts['differed']} otherwise ({share:.1%})"
    )
    for flip, count in counts["flips"].items():
        print_text(f"  {count:>6}  {flip}")
    columns = {key: key for key in ("message", "live", "shadow", "sentence")}
    if report["examples"]:
        print_table(report["examples"], columns, empty="")


def _print_rules_state(state: Mapping[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(state)
        return
    for side in ("gate", "score"):
        live = state[side]
        print_text(
            f"{side} {live['hash'][:_HASH_LENGTH]}, {live['engine']}, {', '.join(live['files'])}"
        )
    if state["waiting"]:
        _print_waiting(state["waiting"])
    if rejected := state["rejected"]:
        print_text(f"refused at {format_time(rejected['at'])}, the rules above stay in force:")
        for problem in rejected["problems"]:
            print_text(f"  {problem}")
    for warning in state["warnings"]:
        print_text(f"warning: {warning}")
    if shadow := state["shadow"]:
        print_text(f"shadow {shadow['hash'][:_HASH_LENGTH]}, for comparison only")
    for problem in state["shadow_problems"]:
        print_text(f"shadow: {problem}")


def _print_waiting(waiting: Mapping[str, Any]) -> None:
    """Print the rules that wait for a person; after a rollback, that the folder still differs."""
    hash_, files = waiting["hash"][:_HASH_LENGTH], ", ".join(waiting["differs"])
    if waiting["undone"]:
        print_text(f"the folder still differs from the rules above, after a rollback: {files}")
    else:
        print_text(f"waiting for a person since {format_time(waiting['at'])}: {hash_}")
    for change in waiting["changes"]:
        print_text(f"  {change}")
    if waiting["undone"]:
        print_text("  correct or remove that; or put it in force anyway:")
    print_hint(f"  leadmaster rules accept {hash_} --reason …")
    print_hint(f"  leadmaster rules discard {hash_} --reason …")


@click.command("explain")
@click.argument("subject")
@click.option("--what-if", multiple=True, metavar="FACT=VALUE", help="Suppose this; repeatable.")
@json_option
@pass_cli_context
def explain_decision(
    cli: CliContext, *, subject: str, what_if: tuple[str, ...], json_: bool
) -> None:
    """Explain SUBJECT: a message, a prospect or a decision, by its id.

    With --what-if the rules in force judge the same facts again, but for those supposed.
    """
    answer = cli.client().get("rules", "explain", subject, **_parse_suppositions(what_if))
    if json_:
        print_json(answer)
        return
    if answer["changed"]:
        supposed = ", ".join(f"{name} = {value}" for name, value in answer["changed"].items())
        print_text(f"supposing {supposed}:")
    for line in answer["lines"]:
        print_text(line)


def _parse_suppositions(arguments: tuple[str, ...]) -> dict[str, str]:
    """Return the supposed facts by name; raise UsageError for an argument without `=`."""
    pairs = [argument.partition("=") for argument in arguments]
    unclear = next((name for name, equals, _ in pairs if not equals), None)
    if unclear is not None:
        raise click.UsageError(f"--what-if takes FACT=VALUE, not {unclear!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
