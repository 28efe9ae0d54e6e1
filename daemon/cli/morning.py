"""`leadmaster morning`: the phones, the night, who waits, and what leaves today by itself."""

from __future__ import annotations

from typing import Any

import click

from daemon.cli.console import print_json
from daemon.cli.context import CliContext, json_option, pass_cli_context
from daemon.cli.tables import print_fields
from daemon.cli.time_format import format_time
from daemon.cli.words import get_counted_word, get_word


@click.command("morning")
@json_option
@pass_cli_context
def show_morning(cli: CliContext, *, json_: bool) -> None:
    """Show what a morning begins with: phones, the night, who waits, what leaves today."""
    report = cli.client().get("morning")
    if json_:
        print_json(report)
        return
    print_fields(
        (
            ("phones", "; ".join(map(_format_phone, report["phones"])) or "none"),
            ("night", "; ".join(map(_format_trouble, report["troubles"])) or "nothing went wrong"),
            ("waiting", _format_since(report["waiting"], "since", "nobody")),
            ("leaving today", _format_leaving(report)),
        )
    )


def _format_phone(phone: dict[str, Any]) -> str:
    word = get_word("connection", phone["state"])
    return f"{phone['session']} {word} since {format_time(phone['since'])}"


def _format_trouble(trouble: dict[str, Any]) -> str:
    what = get_counted_word("night", trouble["kind"], trouble["count"], name=trouble["name"])
    return f"{what}, since {format_time(trouble['since'])}"


def _format_leaving(report: dict[str, Any]) -> str:
    nothing = "nothing: sending is halted" if report["halted"] else "nothing"
    return _format_since(report["leaving"], "first_at", nothing)


def _format_since(found: dict[str, Any], key: str, nothing: str) -> str:
    if not found["count"]:
        return nothing
    word = "since" if key == "since" else "the first at"
    return f"{found['count']}, {word} {format_time(found[key])}"
