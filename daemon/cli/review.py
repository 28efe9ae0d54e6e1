"""`leadmaster review`: messages and prospects to decide on, what contacts meant, and numbers."""

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
from daemon.cli.errors import ask_confirmation
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
_MEANING_COLUMNS = {
    "id": "message",
    "name": "name",
    "phone": "phone",
    "written_at": "written",
    "cause": "cause",
    "quote": "words",
    "text": "text",
    "waiting_messages": "messages",
    "meanings": "it may mean",
}
_MEANINGS = (
    "welcome",
    "no",
    "neither",
    "suppress",
    "number_changed_owner",
    "third_party",
    "minor",
    "deceased",
)
_QUESTIONS = {
    "minor": (
        "Erase all that is stored of this person? It can't be undone.",
        "Nothing was erased.",
    ),
    "deceased": ("Did this person die? Nobody will write to them again.", "Nothing was recorded."),
}
_RESULT_SENTENCES = {
    "released_messages": "Messages that are evaluated again: {n}",
    "cancelled_messages": "Messages that are cancelled: {n}",
    "suppressed": "They are on the opt-out list.",
    "lifted": "They are not on the opt-out list any more.",
    "erased": "Their data is erased.",
}
_NO_MEANINGS_HINT = "There is nothing to read. Messages that were not understood wait here."
_NOTHING_CORRECTABLE_HINT = "No opt-out was read that you could correct."
_NOTHING_CHANGEABLE_HINT = "There is no answer that you could change."
_EMPTY_HINT = "There is nothing to review. Messages that the rules can't decide on wait here."


@click.group(cls=CommandGroup)
def review() -> None:
    """Decide on messages that the gate holds, and on prospects that wait themselves."""


@review.command("list")
@json_option
@pass_cli_context
def list_reviews(cli: CliContext, *, json_: bool) -> None:
    """Show what is held, who waits, which numbers to validate, and how many messages to read."""
    client = cli.client()
    answer = client.get("review")
    waiting = client.get("review", "prospects")["items"]
    numbers = client.get("review", "numbers")["items"]
    unread = client.get("review", "inbound")["items"]
    if json_:
        print_json({**answer, "inbound": unread, "prospects": waiting, "numbers": numbers})
        return
    if unread:
        print_hint(f"Messages of contacts to read: {len(unread)} (leadmaster review meanings)")
    if answer["items"] or not (waiting or numbers or unread):
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


@review.command("meanings")
@click.option(
    "--correctable",
    is_flag=True,
    help="Show those that were read as an opt-out, which you may correct once.",
)
@click.option("--answered", is_flag=True, help="Show the latest answers that can be changed.")
@json_option
@pass_cli_context
def list_meanings(cli: CliContext, *, correctable: bool, answered: bool, json_: bool) -> None:
    """Show messages of contacts that a person has to read, complaints first."""
    answer = cli.client().get("review", "inbound", correctable=correctable, answered=answered)
    if json_:
        print_json(answer)
        return
    rows = [
        {**each["message"], "meanings": ", ".join(each["meanings"])} for each in answer["items"]
    ]
    empty = _NO_MEANINGS_HINT
    if correctable or answered:
        empty = _NOTHING_CORRECTABLE_HINT if correctable else _NOTHING_CHANGEABLE_HINT
    print_table(rows, _MEANING_COLUMNS, empty=empty)
    if rows:
        print_hint("Say what one means: leadmaster review classify MESSAGE MEANING")


@review.command("classify")
@click.argument("message")
@click.argument("meaning", type=click.Choice(_MEANINGS))
@click.option("--reason", default="", help="Why; needed to correct how a message was read.")
@click.option("--yes", is_flag=True, help="Confirm a minor or a death without a question.")
@json_option
@pass_cli_context
def classify_message(
    cli: CliContext, *, message: str, meaning: str, reason: str, yes: bool, json_: bool
) -> None:
    """Say what a message of a contact means, by its id.

    Messages that were held for it are evaluated again, or cancelled. Classified as minor, all that
    is stored of the person is erased but the hash that keeps them suppressed.
    """
    asks = meaning in _QUESTIONS
    if asks and not yes:
        question, if_declined = _QUESTIONS[meaning]
        ask_confirmation(question, if_declined=if_declined)
    body = {"meaning": meaning, "reason": reason, "confirmed": asks}
    result = cli.client().post("inbound", message, "classify", **body)
    if json_:
        print_json(result)
        return
    print_text(f"{message}: {meaning}")
    for key, sentence in _RESULT_SENTENCES.items():
        if result[key]:
            print_text(sentence.format(n=result[key]))


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
