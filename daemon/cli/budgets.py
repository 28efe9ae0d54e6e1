"""`leadmaster budgets`: what numbers may begin, resuming them, and raising a budget."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import CliContext, CommandGroup, json_option, pass_cli_context
from daemon.cli.tables import print_table
from daemon.cli.time_format import format_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@click.group(cls=CommandGroup, invoke_without_command=True)
@json_option
@click.pass_context
def budgets(context: click.Context, *, json_: bool) -> None:
    """Show what each number may begin; resume new chats; record a decision to raise a budget."""
    if context.invoked_subcommand is None:
        context.invoke(list_budgets, json_=json_)


@budgets.command("list")
@json_option
@pass_cli_context
def list_budgets(cli: CliContext, *, json_: bool) -> None:
    """Show each number's budgets, what the breaker counts, and what stops its new chats."""
    answer = cli.client().get("numbers")
    if json_:
        print_json(answer)
        return
    if not answer["items"]:
        print_text("No number is linked yet. Add a session: leadmaster sessions add NAME")
    for number in answer["items"]:
        _print_number(number)


def _print_number(number: Mapping[str, Any]) -> None:
    print_text(f"{number['phone']} ({', '.join(number['sessions'])})")
    for stop in number["stops"]:
        detail = f" {stop['detail']}." if stop["detail"] else ""
        end = f" Until {format_time(stop['until'])}." if stop["until"] else ""
        print_text(f"stopped: {stop['sentence']}{detail}{end}")
    if number["warning"]:
        print_text(f"warning: {number['warning']}")
    print_table(
        [*_list_budget_rows(number), *_list_breaker_rows(number)],
        {"what": "what", "now": "now", "limit": "limit"},
        empty="",
    )
    if any(stop["code"] == "new_chats_stopped" for stop in number["stops"]):
        print_hint(f'leadmaster budgets resume {number["phone"]} "REASON"')


def _list_budget_rows(number: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for budget in number["budgets"]:
        yield {
            "what": budget["budget"].replace("_", " "),
            "now": str(budget["used"]),
            "limit": str(budget["limit"]),
        }
    yield {
        "what": "typed on the phone, 24 h",
        "now": str(number["typed_on_phone"]),
        "limit": "",
    }


def _list_breaker_rows(number: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for figure in number["breaker"]:
        lowest = figure["figure"] == "answered"
        unit = " %" if figure["in_percent"] else ""
        yield {
            "what": figure["figure"].replace("_", " "),
            "now": f"{figure['count']} of {figure['total']}",
            "limit": f"{'below ' if lowest else ''}{figure['limit']}{unit}",
        }


@budgets.command("resume")
@click.argument("phone")
@click.argument("reason")
@json_option
@pass_cli_context
def resume_new_chats(cli: CliContext, *, phone: str, reason: str, json_: bool) -> None:
    """Resume the new chats of a number that the breaker stopped; its counts start at 0."""
    answer = cli.client().post("numbers", "resume", phone=phone, reason=reason)
    if json_:
        print_json(answer)
    else:
        print_text("New chats are resumed; the breaker counts from 0 again.")


@budgets.command("limits")
@json_option
@pass_cli_context
def list_number_budgets(cli: CliContext, *, json_: bool) -> None:
    """Show each budget of each number: its limit, what is used, and who set it."""
    answer = cli.client().get("numbers", "budgets")
    if json_:
        print_json(answer)
        return
    for number in answer["items"]:
        print_text(f"{number['phone']} ({', '.join(number['sessions'])})")
        columns = {"budget": "budget", "limit": "limit", "used": "used", "who": "set by"}
        print_table([*_list_limit_rows(number)], columns, empty="")


def _list_limit_rows(number: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for budget in number["budgets"]:
        change = budget["change"] or {"who": "the settings", "until": None}
        until = f", until {format_time(change['until'])}" if change["until"] else ""
        yield {
            "budget": budget["budget"],
            "limit": f"{budget['limit']:g}",
            "used": "" if budget["used"] is None else str(budget["used"]),
            "who": f"{change['who']}{until}",
        }


@budgets.command("set")
@click.argument("phone")
@click.argument("budget")
@click.argument("value", type=float)
@click.option("--decision", default="", help="Why it may be raised; lowering needs nothing.")
@click.option("--lower-when", default="", help="What would make us lower it again.")
@click.option("--days", type=click.FloatRange(0.01, 90), help="Days that a raise lasts.")
@json_option
@pass_cli_context
def set_number_budget(
    cli: CliContext,
    *,
    phone: str,
    budget: str,
    value: float,
    decision: str,
    lower_when: str,
    days: float | None,
    json_: bool,
) -> None:
    """Set BUDGET of the number PHONE: lower at once, higher by a decision that ends by itself."""
    client, until = cli.client(), None
    if days:
        # By the daemon's clock, which is not this one's in a demonstration.
        now = datetime.fromisoformat(client.get("status")["now"])
        until = (now + timedelta(days=days)).isoformat()
    answer = client.post(
        "numbers",
        "budgets",
        phone=phone,
        budget=budget,
        value=value,
        reason=decision,
        lower_when=lower_when,
        until=until,
    )
    if json_:
        print_json(answer)
    else:
        print_text(f"{budget} of {phone} is {value:g} now.")


@budgets.command("decide")
@click.argument("budget")
@click.argument("value", type=float)
@click.option("--decision", required=True, help="Why it may be raised; the audit keeps it.")
@json_option
@pass_cli_context
def record_decision(
    cli: CliContext, *, budget: str, value: float, decision: str, json_: bool
) -> None:
    """Record up to which value a budget of [pacing] may be raised; lowering one needs nothing."""
    entry = cli.client().post("decision-entries", budget=budget, value=value, reason=decision)
    if json_:
        print_json(entry)
    else:
        print_text(f"{entry['subject']} may be set up to {entry['value']:g}.")
        print_hint(f"Set {budget} in [pacing] of leadmaster.toml, and restart the daemon.")


@budgets.command("decisions")
@json_option
@pass_cli_context
def list_decisions(cli: CliContext, *, json_: bool) -> None:
    """Show what people decided to allow, the latest first."""
    answer = cli.client().get("decision-entries")
    if json_:
        print_json(answer)
        return
    print_table(
        answer["items"],
        {"at": "when", "who": "who", "subject": "what", "value": "up to", "reason": "why"},
        empty="Nobody has raised a budget.",
    )
