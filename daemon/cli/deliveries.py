"""`leadmaster deliveries`: hand people to a client, and write down what the client says of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.cli.clients import find_client
from daemon.cli.console import print_hint, print_json, print_text, write_csv, write_file
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
)
from daemon.cli.filters import build_filter, import_option, search_option
from daemon.cli.tables import print_table

_COLUMNS = {
    "number": "no.",
    "id": "delivery",
    "client_name": "client",
    "at": "frozen",
    "who": "by",
    "counts": "rows",
}
_ROW_COLUMNS = {
    "number": "row",
    "name": "person",
    "phone": "number",
    "intent": "intent",
    "quote": "words",
    "state": "state",
}
_FILE_COLUMNS = {"part": "part", "format": "format", "hash": "SHA-256", "whole": "as delivered"}
_LEFT_OUT_COLUMNS = {"id": "prospect", "name": "person", "sentence": "left out"}
_MONEY_COLUMNS = {
    "client_name": "client",
    "delivery_number": "delivery",
    "accepted": "accepted",
    "price": "price",
    "amount": "amount",
    "currency": "currency",
}
_OPT_OUT_COLUMNS = {
    "delivery_number": "delivery",
    "row": "row",
    "name": "person",
    "opted_out_at": "opted out",
    "reported_at": "reported",
}

_client_option = click.option("--client", required=True, help="The client, by name or id.")
_ids_option = click.option(
    "--prospect", "ids", multiple=True, help="Only these prospects, by id; may be repeated."
)
_decided_option = click.option(
    "--decide",
    "decided",
    multiple=True,
    help="Hand over this prospect by your decision, though nobody asked them; may be repeated.",
)
_file_argument = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False), required=False
)
_delivery_argument = click.argument("delivery")
_row_argument = click.argument("row", type=click.IntRange(min=1))
_settled_option = click.option("--note", required=True, help="How the dispute was settled.")


@click.group(cls=CommandGroup)
def deliveries() -> None:
    """Hand interested people to a client, and settle what the client says of them."""


@deliveries.command("list")
@click.option("--client", default=None, help="Only of this client, by name or id.")
@list_options
@json_option
@pass_cli_context
def list_deliveries(
    cli: CliContext, *, client: str | None, limit: int, after: str | None, json_: bool
) -> None:
    """Show deliveries, the newest first."""
    daemon = cli.client()
    only = find_client(daemon, client) if client else None
    found = daemon.get("deliveries", client=only, limit=limit, after=after)
    if json_:
        print_json(found)
        return
    rows = [{**each, "counts": _format_counts(each)} for each in found["items"]]
    print_table(rows, _COLUMNS, empty="There is no delivery yet.")


@deliveries.command("show")
@_delivery_argument
@json_option
@pass_cli_context
def show_delivery(cli: CliContext, *, delivery: str, json_: bool) -> None:
    """Show a DELIVERY with its rows and files."""
    _print_detail(cli.client().get("deliveries", delivery), json_=json_)


@deliveries.command("preview")
@_client_option
@_ids_option
@search_option
@import_option
@_decided_option
@json_option
@pass_cli_context
def preview_delivery(
    cli: CliContext,
    /,
    *,
    client: str,
    ids: tuple[str, ...],
    decided: tuple[str, ...],
    json_: bool,
    **options: str | None,
) -> None:
    """Show who would be in a delivery now, and who is left out and why."""
    daemon = cli.client()
    preview = daemon.post(
        *("deliveries", "preview"),
        client=find_client(daemon, client),
        ids=list(ids) or None,
        decided=list(decided),
        **build_filter(options),
    )
    if json_:
        print_json(preview)
        return
    people = [{**each["row"], **_read_intent(each["row"])} for each in preview["people"]]
    shown = {name: title for name, title in _ROW_COLUMNS.items() if name not in {"number", "state"}}
    print_table(people, shown, empty="Nobody qualifies.")
    print_table(preview["left_out"], _LEFT_OUT_COLUMNS, empty="Nobody is left out.")
    print_text(f"{len(people)} in, {len(preview['left_out'])} out.")
    print_hint(f"Freeze it: leadmaster deliveries freeze --client {client!r} {preview['hash']}")


@deliveries.command("freeze")
@click.argument("hash_", metavar="HASH")
@_client_option
@_ids_option
@search_option
@import_option
@_decided_option
@click.option("--decision", default="", help="Why those of --decide are handed over.")
@json_option
@pass_cli_context
def freeze_delivery(
    cli: CliContext,
    /,
    *,
    hash_: str,
    client: str,
    ids: tuple[str, ...],
    decided: tuple[str, ...],
    json_: bool,
    **options: str | None,
) -> None:
    """Freeze a delivery as it was previewed, by the HASH that `preview` printed."""
    daemon = cli.client()
    detail = daemon.post(
        "deliveries",
        client=find_client(daemon, client),
        hash=hash_,
        ids=list(ids) or None,
        decided=list(decided),
        **build_filter(options),
    )
    _print_detail(detail, json_=json_)
    if not json_:
        id_ = detail["delivery"]["id"]
        print_hint(f"The file for the client: leadmaster deliveries download {id_} FILE.xlsx")


@deliveries.command("download")
@_delivery_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--part", default=0, help="The row that replaces another; 0 is the delivery.")
@click.option("--format", "format_", type=click.Choice(["xlsx", "csv"]), default="xlsx")
@json_option
@pass_cli_context
def download_delivery(
    cli: CliContext, *, delivery: str, file: Path, part: int, format_: str, json_: bool
) -> None:
    """Write the file of a DELIVERY for the client, as it was frozen; each download is audited."""
    content = cli.client().download("deliveries", delivery, "files", str(part), format_)
    write_file(content, file, json_=json_)


@deliveries.command("accept")
@_delivery_argument
@_row_argument
@click.option("--note", default="", help="Of a disputed row: how the dispute was settled.")
@json_option
@pass_cli_context
def accept_row(cli: CliContext, *, delivery: str, row: int, note: str, json_: bool) -> None:
    """Accept a ROW of a DELIVERY: the client pays it."""
    _print_row(_post_row(cli, delivery, row, "accept", note=note), row, json_=json_)


@deliveries.command("dispute")
@_delivery_argument
@_row_argument
@click.option("--reason", required=True, help="One of those in the client's terms.")
@click.option("--on", required=True, help="The day on which the client said so, as 2026-11-30.")
@click.option("--note", default="", help="What the client wrote.")
@json_option
@pass_cli_context
def dispute_row(cli: CliContext, /, *, delivery: str, row: int, json_: bool, **words: str) -> None:
    """Write down that the client disputes a ROW of a DELIVERY."""
    _print_row(_post_row(cli, delivery, row, "dispute", **words), row, json_=json_)


@deliveries.command("withdraw")
@_delivery_argument
@_row_argument
@_settled_option
@json_option
@pass_cli_context
def withdraw_row(cli: CliContext, *, delivery: str, row: int, note: str, json_: bool) -> None:
    """Take a disputed ROW of a DELIVERY back: the client pays nothing for it."""
    _print_row(_post_row(cli, delivery, row, "withdraw", note=note), row, json_=json_)


@deliveries.command("replace")
@_delivery_argument
@_row_argument
@click.argument("prospect")
@_settled_option
@click.option("--decision", default="", help="Why they are handed over though nobody asked them.")
@json_option
@pass_cli_context
def replace_row(cli: CliContext, /, *, delivery: str, row: int, json_: bool, **words: str) -> None:
    """Give another PROSPECT for a disputed ROW of a DELIVERY, with a file of their own."""
    detail = _post_row(cli, delivery, row, "replace", **words)
    _print_row(detail, row, json_=json_)
    if not json_:
        new = len(detail["rows"])
        print_hint(
            f"The file for the client: leadmaster deliveries download {delivery} FILE.xlsx"
            f" --part {new}"
        )


@deliveries.command("money")
@click.argument("month")
@_file_argument
@click.option("--client", default=None, help="Only of this client, by name or id.")
@json_option
@pass_cli_context
def show_money(
    cli: CliContext, *, month: str, file: Path | None, client: str | None, json_: bool
) -> None:
    """Show the money of the rows accepted in a MONTH (2026-11), or write it to FILE as CSV."""
    daemon = cli.client()
    only = find_client(daemon, client) if client else None
    if file is not None:
        content = daemon.download("deliveries", "money.csv", month=month, client=only)
        write_csv(content, file, json_=json_)
        return
    found = daemon.get("deliveries", "money", month=month, client=only)
    if json_:
        print_json(found)
        return
    rows = [
        {
            **each,
            "price": f"{each['price_cents'] / 100:.2f}",
            "amount": f"{each['amount_cents'] / 100:.2f}",
        }
        for each in found["items"]
    ]
    print_table(rows, _MONEY_COLUMNS, empty="No row was accepted in this month.")


@deliveries.command("opt-outs")
@click.argument("client")
@_file_argument
@click.option("--reported", is_flag=True, help="The client has the file: stop reminding me.")
@json_option
@pass_cli_context
def show_later_opt_outs(
    cli: CliContext, *, client: str, file: Path | None, reported: bool, json_: bool
) -> None:
    """Show who opted out after they were handed to CLIENT, or write the client's FILE as CSV."""
    daemon = cli.client()
    id_ = find_client(daemon, client)
    if file is not None:
        content = daemon.download("clients", id_, "later-opt-outs.csv")
        write_csv(content, file, json_=json_)
        return
    found = daemon.get("clients", id_, "later-opt-outs")
    if reported:
        count = len(found["items"])
        found = daemon.post("clients", id_, "later-opt-outs", "reported", count=count)
    if json_:
        print_json(found)
    else:
        print_table(found["items"], _OPT_OUT_COLUMNS, empty="Nobody opted out since.")


def _post_row(cli: CliContext, delivery: str, row: int, deed: str, **body: str) -> dict[str, Any]:
    detail: dict[str, Any] = cli.client().post(
        *("deliveries", delivery, "rows", str(row), deed), **body
    )
    return detail


def _print_row(detail: dict[str, Any], row: int, *, json_: bool) -> None:
    if json_:
        print_json(detail)
        return
    print_text(f"row {row}: {detail['rows'][row - 1]['state']}")


def _print_detail(detail: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(detail)
        return
    delivery = detail["delivery"]
    print_text(
        f"{delivery['id']}: delivery {delivery['number']} to {delivery['client_name']},"
        f" {_format_counts(delivery)}"
    )
    print_table([{**each, **_read_intent(each)} for each in detail["rows"]], _ROW_COLUMNS, empty="")
    print_table(detail["files"], _FILE_COLUMNS, empty="")


def _read_intent(row: dict[str, Any]) -> dict[str, str]:
    found = (each for each in row["evidence"] if each["fact"] == "intent")
    piece = next(found, {"value": "", "quote": ""})
    return {"intent": piece["value"], "quote": piece["quote"]}


def _format_counts(delivery: dict[str, Any]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(delivery["counts"].items()))
