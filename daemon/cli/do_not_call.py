"""`leadmaster do-not-call`: imports official do-not-call registers, and lists them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.number_lists import build_list_options, number_list_options, print_list_result
from daemon.cli.tables import print_table


@click.group("do-not-call", cls=CommandGroup)
def do_not_call() -> None:
    """Import do-not-call registers: who is on one gets nothing commercial."""


@do_not_call.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--dated",
    required=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day of which the register is: YYYY-MM-DD.",
)
@click.option("--country", default="AR", show_default=True, help="Two letters: whose register.")
@number_list_options
@json_option
@pass_cli_context
def import_register(
    cli: CliContext,
    *,
    file: Path,
    dated: datetime,
    country: str,
    phone: str | None,
    encoding: str | None,
    sheet: str | None,
    json_: bool,
) -> None:
    """Import FILE as the register of a country; the newest of a country is in force."""
    client = cli.client()
    upload = client.upload(file.read_bytes(), "uploads", filename=file.name)["upload"]
    done = client.post(
        "do-not-call",
        upload=upload,
        dated=f"{dated:%Y-%m-%d}",
        country=country.upper(),
        options=build_list_options(phone=phone, encoding=encoding, sheet=sheet),
    )
    if json_:
        print_json(done)
        return
    register = done["register"]
    print_text(
        f"{register['numbers']} numbers of {register['country']}, as of {register['dated']}."
        if register["in_force"]
        else "It is stored, but not in force: there is a newer one."
    )
    print_list_result(done, done["rejects"], done["rejected"])


@do_not_call.command("list")
@json_option
@pass_cli_context
def list_registers(cli: CliContext, *, json_: bool) -> None:
    """Show the imported registers, how old they are, and which are in force."""
    found = cli.client().get("do-not-call")
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
        {"country": "of", "dated": "as of", "numbers": "numbers", "in_force": "in force"},
        empty="No do-not-call register was imported.",
    )
