"""`leadmaster alerts`: what is wrong, whether people are notified of it, and a test of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.tables import print_fields, print_table
from daemon.cli.time_format import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_NOT_TOLD = 1
_NO_TARGET_HINT = "Set one: docs/how-to/be-woken.md; then: leadmaster alerts test"


@click.group(cls=CommandGroup)
def alerts() -> None:
    """See what is wrong, and who is notified by mail, ntfy, Telegram and others."""


@alerts.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Show what is over, too.")
@json_option
@pass_cli_context
def list_alerts(cli: CliContext, *, with_ended: bool, json_: bool) -> None:
    """Show what is wrong now, the oldest first; with --all what was, the latest first."""
    answer = cli.client().get("alerts", **({} if with_ended else {"open": "true"}))
    if json_:
        print_json(answer)
        return
    rows = [_build_row(alert) for alert in answer["items"]]
    columns = {"sentence": "what", "began": "since", "ended": "until", "notified": "notified"}
    if not with_ended:
        del columns["ended"]
    empty = "Nothing was wrong." if with_ended else "Nothing is wrong."
    print_table(rows, columns, empty=empty)


@alerts.command("status")
@json_option
@pass_cli_context
def show_status(cli: CliContext, *, json_: bool) -> None:
    """Show whether people are notified: what is pending, the last success, the last failure."""
    status = cli.client().get("alerts", "status")
    if json_:
        print_json(status)
        return
    ping = status["ping"]
    pinged = f"{format_time(ping['at'])} {ping['failure']}".strip() if ping else "none yet"
    print_fields(
        (
            ("open", status["open"]),
            ("pending", status["pending"]),
            ("last success", _format_optional(status["last_success"], "never")),
            ("last failure", _format_optional(status["last_failure"], "never")),
            ("why", status["failure"]),
            ("morning line", _format_optional(status["next_morning"], "never")),
            ("ping", pinged),
        )
    )


@alerts.command("test")
@json_option
@pass_cli_context
def send_test(cli: CliContext, *, json_: bool) -> int:
    """Send a test to every target now; exits with 1 where one did not take it, or none is set."""
    answer = cli.client().post("alerts", "test")
    targets: list[dict[str, str]] = answer["targets"]
    failed = [each for each in targets if each["failure"]]
    if json_:
        print_json(answer)
    else:
        for each in targets:
            print_text(f"target {each['target']}: {each['failure'] or 'took it.'}")
        if not targets:
            print_text("Nobody is notified, because no target is set.")
            print_hint(_NO_TARGET_HINT)
    return EXIT_NOT_TOLD if failed or not targets else 0


def _build_row(alert: Mapping[str, Any]) -> dict[str, str]:
    notified = f"at {format_time(alert['notified_at'])}" if alert["notified_at"] else "not yet"
    return {
        "sentence": alert["sentence"],
        "began": format_time(alert["began_at"]),
        "ended": _format_optional(alert["ended_at"], "now"),
        "notified": f"{notified}. {alert['failure']}".strip() if alert["failure"] else notified,
    }


def _format_optional(moment: str | None, absent: str) -> str:
    return format_time(moment) if moment else absent
