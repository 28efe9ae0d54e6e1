"""`leadmaster demo`: the command, and the eleven scenes of the demonstration."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import replace

from daemon.cli.command_hints import program_name
from daemon.cli.console import print_hint, print_raw, print_text
from daemon.cli.tables import print_table
from daemon.cli.words import format_counts
from statemachines.vocabulary import BuiltinChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.cli.client import ControlClient
    from daemon.demo.environment import DemoEnvironment
    from daemon.demo.events import EventPrinter
    from daemon.demo.phones import DemoPhones
    from daemon.demo.script import DemoMessage


SAMPLE: Final = Path(__file__).parent / "sample" / "prospects_es.csv"
STATEMENT: Final = "marcó la casilla de nuestro formulario web"
VISITOR: Final = "visitor"
_WAIT_SECONDS: Final = 30.0
_NO_TERMINAL: Final = (
    "The demonstration ends here, because its output is no terminal. To have it stay for you:"
)
_NUMBER_WORKS: Final = {
    "asks": True,
    "opts out": True,
    "reads": True,
    "is not there": False,
    "sleeps": True,
    "was a customer": True,
    "was found": True,
    "waits": True,
}
"""Whether a call shows that the number works; who was not reached stays to be validated."""


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the folder, to look at it afterwards.")
@click.option("--rate", type=click.FloatRange(0.5, 20), default=1.0, help="How fast time goes.")
@click.option(
    "--stay/--no-stay", default=None, help="Stay for you to try it; on a terminal it does."
)
def run_demo(*, keep: bool, rate: float, stay: bool | None) -> None:
    """See it work: import, pair, send, hold, defer, block, answer, opt out, break and mend.

    Everything is simulated and nothing leaves this machine. It takes about a minute, and then it
    is yours to try until Ctrl-C.
    """
    from daemon.demo.phones import SimulatedPhones

    play_scenes(SimulatedPhones(rate), keep=keep, stay=stay)


def play_scenes(phones: DemoPhones, *, keep: bool, stay: bool | None) -> None:
    """Run the demonstration over these phones; see :func:`run_demo` for the options."""
    from daemon.demo.environment import run_environment

    with run_environment(
        phones.write_settings, keep=keep, variables=phones.variables
    ) as environment:
        _print_heading(1, f"A daemon of its own; {phones.describe()}")
        print_text(f"   folder {environment.folder}" + ("" if keep else ", deleted at the end"))
        _create_visitor(environment.client)
        events = _run_scenes(environment, phones)
        if sys.stdout.isatty() if stay is None else stay:
            _run_visitor_turn(environment, events)
        elif stay is None:
            print_text(f"\n{_NO_TERMINAL} {program_name()} demo --stay")
        if keep:
            print_hint(
                f"\nThe folder stays: leadmaster --config {environment.folder}/leadmaster.toml run"
            )


def _create_visitor(client: ControlClient) -> None:
    """Create a user for the visitor, and print a sign-in link for it."""
    client.post("users", name=VISITOR, role="admin")
    print_text(f"   the console: {_create_sign_in_link(client)}")
    print_text("   (open it in a browser; the link works once, for ten minutes)")


def _create_sign_in_link(client: ControlClient) -> str:
    url: str = client.post("sign-in-links", user=VISITOR)["url"]
    return url


def _run_visitor_turn(environment: DemoEnvironment, events: EventPrinter) -> None:
    """Queue messages for the visitor to decide on, print the console link, wait for Ctrl-C."""
    from daemon.demo.script import choose_visitor_messages, map_contact_names

    _print_heading(
        11, "Your turn: link a phone, validate prospects, send one by hand, stop everything"
    )
    recipients = choose_visitor_messages(environment.client)
    for recipient in recipients:
        _validate_number(environment.client, recipient.phone, works=True)
    events.add_names(map_contact_names(recipients))
    waiting = [_queue_message(environment.client, message) for message in recipients]
    for message in waiting:
        _wait_for_event(events, partial(_is_settled, message["id"]))
    config = environment.folder / "leadmaster.toml"
    # The print is within the block: who reads that Ctrl-C ends it may press it at once.
    with contextlib.suppress(KeyboardInterrupt):
        print_raw(
            f"\n   the console: {_create_sign_in_link(environment.client)}\n"
            f"   commands:    {program_name()} --config {config} queue list\n"
            "   Ctrl-C ends the demonstration."
        )
        threading.Event().wait()
    print_text("\nEnd of the demonstration.")


def _run_scenes(environment: DemoEnvironment, phones: DemoPhones) -> EventPrinter:
    from daemon.demo.events import EventPrinter
    from daemon.demo.script import choose_recipients, map_contact_names

    client = environment.client
    _import_prospects(client)
    recipients = choose_recipients(client)
    _pair_phones(client, phones.channel, phones.prepare(environment, recipients))
    events = EventPrinter(client, map_contact_names(recipients.values()))
    phones.watch(events)
    messages = _queue_messages(client, {role: recipients[role] for role in phones.roles}, events)
    _validate_by_person(client, recipients, messages, events)
    _decide_by_person(client, messages, events)
    _receive_answers(client, recipients, messages, events)
    _break_connection(client, phones, recipients, events)
    _print_summary(client, phones.channel)
    return events


def _import_prospects(client: ControlClient) -> None:
    from daemon.cli.prospect_import import import_file

    _print_heading(
        2, f"A list of prospects, {SAMPLE.name}: what is in it, and what would be rejected"
    )
    client.post("history", "none", reason="Nobody wrote to these people before: they are made up.")
    import_file(client, SAMPLE, {"statement": STATEMENT}, yes=True, max_shown=4)


def _pair_phones(
    client: ControlClient, channel: BuiltinChannel, options: Sequence[Mapping[str, Any]]
) -> None:
    from daemon.cli.pairing import show_pairing
    from daemon.demo.script import SALES, SUPPORT

    for number, name in enumerate((SALES, SUPPORT)):
        _print_heading(
            3 + number, f"The phone of {name} is linked; the virtual phone scans the code"
        )
        client.post("sessions", name=name, channel=channel, options=options[number])
        client.post("sessions", name, "start")
        show_pairing(client, name)


def _queue_messages(
    client: ControlClient, recipients: Mapping[str, DemoMessage], events: EventPrinter
) -> dict[str, dict[str, Any]]:
    """Queue a message for each role, and wait until each waits for something or is finished."""
    _print_heading(
        5, "Messages are queued. The rules check each; phones linked today check no numbers"
    )
    messages = {role: _queue_message(client, each) for role, each in recipients.items()}
    for message in messages.values():
        _wait_for_event(events, partial(_is_unchecked_or_settled, message["id"]))
    return messages


def _validate_by_person(
    client: ControlClient,
    recipients: Mapping[str, DemoMessage],
    messages: Mapping[str, Mapping[str, Any]],
    events: EventPrinter,
) -> None:
    """Show the numbers to validate, then validate those of the people who answered a call."""
    _print_heading(6, "Numbers to validate. A person calls them, and reaches all but one")
    rows = [
        {**number, **number["prospect"], "messages": len(number["messages"])}
        for number in client.get("review", "numbers")["items"]
        if number["messages"]
    ]
    columns = {"name": "name", "phone": "number", "check_from": "phones may check from"}
    print_table(rows, columns | {"messages": "messages that wait"}, empty="")
    for role, works in _NUMBER_WORKS.items():
        _validate_number(client, recipients[role].phone, works=works)
    for role in _NUMBER_WORKS.keys() & messages.keys():
        _wait_for_event(events, partial(_is_settled, messages[role]["id"]))


def _validate_number(client: ControlClient, phone: str, *, works: bool) -> None:
    reason = "atendieron nuestra llamada" if works else "llamamos: ahí nadie tiene WhatsApp"
    client.post("prospects", phone, "validate", validated=works, reason=reason)


def _queue_message(client: ControlClient, message: DemoMessage) -> dict[str, Any]:
    queued: dict[str, Any] = client.send(message.phone, message.text, session=message.session)
    return queued


def _is_unchecked_or_settled(message: str, event: Mapping[str, Any]) -> bool:
    """Return whether a message waits for its number to be validated, or is settled."""
    unchecked = event["subject"] == message and event["data"].get("waits_for") == "checked"
    return unchecked or _is_settled(message, event)


def _is_settled(message: str, event: Mapping[str, Any]) -> bool:
    """Return whether a message waits for a person or a time, or is finished, by an event."""
    data = event["data"]
    if event["subject"] != message or "state" not in data:
        return False
    manual = data["state"] == "cleared" and data["channel"] == BuiltinChannel.MANUAL
    waits = data["state"] == "deferred" and data["waits_for"] is None
    return manual or waits or data["state"] in {"held", "blocked", "failed", "delivered", "read"}


def _decide_by_person(
    client: ControlClient, messages: Mapping[str, Mapping[str, Any]], events: EventPrinter
) -> None:
    _print_heading(7, "A person decides: one message is approved, one is sent by hand")
    held, found = messages["was a customer"]["id"], messages["was found"]["id"]
    client.post("review", held, "approve", reason="nos conocemos; pidió que lo llamemos")
    client.post("manual", found, "take")
    link = client.post("manual", found, "reveal")["link"]
    print_text(f"   the chat opens with {link.partition('?')[0]}")
    client.post("manual", found, "confirm")
    _wait_for_state(events, held, {"delivered", "read"})


def _receive_answers(
    client: ControlClient,
    recipients: Mapping[str, DemoMessage],
    messages: Mapping[str, Mapping[str, Any]],
    events: EventPrinter,
) -> None:
    _print_heading(8, "Answers come in. BAJA suppresses a person under every name that they have")
    _wait_for_state(events, messages["asks"]["id"], {"read"})
    _wait_for_event(events, lambda event: event["type"] == "contact.suppressed")
    gone = recipients["opts out"]
    # The same mobile number as people write it, without the 9: the suppression must cover it too.
    other_form = gone.phone.replace("+549", "+54", 1)
    again = replace(gone, phone=other_form, text="¿Seguro? Último aviso del taller.")
    message = _queue_message(client, again)
    _wait_for_state(events, message["id"], {"blocked"})


def _break_connection(
    client: ControlClient,
    phones: DemoPhones,
    recipients: Mapping[str, DemoMessage],
    events: EventPrinter,
) -> None:
    from daemon.demo.script import SALES

    _print_heading(9, "The connection breaks. Queued messages wait; then the phone is back")
    phones.break_connection()
    _wait_for_event(events, lambda event: _is_down(event, SALES))
    message = _queue_message(client, recipients["waits"])
    _wait_for_state(events, message["id"], {"read"})


def _is_down(event: Mapping[str, Any], session: str) -> bool:
    return bool(event["subject"] == session and event["data"].get("state") == "backoff")


def _wait_for_state(events: EventPrinter, message: str, states: set[str]) -> None:
    _wait_for_event(
        events,
        lambda event: event["subject"] == message and event["data"].get("state") in states,
    )


def _wait_for_event(events: EventPrinter, is_wanted: Callable[[Mapping[str, Any]], bool]) -> None:
    """Wait for an event; after a timeout say so and go on."""
    if not events.wait_for(is_wanted, _WAIT_SECONDS):
        print_text(f"   (nothing happened for {_WAIT_SECONDS:g} s; the demonstration goes on)")


def _print_summary(client: ControlClient, channel: BuiltinChannel) -> None:
    _print_heading(10, "The result")
    found = client.get("messages", limit=50)["items"]
    columns = {"state": "state", "channel": "by", "recipient": "to", "sentence": "why"}
    print_table(found, columns, empty="")
    counts = Counter(sorted(message["state"] for message in found))
    print_text(f"   {format_counts(counts, 'message')}")
    ours = f"   {program_name()} --state-dir ./state"
    print_raw(
        "\nNext, with a daemon of your own:\n"
        f"{ours} run\n"
        f"{ours} sessions add ventas --channel {channel} --start\n"
        f"{ours} sessions qr ventas"
    )


def _print_heading(number: int, title: str) -> None:
    print_text(f"\n{number}. {title}")
