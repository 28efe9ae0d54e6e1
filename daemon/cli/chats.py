"""`leadmaster chats`: who waits, one chat, answers, outcomes, closing and snoozing."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import click

from daemon.cli.console import print_hint, print_json, print_text
from daemon.cli.context import (
    CliContext,
    CommandGroup,
    json_option,
    list_options,
    pass_cli_context,
)
from daemon.cli.errors import ask_confirmation
from daemon.cli.tables import print_table

_TABS = ("waiting", "mine", "snoozed", "strangers", "all", "no_outcome", "data_asked")
_OUTCOMES = ("interested", "not_interested", "third_party", "number_changed_owner", "minor")
_COLUMNS = {
    "contact": "chat",
    "name": "name",
    "phone": "phone",
    "since": "waits since",
    "free_until": "free answer until",
    "writing_by": "answering now",
    "last_text": "last message",
}
_LINE_COLUMNS = {"at": "at", "side": "who", "text": "text", "state": "state", "sentence": "why"}
_MODES = {
    "reply": "A free answer is possible until {free_until}.",
    "new_message": "The conversation is over: an answer is a new message.",
    "refused": "They said no; only a message of theirs ends that.",
    "suppressed": "They asked us to stop: nothing is written to them any more.",
    "stopped": "Nothing goes to them until a person has decided: leadmaster review meanings",
    "in_doubt": "We can't tell whether the last message left: leadmaster queue settle",
    "stranger": "Nobody here knows them. Their messages: leadmaster chats show {contact} --reveal",
}


@click.group(cls=CommandGroup)
def chats() -> None:
    """Answer who waits, and say what came of it."""


@chats.command("list")
@click.option("--tab", type=click.Choice(_TABS), default="waiting", help="Which chats to show.")
@click.option("--text", default="", help="Only those whose name, number or words contain it.")
@list_options
@json_option
@pass_cli_context
def list_chats(
    cli: CliContext, *, tab: str, text: str, limit: int, after: str | None, json_: bool
) -> None:
    """Show chats: who waits for an answer, the longest first, or those of another tab."""
    found = cli.client().get("conversations", tab=tab, text=text, limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table(found["items"], _COLUMNS, empty="Nobody is here.")
    if found["items"]:
        print_hint("Read one: leadmaster chats show CHAT")


@chats.command("show")
@click.argument("chat")
@click.option("--reveal", is_flag=True, help="A stranger's messages too; that is audited.")
@json_option
@pass_cli_context
def show_chat(cli: CliContext, *, chat: str, reveal: bool, json_: bool) -> None:
    """Show one CHAT: its lines, and whether it can be answered."""
    client = cli.client()
    found = client.get("conversations", chat)
    if reveal:
        found["lines"] = client.post("conversations", chat, "reveal")["items"]
    if json_:
        print_json(found)
        return
    rows = [{**each, "side": _name_side(each)} for each in found["lines"]]
    print_table(rows, _LINE_COLUMNS, empty="No line of this chat is shown.")
    print_text(_MODES[found["mode"]].format(**found["chat"]))
    if found["asks_origin"]:
        print_text(
            f"They ask where their number is from: to be answered by {found['origin_until']}."
        )
        print_hint(f"Answer that: leadmaster chats reply {chat} --origin")
    if found["draft"]:
        print_text(f"Your draft: {found['draft']}")


def _name_side(line: dict[str, Any]) -> str:
    return "they" if line["theirs"] else "we"


@chats.command("reply")
@click.argument("chat")
@click.argument("text", default="")
@click.option("--origin", is_flag=True, help="Say where their number is from, instead of a TEXT.")
@click.option("--take-over", is_flag=True, help="Also while another person answers.")
@json_option
@pass_cli_context
def reply(
    cli: CliContext, *, chat: str, text: str, origin: bool, take_over: bool, json_: bool
) -> None:
    """Answer CHAT with TEXT; the rules decide, and it leaves five seconds later.

    It goes only if nothing came in since the chat was read here. Who asked where their number is
    from may be answered with --origin for 24 hours, even if they said no.
    """
    if bool(text) is origin:
        raise click.UsageError("Give either TEXT or --origin.")
    client = cli.client()
    found = client.get("conversations", chat)
    if origin and not found["origin_answer"]:
        raise click.UsageError(
            "Nobody has said yet where their number is from, in words for them: say it of their"
            " import, leadmaster prospects import --help."
        )
    message = client.post(
        *("conversations", chat, "reply"),
        text=found["origin_answer"] if origin else text,
        last_seen=found["last_seen"],
        key=uuid.uuid4().hex,
        take_over=take_over,
    )
    if json_:
        print_json(message)
        return
    print_text(f"{message['id']}: {message['state']} — {message['sentence']}")
    print_hint(f"Take it back at once: leadmaster queue cancel {message['id']} --reason …")


@chats.command("add-prospect")
@click.argument("chat")
@click.option("--name", default="", help="The name of the person.")
@json_option
@pass_cli_context
def add_prospect(cli: CliContext, *, chat: str, name: str, json_: bool) -> None:
    """Make a prospect of the stranger of CHAT."""
    made = cli.client().post("conversations", chat, "prospect", name=name)
    if json_:
        print_json(made)
    else:
        print_text(f"{chat}: a prospect now, {made['id']}")


@chats.command("private")
@click.argument("chat")
@click.option("--yes", is_flag=True, help="Erase it without asking.")
@json_option
@pass_cli_context
def make_private(cli: CliContext, *, chat: str, yes: bool, json_: bool) -> None:
    """Erase the stranger of CHAT, and store nothing of theirs again but an opt-out."""
    if not yes:
        ask_confirmation(
            "Erase this chat, and store nothing of theirs again? It can't be undone.",
            if_declined="Nothing was erased.",
        )
    done = cli.client().post("conversations", chat, "private")
    _print_done(done, "erased", json_=json_)


@chats.command("take")
@click.argument("chat")
@click.option("--return", "give_back", is_flag=True, help="It is nobody's any more.")
@json_option
@pass_cli_context
def take(cli: CliContext, *, chat: str, give_back: bool, json_: bool) -> None:
    """Say that CHAT is yours."""
    done = cli.client().post("conversations", chat, "take", mine=not give_back)
    _print_done(done, "returned" if give_back else "yours", json_=json_)


@chats.command("close")
@click.argument("chat")
@click.option("--reopen", is_flag=True, help="Open it again.")
@json_option
@pass_cli_context
def close(cli: CliContext, *, chat: str, reopen: bool, json_: bool) -> None:
    """Close CHAT for everybody, until they write again."""
    client = cli.client()
    done = client.post("conversations", chat, "close", closed=not reopen)
    _print_done(done, "open" if reopen else "closed", json_=json_)
    if not (reopen or json_ or client.get("conversations", chat)["has_outcome"]):
        print_hint(f"Say what came of it: leadmaster chats outcome {chat} OUTCOME")


@chats.command("snooze")
@click.argument("chat")
@click.option("--hours", type=click.IntRange(1, 24 * 90), help="For how long.")
@click.option("--end", is_flag=True, help="It waits no longer.")
@json_option
@pass_cli_context
def snooze(cli: CliContext, *, chat: str, hours: int | None, end: bool, json_: bool) -> None:
    """Let CHAT wait for some hours; a message of theirs ends that."""
    if (hours is None) != end:
        raise click.UsageError("Give either --hours or --end.")
    client = cli.client()
    until = None
    if hours is not None:
        # By the daemon's clock, which is not always the one of this computer.
        now = datetime.fromisoformat(client.get("status")["now"])
        until = (now + timedelta(hours=hours)).isoformat()
    done = client.post("conversations", chat, "snooze", until=until)
    _print_done(done, f"snoozed until {done['snoozed_until']}" if until else "open", json_=json_)


@chats.command("outcome")
@click.argument("chat")
@click.argument("outcome", type=click.Choice(_OUTCOMES))
@click.option("--message", default="", help="The message of theirs that shows it; else the last.")
@click.option("--still-write", is_flag=True, help="Not interested, but no refusal.")
@click.option("--yes", is_flag=True, help="Erase a minor's data without asking.")
@json_option
@pass_cli_context
def record_outcome(
    cli: CliContext,
    *,
    chat: str,
    outcome: str,
    message: str,
    still_write: bool,
    yes: bool,
    json_: bool,
) -> None:
    """Say what came of CHAT; it is closed, and what follows from the OUTCOME is done."""
    if outcome == "minor" and not yes:
        ask_confirmation(
            "Erase all that is stored of this person? It can't be undone.",
            if_declined="Nothing was erased.",
        )
    result = cli.client().post(
        *("conversations", chat, "outcome"),
        outcome=outcome,
        inbound=message,
        refuse=not still_write,
        confirmed=outcome == "minor",
    )
    if json_:
        print_json(result)
        return
    print_text(f"{chat}: {outcome}; next: {result['next_action']}")
    if result["cancelled_messages"]:
        print_text(f"Messages that are cancelled: {result['cancelled_messages']}")
    if result["id"] is not None:
        print_hint(f"For ten seconds: leadmaster chats undo {chat} {result['id']}")


@chats.command("intent")
@click.argument("chat")
@click.argument("intent", type=click.Choice(["none", "weak", "clear", "asked"]))
@click.option("--message", default="", help="The message of theirs that shows it; else the last.")
@json_option
@pass_cli_context
def set_intent(cli: CliContext, *, chat: str, intent: str, message: str, json_: bool) -> None:
    """Say how clearly the person in CHAT wants to buy, by a message of theirs."""
    prospect = cli.client().post("conversations", chat, "intent", intent=intent, inbound=message)
    if json_:
        print_json(prospect)
    else:
        print_text(f"{prospect['id']}: intent {prospect['intent']}")


@chats.command("data-request")
@click.argument("chat")
@click.option("--message", default="", help="The message of theirs that asks; else the last.")
@click.option("--given", is_flag=True, help="They got it.")
@json_option
@pass_cli_context
def note_data_request(
    cli: CliContext, *, chat: str, message: str, given: bool, json_: bool
) -> None:
    """Note that the person in CHAT asked to see what is stored of them, or got it."""
    found = cli.client().post(
        *("conversations", chat, "data-request"), inbound=message, given=given
    )
    if json_:
        print_json(found)
        return
    print_text(f"{chat}: {'got their data' if given else 'must have it by ' + found['due_at']}")
    if not given:
        print_hint("All that is stored of somebody: leadmaster prospects dossier PROSPECT")


@chats.command("undo")
@click.argument("chat")
@click.argument("outcome", type=int)
@json_option
@pass_cli_context
def undo_outcome(cli: CliContext, *, chat: str, outcome: int, json_: bool) -> None:
    """Take an OUTCOME of CHAT back, by its number, within ten seconds."""
    record = cli.client().post("conversations", chat, "outcome", "undo", id=outcome)
    if json_:
        print_json(record)
    else:
        print_text(f"{chat}: {record['outcome']} was taken back.")


def _print_done(done: dict[str, Any], sentence: str, *, json_: bool) -> None:
    if json_:
        print_json(done)
    else:
        print_text(f"{done['contact']}: {sentence}")
