"""`leadmaster review`: messages and prospects to decide on, and numbers to validate."""

from __future__ import annotations

from typing import Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    pass_cli_context,
    reason_option,
)
from daemon.cli.tables import print_table

_MESSAGE_COLUMNS = {
    "id": "message",
    "recipient": "to",
    "changed_at": "held since",
    "sentence": "why",
    "text": "text",
}
_PROSPECT_COLUMNS = {
    "id": "prospect",
    "name": "name",
    "phone": "phone",
    "score_contactabilidad": "score",
    "since": "waits since",
    "sentence": "why",
}
_NUMBER_COLUMNS = {
    "id": "to validate",
    "name": "name",
    "phone": "phone",
    "check_from": "phones may check from",
    "messages": "messages",
    "expires_at": "first expires",
    "sentence": "why",
}
_EMPTY_HINT = "There is nothing to review. Messages that the rules can't decide on wait here."


@click.group(cls=CommandGroup)
def review() -> None:
    """Decide on messages that the gate holds, and on prospects that wait themselves."""


@review.command("list")
@json_option
@pass_cli_context
def list_reviews(cli: CliContext, *, json_: bool) -> None:
    """Show what is held, which prospects wait and which numbers to validate, and why."""
    client = cli.client()
    answer = client.get("review")
    waiting = client.get("review", "prospects")["items"]
    numbers = client.get("review", "numbers")["items"]
    if json_:
        print_json({**answer, "prospects": waiting, "numbers": numbers})
        return
    if answer["items"] or not (waiting or numbers):
        print_table(answer["items"], _MESSAGE_COLUMNS, empty=_EMPTY_HINT)
    if waiting:
        rows = [
            {**each["prospect"], "sentence": each["sentence"], "since": each["since"]}
            for each in waiting
        ]
        print_table(rows, _PROSPECT_COLUMNS, empty="")
    if numbers:
        print_table([_build_number_row(each) for each in numbers], _NUMBER_COLUMNS, empty="")
        print_hint("Validate one: leadmaster prospects validate PROSPECT --reason …")


def _build_number_row(number: dict[str, Any]) -> dict[str, Any]:
    waiting = number["messages"]
    return {
        **number["prospect"],
        "sentence": number["sentence"],
        "check_from": number["check_from"],
        "messages": ", ".join(message["id"] for message in waiting),
        "expires_at": waiting[0]["expires_at"] if waiting else None,
    }


@review.command("approve")
@click.argument("case")
@reason_option()
@json_option
@pass_cli_context
def approve_case(cli: CliContext, *, case: str, reason: str, json_: bool) -> None:
    """Approve a message, exactly this text to this person, or a prospect, by its id.

    The gate judges the message once more; a prospect's approval ends its look for a day.
    """
    _post_decision(cli, case, "approve", reason, json_=json_)


@review.command("reject")
@click.argument("case")
@reason_option()
@json_option
@pass_cli_context
def reject_case(cli: CliContext, *, case: str, reason: str, json_: bool) -> None:
    """Reject a message for good, or a prospect until somebody approves them; by its id.

    A rejected prospect gets nothing but answers; what waits for them is cancelled.
    """
    _post_decision(cli, case, "reject", reason, json_=json_)


def _post_decision(cli: CliContext, case: str, action: str, reason: str, *, json_: bool) -> None:
    # The kind of a case shows in its id, so that people need not say it.
    about_prospect = case.startswith("pro_")
    path = ("review", "prospects", case) if about_prospect else ("review", case)
    record = cli.client().post(*path, action, reason=reason)
    if json_:
        print_json(record)
    elif about_prospect:
        print_text(f"{case}: {record['outcome']} — {record['reason']}")
    else:
        print_text(f"{record['id']}: {record['state']} — {record['sentence']}")
