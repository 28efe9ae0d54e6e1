"""`leadmaster sessions`: list, add, start, stop, pair and delete sessions."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from daemon.cli.console import print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    parse_json_object,
    pass_cli_context,
)
from daemon.cli.errors import ConfirmationDeclined, InvalidUsage, ask_confirmation
from daemon.cli.status import print_halt
from daemon.cli.tables import print_table
from daemon.errors import SessionQueueNotEmpty
from statemachines.vocabulary import BuiltinChannel, NumberAge, ReportedBan

if TYPE_CHECKING:
    from daemon.cli.client import ControlClient


_NUMBER_AGES: Final = tuple(each.value for each in NumberAge)
_REPORTED_BANS: Final = tuple(each.value for each in ReportedBan)
_QUEUE_CHOICES: Final = ("cancel", "move")
_NOT_DELETED: Final = "Nothing was deleted."


@click.group(cls=CommandGroup)
def sessions() -> None:
    """List, add, start, stop, pair and delete WhatsApp sessions."""


@sessions.command("list")
@json_option
@pass_cli_context
def list_sessions(cli: CliContext, *, json_: bool) -> None:
    """Show every session: state, why, and what to do."""
    answer = cli.client().get("sessions")
    if json_:
        print_json(answer)
        return
    print_table(
        answer["items"],
        {
            "name": "session",
            "channel": "channel",
            "phone": "phone",
            "state": "state",
            "sending": "sending",
            "since": "since",
            "deadline": "until",
            "sentence": "what is",
            "user_action": "to do",
        },
        empty="There is no session yet. Add one: leadmaster sessions add NAME --channel simulated",
    )
    print_halt(cli.client())


@sessions.command("add")
@click.argument("name")
@click.option(
    "--channel",
    default=BuiltinChannel.SIMULATED.value,
    show_default=True,
    help="Which transport.",
)
@click.option("--time-zone", default=None, help="IANA name; the daemon's own if not given.")
@click.option("--options", default="{}", help="What the channel understands, as JSON.")
@click.option("--start", "start_", is_flag=True, help="Start it at once.")
@json_option
@pass_cli_context
def add_session(
    cli: CliContext,
    *,
    name: str,
    channel: str,
    time_zone: str | None,
    options: str,
    start_: bool,
    json_: bool,
) -> None:
    """Add a session; its phone is linked with: leadmaster sessions pair NAME."""
    client = cli.client()
    view = client.post(
        "sessions",
        name=name,
        channel=channel,
        time_zone=time_zone,
        options=parse_json_object(options),
    )
    if start_:
        view = client.post("sessions", name, "start")
    _print_session(view, json_=json_)


@sessions.command("qr")
@click.argument("name")
@click.option("--once", is_flag=True, help="Show the present code and end.")
@json_option
@pass_cli_context
def show_qr(cli: CliContext, *, name: str, once: bool, json_: bool) -> None:
    """Draw the QR code; live until the phone is linked."""
    client = cli.client()
    if json_:
        print_json(client.get("sessions", name, "qr"))
        return
    from daemon.cli import pairing as drawing

    if once:
        print_text(drawing.render_qr(client.get("sessions", name, "qr")["code"]))
    else:
        drawing.show_pairing(client, name)


@sessions.command("pair")
@click.argument("name")
@click.option("--code", "by_code", is_flag=True, help="Link by a code typed on the phone.")
@click.option("--phone", default=None, help="With --code: the number of the phone.")
@click.option(
    "--number-age", type=click.Choice(_NUMBER_AGES), help="How long the number is on WhatsApp."
)
@click.option(
    "--banned",
    type=click.Choice(_REPORTED_BANS),
    help="Whether a number of yours was banned before.",
)
@click.option("--banned-on", type=click.DateTime(["%Y-%m-%d"]), help="The day of that ban.")
@json_option
@pass_cli_context
def pair_session(
    cli: CliContext,
    *,
    name: str,
    by_code: bool,
    phone: str | None,
    number_age: str | None,
    banned: str | None,
    banned_on: datetime | None,
    json_: bool,
) -> None:
    """Link a phone, by QR or by a code that is typed on it; live until it is linked.

    The session is started for it. On a terminal, two questions about the number come first, unless
    they are answered. With --json, print the code and end.
    """
    from daemon.cli import pairing as drawing

    client = cli.client()
    if phone is not None and not by_code:
        raise InvalidUsage(
            "--phone is for linking by a code.", hint=f"sessions pair {name} --code --phone …"
        )
    day = banned_on.date().isoformat() if banned_on else None
    _answer_questions(client, name, number_age, banned, day)
    if by_code:
        answer = client.post("sessions", name, "pairing-code", phone=_require_phone(name, phone))
    else:
        answer = client.post("sessions", name, "start")
    if json_:
        print_json(answer)
    else:
        drawing.show_pairing(client, name)


def _answer_questions(
    client: ControlClient, name: str, number_age: str | None, banned: str | None, day: str | None
) -> None:
    """Store what was said about the number; ask for it where nobody has said it, on a terminal."""
    if (number_age is None) is not (banned is None) or (day and banned is None):
        raise InvalidUsage(
            "--number-age and --banned go together, and --banned-on with both.",
            hint=f"sessions pair {name} --number-age longer --banned no",
        )
    if banned is None:
        answered = client.get("sessions", name, "linking-answers")["items"]
        if answered or not sys.stdin.isatty() or client.get("sessions", name)["phone"]:
            return
        number_age, banned, day = _ask_about_number()
    client.post(
        *("sessions", name, "linking-answers"), number_age=number_age, banned=banned, banned_on=day
    )


def _ask_about_number() -> tuple[str, str, str | None]:
    """Ask how long the number is in use, and whether one was banned, and when."""
    age = click.prompt(
        "How long has this number been in use on WhatsApp?",
        type=click.Choice(_NUMBER_AGES),
        err=True,
    )
    banned = click.prompt(
        "Was a number of yours ever banned by WhatsApp?",
        type=click.Choice(_REPORTED_BANS),
        err=True,
    )
    day = ""
    if banned == ReportedBan.YES:
        day = click.prompt(
            "When, as YYYY-MM-DD? (empty: I do not know)", default="", show_default=False, err=True
        )
    return age, banned, day or None


@sessions.command("answers")
@click.argument("name")
@json_option
@pass_cli_context
def show_answers(cli: CliContext, *, name: str, json_: bool) -> None:
    """Show what people said about a session's number when they linked it."""
    answer = cli.client().get("sessions", name, "linking-answers")
    if json_:
        print_json(answer)
        return
    columns = {
        "at": "when",
        "who": "who",
        "number_age": "number in use",
        "banned": "banned before",
        "banned_on": "on",
    }
    empty = f"Nobody was asked yet. It is asked by: leadmaster sessions pair {name}"
    print_table(answer["items"], columns, empty=empty)


def _require_phone(name: str, phone: str | None) -> str:
    """Return the number that was given; ask for it where somebody can answer."""
    if phone is not None:
        return phone
    if not sys.stdin.isatty():
        raise InvalidUsage(
            "A code is for one phone: which number does it have?",
            hint=f"leadmaster sessions pair {name} --code --phone NUMBER",
        )
    return str(click.prompt("The number of the phone, with its country code", err=True))


@sessions.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option(
    "--queue",
    type=click.Choice(_QUEUE_CHOICES),
    default=None,
    help="What happens to messages that have not left.",
)
@click.option("--to", default=None, help="With --queue move: a session of the same number.")
@json_option
@pass_cli_context
def delete_session(
    cli: CliContext, *, name: str, yes: bool, queue: str | None, to: str | None, json_: bool
) -> None:
    """Delete a session; what was sent and the history stay.

    Messages that have not left are cancelled, or go to another session of the same number.
    """
    client = cli.client()
    if not yes:
        ask_confirmation(
            "The session and its login are deleted. Delete it?", if_declined=_NOT_DELETED
        )
    try:
        answer = client.delete("sessions", name, queue=queue, to=to)
    except SessionQueueNotEmpty as refused:
        queue, to = _ask_about_queue(client, name, refused, may_ask=not yes)
        answer = client.delete("sessions", name, queue=queue, to=to)
    if json_:
        print_json(answer)
    else:
        done = {"cancel": "; its messages were cancelled", "move": f"; its messages moved to {to}"}
        print_text(f"{name}: deleted{done.get(queue or '', '')}")


def _ask_about_queue(
    client: ControlClient, name: str, refused: SessionQueueNotEmpty, *, may_ask: bool
) -> tuple[str, str | None]:
    """Ask what to do with the messages; return the choice, and the session that takes them over."""
    # With --yes nobody is asked, and cancelling messages is never a default.
    if not may_ask or not sys.stdin.isatty():
        hint = f"leadmaster sessions delete {name} --queue cancel, or --queue move --to NAME"
        raise SessionQueueNotEmpty(str(refused), hint=f"Choose what happens to them: {hint}")
    items = client.get("sessions")["items"]
    phone = next(each["phone"] for each in items if each["name"] == name)
    others = [each["name"] for each in items if each["phone"] == phone and each["name"] != name]
    possible = [*_QUEUE_CHOICES[: 2 if phone and others else 1], "keep"]
    choice = click.prompt(
        f"{refused} What should happen to them?", type=click.Choice(possible), err=True
    )
    if choice == "keep":
        raise ConfirmationDeclined(_NOT_DELETED)
    if choice == "cancel":
        return choice, None
    to = click.prompt("To which session?", type=click.Choice(others), default=others[0], err=True)
    return choice, to


def _print_session(view: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(view)
        return
    todo = "" if view["user_action"] == "none" else f" To do: {view['user_action']}."
    print_text(f"{view['name']}: {view['state']} — {view['sentence']}{todo}")


def _build_action_command(action: str, summary: str) -> click.Command:
    @click.command(action, help=summary)
    @click.argument("name")
    @json_option
    @pass_cli_context
    def request_action(cli: CliContext, *, name: str, json_: bool) -> None:
        _print_session(cli.client().post("sessions", name, action), json_=json_)

    return request_action


# Made in a loop, because they differ in name and help only.
for _action, _summary in {
    "start": "Start a session, or go on starting it.",
    "stop": "Stop a session; its login stays.",
    "restart": "Connect again, with the stored login or a new code.",
    "logout": "Unlink the phone; a new pairing will be needed.",
    "acknowledge": "Acknowledge that you have seen why it stopped.",
}.items():
    sessions.add_command(_build_action_command(_action, _summary))
