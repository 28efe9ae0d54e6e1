"""`select` of prospects, messages and the audit: one action on all that a filter finds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from daemon.cli.console import print_json, print_text, write_csv
from daemon.cli.context import CliContext, json_option, pass_cli_context, reason_option
from daemon.cli.errors import ask_confirmation
from daemon.cli.filters import list_filter_options, load_filter
from daemon.cli.tables import print_table

_PROSPECT_ACTIONS: Final = ("check", "validate", "consent", "suppress", "export")
_REFUSAL_COLUMNS: Final = {"name": "left out", "sentence": "why"}
_MARKS: Final = ("reason", "how", "when", "heard_by", "words")
"""Fields of an action, which are not of the filter."""


@click.command("select")
@click.argument("action", type=click.Choice(_PROSPECT_ACTIONS))
@click.option("--id", "ids", multiple=True, help="This prospect; again for another one.")
@click.option("--all", "everybody", is_flag=True, help="All prospects, without a filter.")
@list_filter_options
@reason_option(required=False)
@click.option("--how", default=None, help="Consent: on a call, a form, in_person or paper.")
@click.option("--when", default=None, help="Consent: the day, such as 2026-11-28.")
@click.option("--heard-by", default=None, help="Consent: who took it.")
@click.option("--words", default=None, help="Consent: what they said or signed.")
@click.option("--to", "file", type=click.Path(path_type=Path), help="Export: to this file.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@pass_cli_context
def select_prospects(
    cli: CliContext,
    /,
    *,
    action: str,
    file: Path | None,
    yes: bool,
    json_: bool,
    **given: Any,  # noqa: ANN401 - as click gives it
) -> None:
    """Do one ACTION about many prospects: by --id, by a filter, or about --all.

    It is refused where the filter finds others than those that were counted.
    """
    chosen = _build_choice(given, load_filter(cli, given))
    if action == "export":
        _export(cli, "prospects", chosen, file, json_=json_)
    else:
        fields = {name: given[name] for name in _MARKS}
        _act(cli, "prospects", action, chosen, fields, yes=yes, json_=json_)


@click.command("select")
@click.argument("action", type=click.Choice(["approve", "reject", "cancel"]))
@click.option("--id", "ids", multiple=True, help="This message; again for another one.")
@click.option("--all", "everybody", is_flag=True, help="All messages, without a filter.")
@click.option("--state", default="", help="In one state, or several with commas.")
@click.option("--session", default="", help="Of this session.")
@click.option("--text", default="", help="Part of a name, a text or a number.")
@reason_option()
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
@pass_cli_context
def select_messages(
    cli: CliContext,
    /,
    *,
    action: str,
    reason: str,
    yes: bool,
    json_: bool,
    **given: Any,  # noqa: ANN401 - as click gives it
) -> None:
    """Do one ACTION about many messages: by --id, by a filter, or about --all.

    It is refused where the filter finds others than those that were counted.
    """
    chosen = _build_choice(given, _list_given(given, "state", "session", "text"))
    _act(cli, "messages", action, chosen, {"reason": reason}, yes=yes, json_=json_)


@click.command("audit")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--id", "ids", multiple=True, help="This entry, by its number; again for another.")
@click.option("--who", default="", help="What this user did.")
@click.option("--action", default="", help="Of this kind, such as suppress.")
@click.option("--subject", default="", help="About this id.")
@json_option
@pass_cli_context
def export_audit(
    cli: CliContext,
    /,
    *,
    file: Path | None,
    json_: bool,
    **given: Any,  # noqa: ANN401 - as click gives it
) -> None:
    """Write who did what, when and why to FILE as CSV, or to the screen."""
    wanted = _list_given(given, "who", "action", "subject")
    chosen = _build_choice({**given, "everybody": True}, wanted)
    _export(cli, "audit", chosen, file, json_=json_)


def _list_given(given: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: given[name] for name in names if given[name]}


def _build_choice(given: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    """Return ids or the filter of a selection, as the API takes them."""
    if given["ids"] and wanted:
        raise click.UsageError("Give either --id or a filter.")
    if given["ids"]:
        return {"ids": list(given["ids"])}
    if not wanted and not given["everybody"]:
        raise click.UsageError("Say which: --id, a filter, or --all.")
    return {"filter": wanted}


def _act(
    cli: CliContext,
    list_: str,
    action: str,
    chosen: Mapping[str, Any],
    fields: Mapping[str, Any],
    *,
    yes: bool,
    json_: bool,
) -> None:
    """Ask by number and names, then act on exactly those."""
    client = cli.client()
    found = client.post(list_, "selection", **chosen)
    if not yes:
        more = " …" if found["count"] > len(found["names"]) else ""
        ask_confirmation(
            f"{action} {found['count']}: {', '.join(found['names'])}{more}?",
            if_declined="Nothing was done.",
        )
    done = client.post(list_, "selection", action, **chosen, hash=found["hash"], **fields)
    if json_:
        print_json(done)
        return
    print_text(f"done: {done['done']}, left out: {done['refused']}")
    if done["refusals"]:
        print_table(done["refusals"], _REFUSAL_COLUMNS, empty="")


def _export(
    cli: CliContext, list_: str, chosen: Mapping[str, Any], file: Path | None, *, json_: bool
) -> None:
    client = cli.client()
    hash_ = client.post(list_, "selection", **chosen)["hash"]
    content = client.fetch(list_, "selection", "export", **chosen, hash=hash_)
    write_csv(content, file, json_=json_)
