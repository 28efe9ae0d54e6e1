"""`leadmaster demo`: the whole product in a minute, on simulated phones, in a throw-away folder."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from daemon.cli.calling import program
from daemon.cli.screen import advise, put, say
from daemon.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.cli.cast import Part
    from daemon.cli.client import Client
    from daemon.cli.news import News
    from daemon.cli.stage import Stage

SAMPLE: Final = Path(__file__).parent / "sample" / "prospects_es.csv"
STATEMENT: Final = "ticked the box on our web form"
VISITOR: Final = "visitor"
_PATIENCE: Final = 30.0
_ROLES: Final = (
    "asks",
    "opts out",
    "reads",
    "is not there",
    "sleeps",
    "was a customer",
    "was found",
    "said no",
)


@click.command()
@click.option("--keep", is_flag=True, help="Keep the folder, to look at it afterwards.")
@click.option("--rate", type=click.FloatRange(0.5, 20), default=1.0, help="How fast time goes.")
@click.option(
    "--stay/--no-stay", default=None, help="Stay for you to try it; on a terminal it does."
)
def demo(*, keep: bool, rate: float, stay: bool | None) -> None:
    """See it work: import, pair, send, hold, defer, block, answer, opt out, break and mend.

    Everything is simulated and nothing leaves this machine. It takes about a minute, and then it
    is yours to try until Ctrl-C.
    """
    from daemon.cli.stage import staged

    with staged(keep=keep, rate=rate) as stage:
        _scene(1, f"A daemon of its own; its clock says {stage.start:%A %d %B, %H:%M} UTC")
        say(f"   folder {stage.folder}" + ("" if keep else ", deleted at the end"))
        _invite(stage.client)
        news = _play(stage)
        if sys.stdout.isatty() if stay is None else stay:
            _your_turn(stage, news)
        if keep:
            advise(f"\nThe folder stays: leadmaster --config {stage.folder}/leadmaster.toml run")


def _invite(client: Client) -> None:
    """Let a visitor in: a user of the demonstration's own, and a link that is good for once."""
    client.post("users", name=VISITOR, role="admin")
    say(f"   the console: {_link(client)}")
    say("   (open it in a browser; the link works once, for ten minutes)")


def _link(client: Client) -> str:
    url: str = client.post("sign-in-links", user=VISITOR)["url"]
    return url


def _your_turn(stage: Stage, news: News) -> None:
    """Leave something to do, say how, and wait for the visitor to end it."""
    from daemon.cli.cast import left_to_do, names_of

    _scene(10, "Your turn: link a phone, validate prospects, send one by hand, stop everything")
    parts = left_to_do(stage.client)
    news.meet(names_of(parts))
    waiting = [_enqueue(stage.client, part) for part in parts]
    for message in waiting:
        _expect(news, partial(_is_settled, message["id"]))
    put(
        f"\n   the console: {_link(stage.client)}\n"
        f"   commands:    {program()} --config {stage.folder}/leadmaster.toml queue list\n"
        "   Ctrl-C ends the demonstration."
    )
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    say("\nThat was it.")


def _play(stage: Stage) -> News:
    from daemon.cli.cast import chosen, names_of, script_for
    from daemon.cli.news import News

    client = stage.client
    _import(client)
    parts = chosen(client)
    _pair(client, stage.write_script(script_for(parts)))
    news = News(client, names_of(parts.values()))
    messages = _send(client, parts, news)
    _by_person(client, messages, news)
    _answers(client, parts, messages, news)
    _break(client, parts, news)
    _summary(client)
    return news


def _import(client: Client) -> None:
    from daemon.cli.importing import import_file

    _scene(2, f"A list of prospects, {SAMPLE.name}: what is in it, and what would be rejected")
    import_file(client, SAMPLE, {"statement": STATEMENT}, yes=True, shown=4)


def _pair(client: Client, script: str) -> None:
    from daemon.cli.cast import SALES, SUPPORT
    from daemon.cli.qr import follow

    for number, name in enumerate((SALES, SUPPORT)):
        _scene(3 + number, f"The phone of {name} is linked; the virtual phone scans the code")
        options = {"script": script, "seed": 7 + number}
        client.post("sessions", name=name, channel="simulated", options=options)
        client.post("sessions", name, "start")
        follow(client, name)


def _send(client: Client, parts: Mapping[str, Part], news: News) -> dict[str, dict[str, Any]]:
    """Queue a message for each part; unknown numbers are checked first, then judged again."""
    _scene(5, "Eight messages are queued. The gate judges each; a number not known is checked")
    messages = {role: _enqueue(client, parts[role]) for role in _ROLES}
    for message in messages.values():
        _expect(news, partial(_is_settled, message["id"]))
    return messages


def _enqueue(client: Client, part: Part) -> dict[str, Any]:
    message: dict[str, Any] = client.send(part.phone, part.text, session=part.session)
    return message


def _is_settled(message: str, event: Mapping[str, Any]) -> bool:
    """Tell whether the message has come to rest, for the time being."""
    if event["subject"] != message:
        return False
    data = event["data"]
    manual = data["state"] == "cleared" and data["channel"] == "manual"
    waits = data["state"] == "deferred" and data["due_at"] is not None
    return manual or waits or data["state"] in {"held", "blocked", "failed", "delivered", "read"}


def _by_person(client: Client, messages: Mapping[str, Mapping[str, Any]], news: News) -> None:
    _scene(6, "A person decides: one message is approved, one is sent by hand")
    held, found = messages["was a customer"]["id"], messages["was found"]["id"]
    client.post("review", held, "approve", reason="I know them; they asked to be called")
    client.post("manual", found, "take")
    link = client.post("manual", found, "reveal")["link"]
    say(f"   the chat opens with {link.partition('?')[0]}")
    client.post("manual", found, "confirm")
    _wait(news, held, {"delivered", "read"})


def _answers(
    client: Client,
    parts: Mapping[str, Part],
    messages: Mapping[str, Mapping[str, Any]],
    news: News,
) -> None:
    _scene(7, "Answers come in. BAJA suppresses a person under every name that they have")
    _wait(news, messages["asks"]["id"], {"read"})
    _expect(news, lambda event: event["type"] == "contact.suppressed")
    gone = parts["opts out"]
    other_form = gone.phone.replace("+549", "+54", 1)
    again = replace(gone, phone=other_form, text="¿Seguro? Último aviso del taller.")
    message = _enqueue(client, again)
    _wait(news, message["id"], {"blocked"})


def _break(
    client: Client,
    parts: Mapping[str, Part],
    news: News,
) -> None:
    from daemon.cli.cast import SALES

    _scene(8, "The line breaks. What is queued waits, and says so; then the phone is back")
    _expect(news, lambda event: _is_down(event, SALES))
    message = _enqueue(client, parts["waits"])
    _wait(news, message["id"], {"read"})


def _is_down(event: Mapping[str, Any], session: str) -> bool:
    return bool(event["subject"] == session and event["data"].get("state") == "backoff")


def _wait(news: News, message: str, states: set[str]) -> None:
    _expect(
        news,
        lambda event: event["subject"] == message and event["data"].get("state") in states,
    )


def _expect(news: News, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
    """Wait for the story to go on; say so where it takes too long, and go on all the same."""
    if not news.wait_for(wanted, _PATIENCE):
        say(f"   (nothing of it for {_PATIENCE:g} s; the story goes on without it)")


def _summary(client: Client) -> None:
    _scene(9, "What became of it")
    found = client.get("messages", limit=50)["items"]
    columns = {"state": "state", "channel": "by", "recipient": "to", "sentence": "why"}
    print_table(found, columns, empty="")
    counts = Counter(message["state"] for message in found)
    say("   " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    ours = f"   {program()} --state-dir ./state"
    put(
        "\nNext, with a daemon of your own:\n"
        f"{ours} run\n"
        f"{ours} sessions add ventas --channel simulated --start\n"
        f"{ours} sessions qr ventas"
    )


def _scene(number: int, title: str) -> None:
    say(f"\n{number}. {title}")
