"""`leadmaster filters`: filters of prospects under a name, for lists and for campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from daemon.cli.client import ControlClient
from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.errors import ask_confirmation
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time

_FIELDS: Final = {
    "search": "text",
    "permission": "permission",
    "validation": "validation",
    "import_id": "import_id",
}
"""The options of a filter, and what the interface calls each."""
_COLUMNS: Final = {"name": "filter", "count": "people", "sentence": "finds"}


_SEARCH_HELP: Final = "Part of a name, trade, origin or number."
search_option = click.option("--search", help=_SEARCH_HELP)
import_option = click.option("--import", "import_id", help="Those of this import alone.")
permission_option = click.option("--permission", help="Those with this permission alone.")


def filter_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators take any command
    """Add the options of a filter of prospects."""
    return search_option(_narrowing_options(command))


def list_filter_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators take any command
    """Add the options of a filter of prospects, and the one for a saved filter."""
    named = click.option(
        "--filter", "saved_filter", help="Those of this saved filter, by its name."
    )
    # The first name of the search, from before there were filters elsewhere.
    search = click.option("--search", "--text", "search", help=_SEARCH_HELP)
    return search(_narrowing_options(named(command)))


def _narrowing_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators take any command
    for option in (
        import_option,
        click.option("--validation", help="Those with this validation alone."),
        permission_option,
    ):
        command = option(command)
    return command


def build_filter(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the filter of the options that were given."""
    return {field: options[name] for name, field in _FIELDS.items() if options.get(name)}


def load_filter(cli: CliContext, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the filter of the options that were given, or of the saved one that they name."""
    fields, name = build_filter(options), options["saved_filter"]
    if not name:
        return fields
    if fields:
        raise click.UsageError("Give either --filter or the options of a filter.")
    saved = cli.client().get("saved-filters", name)["filter"]
    return {field: value for field, value in saved.items() if value}


@click.group(cls=CommandGroup)
def filters() -> None:
    """Save filters of prospects under a name, and use them again in lists and campaigns."""


@filters.command("list")
@json_option
@pass_cli_context
def list_filters(cli: CliContext, *, json_: bool) -> None:
    """Show the saved filters, each with how many people it finds now."""
    found = cli.client().get("saved-filters")
    if json_:
        print_json(found)
        return
    print_table(found["items"], _COLUMNS, empty="No saved filter yet.")


@filters.command("save")
@click.argument("name")
@filter_options
@json_option
@pass_cli_context
def save_filter(cli: CliContext, /, *, name: str, json_: bool, **options: str | None) -> None:
    """Save a filter under a NAME, for everybody who uses LeadMaster."""
    saved = cli.client().post("saved-filters", name=name, filter=build_filter(options))
    _print_filter(saved, json_=json_)
    if not json_:
        print_hint(f"Next: leadmaster campaigns add CAMPAIGN --filter {saved['id']}")


@filters.command("show")
@click.argument("name")
@json_option
@pass_cli_context
def show_filter(cli: CliContext, *, name: str, json_: bool) -> None:
    """Show the saved filter called NAME, with how many people it finds now."""
    _print_filter(cli.client().get("saved-filters", name), json_=json_)


@filters.command("change")
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@filter_options
@click.option("--yes", is_flag=True, help="Change it without asking.")
@json_option
@pass_cli_context
def change_filter(
    cli: CliContext,
    /,
    *,
    name: str,
    new_name: str | None,
    yes: bool,
    json_: bool,
    **options: str | None,
) -> None:
    """Give the filter called NAME another name, or a filter in place of what it has.

    It is shown first, and is not changed where somebody else changes it before you answer.
    Campaigns that took it keep what they took.
    """
    fields = build_filter(options)
    if new_name is None and not fields:
        raise click.UsageError("Give --name or the options of a filter.")
    client, question = cli.client(), f"{_describe_change(new_name, fields)} Change it?"
    saved = _read_and_ask(client, name, question, "Nothing was changed.", yes=yes)
    changed = client.patch(
        *("saved-filters", saved["id"]),
        name=new_name,
        filter=fields or None,
        changed_at=saved["changed_at"],
    )
    _print_filter(changed, json_=json_)


@filters.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete it without asking.")
@json_option
@pass_cli_context
def delete_filter(cli: CliContext, *, name: str, yes: bool, json_: bool) -> None:
    """Delete the filter called NAME for everybody; campaigns that took it keep what they took.

    It is shown first, and is not deleted where somebody else changes it before you answer.
    """
    client, question = cli.client(), "Delete it for everybody?"
    saved = _read_and_ask(client, name, question, "Nothing was deleted.", yes=yes)
    deleted = client.delete("saved-filters", saved["id"], changed_at=saved["changed_at"])
    if json_:
        print_json(deleted)
        return
    print_text(f"Deleted: {deleted['name']}. No prospect and no campaign was changed.")


def _read_and_ask(
    client: ControlClient, name: str, question: str, if_declined: str, *, yes: bool
) -> dict[str, Any]:
    """Return a filter as it is now, which was shown with the question unless `yes` answers it."""
    saved: dict[str, Any] = client.get("saved-filters", name)
    if not yes:
        ask_confirmation(f"{_describe_saved(saved)}\n{question}", if_declined=if_declined)
    return saved


def _print_filter(saved: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(saved)
        return
    print_text(f"{saved['name']}: {saved['sentence']}.")
    print_text(_count_people(saved))


def _count_people(saved: Mapping[str, Any]) -> str:
    people = "1 person now" if saved["count"] == 1 else f"{saved['count']} people now"
    apart = f", {saved['suppressed']} of them opted out" if saved["suppressed"] else ""
    return people + apart


def _describe_saved(saved: Mapping[str, Any]) -> str:
    """Return a filter as it is before a change, and who changed it last."""
    return (
        f"{saved['name']}: {saved['sentence']}; {_count_people(saved)}."
        f" Last changed by {saved['changed_by']}, {format_time(saved['changed_at'])}."
    )


def _describe_change(new_name: str | None, fields: Mapping[str, str]) -> str:
    parts = [] if new_name is None else [f"New name: {new_name}."]
    if fields:
        parts.append(f"New filter: {', '.join(f'{name} {fields[name]}' for name in fields)}.")
    return " ".join(parts)
