"""`leadmaster review`: messages, and prospects themselves, that wait for a person's word."""

from __future__ import annotations

import click

from daemon.cli.context import Commands, Here, as_json, pass_here, reason
from daemon.cli.screen import print_json, say
from daemon.cli.tables import print_table

_MESSAGES = {
    "id": "message",
    "recipient": "to",
    "changed_at": "held since",
    "sentence": "why",
    "text": "text",
}
_PROSPECTS = {
    "id": "prospect",
    "name": "name",
    "phone": "phone",
    "score_contactabilidad": "score",
    "since": "waits since",
    "sentence": "why",
}
_NOTHING = "Nothing waits for you. The gate holds what the rules are not sure about."


@click.group(cls=Commands)
def review() -> None:
    """Decide on messages that the gate holds, and on prospects that wait themselves."""


@review.command("list")
@as_json
@pass_here
def list_(here: Here, *, json_: bool) -> None:
    """Show what is held and which prospects wait, oldest first, and why."""
    client = here.client()
    found = client.get("review")
    waiting = client.get("review", "prospects")["items"]
    if json_:
        print_json({**found, "prospects": waiting})
        return
    if found["items"] or not waiting:
        print_table(found["items"], _MESSAGES, empty=_NOTHING)
    if waiting:
        rows = [
            {**each["prospect"], "sentence": each["sentence"], "since": each["since"]}
            for each in waiting
        ]
        print_table(rows, _PROSPECTS, empty="")


@review.command()
@click.argument("case")
@reason()
@as_json
@pass_here
def approve(here: Here, *, case: str, reason: str, json_: bool) -> None:
    """Approve a message, exactly this text to this person, or a prospect, by its id.

    The gate judges the message once more; a prospect's approval ends its look for a day.
    """
    _decide(here, case, "approve", reason, json_=json_)


@review.command()
@click.argument("case")
@reason()
@as_json
@pass_here
def reject(here: Here, *, case: str, reason: str, json_: bool) -> None:
    """Reject a message for good, or a prospect until somebody approves them; by its id.

    A rejected prospect gets nothing but answers; what waits for them is cancelled.
    """
    _decide(here, case, "reject", reason, json_=json_)


def _decide(here: Here, case: str, word: str, because: str, *, json_: bool) -> None:
    about_prospect = case.startswith("pro_")
    path = ("review", "prospects", case) if about_prospect else ("review", case)
    record = here.client().post(*path, word, reason=because)
    if json_:
        print_json(record)
    elif about_prospect:
        say(f"{case}: {record['word']} — {record['reason']}")
    else:
        say(f"{record['id']}: {record['state']} — {record['sentence']}")
