"""`leadmaster sessions`: phones, their states, and the pairing codes."""

from __future__ import annotations

import json
from typing import Any

import click

from daemon.cli.context import Commands, Here, as_json, pass_here
from daemon.cli.problems import confirm
from daemon.cli.screen import print_json, say
from daemon.cli.status import note_halt
from daemon.cli.tables import print_table


@click.group(cls=Commands)
def sessions() -> None:
    """See and steer the WhatsApp sessions."""


@sessions.command("list")
@as_json
@pass_here
def list_(here: Here, *, json_: bool) -> None:
    """Show every session: state, why, and what to do."""
    found = here.client().get("sessions")
    if json_:
        print_json(found)
        return
    print_table(
        found["items"],
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
    note_halt(here.client())


@sessions.command()
@click.argument("name")
@click.option("--channel", default="simulated", show_default=True, help="Which transport.")
@click.option("--time-zone", default=None, help="IANA name; the daemon's own if not given.")
@click.option("--options", default="{}", help="What the channel understands, as JSON.")
@click.option("--start", "start_", is_flag=True, help="Start it at once.")
@as_json
@pass_here
def add(
    here: Here,
    *,
    name: str,
    channel: str,
    time_zone: str | None,
    options: str,
    start_: bool,
    json_: bool,
) -> None:
    """Add a session; it is linked with: leadmaster sessions qr NAME."""
    client = here.client()
    view = client.post(
        "sessions", name=name, channel=channel, time_zone=time_zone, options=_options(options)
    )
    if start_:
        view = client.post("sessions", name, "start")
    _show(view, json_=json_)


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--options") from error
    if not isinstance(options, dict):
        raise click.BadParameter("must be a JSON object", param_hint="--options")
    return options


@sessions.command()
@click.argument("name")
@click.option("--once", is_flag=True, help="Show the present code and end.")
@as_json
@pass_here
def qr(here: Here, *, name: str, once: bool, json_: bool) -> None:
    """Draw the pairing code; live until the phone is linked."""
    client = here.client()
    if json_:
        print_json(client.get("sessions", name, "qr"))
        return
    from daemon.cli import qr as drawing

    if once:
        say(drawing.drawn(client.get("sessions", name, "qr")["code"]))
    else:
        drawing.follow(client, name)


@sessions.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@as_json
@pass_here
def delete(here: Here, *, name: str, yes: bool, json_: bool) -> None:
    """Delete a session; its messages and history stay."""
    if not yes:
        confirm("The session and its login go. Delete it?", otherwise="Nothing was deleted.")
    answer = here.client().delete("sessions", name)
    if json_:
        print_json(answer)
    else:
        say(f"{name}: deleted")


def _show(view: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(view)
        return
    todo = "" if view["user_action"] == "none" else f" To do: {view['user_action']}."
    say(f"{view['name']}: {view['state']} — {view['sentence']}{todo}")


def _order(word: str, summary: str) -> click.Command:
    @click.command(word, help=summary)
    @click.argument("name")
    @as_json
    @pass_here
    def order(here: Here, *, name: str, json_: bool) -> None:
        _show(here.client().post("sessions", name, word), json_=json_)

    return order


for _word, _summary in {
    "start": "Start a session, or go on starting it.",
    "stop": "Stop a session; its login stays.",
    "restart": "Start afresh, with the stored login or a new code.",
    "logout": "Unlink the phone; a new pairing will be needed.",
    "acknowledge": "Confirm that you have read why it stopped.",
}.items():
    sessions.add_command(_order(_word, _summary))
