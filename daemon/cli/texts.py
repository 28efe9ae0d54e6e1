"""`leadmaster texts`: templates of messages, their versions, previews and approvals."""

from __future__ import annotations

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
from daemon.cli.filters import build_filter, import_option, permission_option, search_option
from daemon.cli.tables import print_table

_PURPOSES = ("first_contact", "follow_up", "answer", "origin_answer")
_COLUMNS = {
    "id": "text",
    "name": "name",
    "purpose": "purpose",
    "version": "newest",
    "approved": "approved versions",
}
_PEOPLE_COLUMNS = {"name": "person", "text": "text", "missing": "lacks", "becomes": "becomes"}
_CHOICE_COLUMNS = {"template": "version", "name": "name", "text": "text", "missing": "lacks"}

_body_option = click.option("--body", required=True, help="The words, such as 'Hola {nombre}, …'.")
_footer_option = click.option("--footer", default="", help="Of a first contact: who, whence, stop.")
_fallback_option = click.option(
    "--fallback",
    "fallbacks",
    multiple=True,
    type=(str, str),
    metavar="VARIABLE WORDS",
    help="Words for who lacks a variable; without them they are left out.",
)


@click.group(cls=CommandGroup)
def texts() -> None:
    """Write texts with variables, see them on real people, and approve them."""


@texts.command("list")
@list_options
@json_option
@pass_cli_context
def list_texts(cli: CliContext, *, limit: int, after: str | None, json_: bool) -> None:
    """Show texts, in the order in which they were made."""
    found = cli.client().get("texts", limit=limit, after=after)
    if json_:
        print_json(found)
        return
    print_table([_summarise(each) for each in found["items"]], _COLUMNS, empty="No text yet.")


def _summarise(text: dict[str, Any]) -> dict[str, Any]:
    approved = [str(each["version"]) for each in text["versions"] if each["approved_at"]]
    return {**text, "version": text["versions"][0]["version"], "approved": ", ".join(approved)}


@texts.command("show")
@click.argument("text")
@json_option
@pass_cli_context
def show_text(cli: CliContext, *, text: str, json_: bool) -> None:
    """Show a TEXT with all its versions, the newest first."""
    _print_text(cli.client().get("texts", text), json_=json_)


@texts.command("add")
@click.argument("name")
@click.option("--purpose", required=True, type=click.Choice(_PURPOSES), help="What it is for.")
@click.option("--language", default="es", help="Two letters.")
@_body_option
@_footer_option
@_fallback_option
@json_option
@pass_cli_context
def add_text(
    cli: CliContext, /, *, fallbacks: tuple[tuple[str, str], ...], json_: bool, **words: str
) -> None:
    """Store a text called NAME; it is used once a person has approved it."""
    text = cli.client().post("texts", **words, fallbacks=dict(fallbacks))
    _print_text(text, json_=json_)


@texts.command("change")
@click.argument("text")
@_body_option
@_footer_option
@_fallback_option
@json_option
@pass_cli_context
def change_text(
    cli: CliContext,
    /,
    *,
    text: str,
    fallbacks: tuple[tuple[str, str], ...],
    json_: bool,
    **words: str,
) -> None:
    """Write a new version of a TEXT; what is made with an earlier one stays as it is."""
    changed = cli.client().post("texts", text, "versions", **words, fallbacks=dict(fallbacks))
    _print_text(changed, json_=json_)


@texts.command("approve")
@click.argument("text")
@click.argument("version", type=click.IntRange(min=1))
@json_option
@pass_cli_context
def approve_text(cli: CliContext, *, text: str, version: int, json_: bool) -> None:
    """Approve a VERSION of a TEXT for its purpose, once."""
    _print_text(cli.client().post("texts", text, "approve", version=version), json_=json_)


@texts.command("preview")
@click.argument("text")
@search_option
@permission_option
@import_option
@click.option("--page", default=1, type=click.IntRange(1, 1000), help="Which three of them.")
@json_option
@pass_cli_context
def preview_text(
    cli: CliContext,
    /,
    *,
    text: str,
    page: int,
    json_: bool,
    **options: str | None,
) -> None:
    """Show the newest version of a TEXT on three real people, and what would become of it."""
    client = cli.client()
    found = client.get("texts", text)
    newest = found["versions"][0]
    words = {key: newest[key] for key in ("body", "footer", "fallbacks")}
    among = build_filter(options)
    preview = client.post(
        "texts", "preview", purpose=found["purpose"], **words, **among, page=page - 1
    )
    if json_:
        print_json(preview)
        return
    people = [
        {**each, "missing": ", ".join(each["missing"]), "becomes": _describe_check(each)}
        for each in preview["people"]
    ]
    print_table(people, _PEOPLE_COLUMNS, empty="Nobody is found.")
    for name, count in preview["missing"].items():
        print_text(f"{count} of {preview['total']} without {name}")
    print_text(f"{preview['left_out']} of {preview['total']} are left out.")


@texts.command("prepare")
@click.argument("text")
@click.argument("version", type=click.IntRange(min=1))
@click.argument("prospect")
@json_option
@pass_cli_context
def prepare_text(cli: CliContext, *, text: str, version: int, prospect: str, json_: bool) -> None:
    """Show a VERSION of a TEXT as one PROSPECT would get it, to be sent with `leadmaster send`."""
    prepared = cli.client().post("texts", text, "prepare", version=version, prospect=prospect)
    if json_:
        print_json(prepared)
        return
    print_text(prepared["text"])
    print_hint(f"Send it: leadmaster send NUMBER TEXT --template {prepared['template']}")


@texts.command("test")
@click.argument("text")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--as", "prospect", default="", metavar="PROSPECT", help="As whom it reads.")
@click.option("--session", help="Whose phone writes.")
@json_option
@pass_cli_context
def send_test_message(
    cli: CliContext, *, text: str, version: int, prospect: str, session: str | None, json_: bool
) -> None:
    """Queue a test message of a VERSION of a TEXT to your own number, to be sent by hand."""
    body = {"version": version, "prospect": prospect, "session": session}
    message = cli.client().post("texts", text, "test", **body)
    if json_:
        print_json(message)
        return
    print_text(message["text"])
    print_hint(f"Next: leadmaster manual take {message['id']}")


@texts.command("choices")
@click.argument("prospect")
@json_option
@pass_cli_context
def list_choices(cli: CliContext, *, prospect: str, json_: bool) -> None:
    """Show the approved texts that fit a PROSPECT now, as they would get them."""
    found = cli.client().get("prospects", prospect, "texts")
    if json_:
        print_json(found)
        return
    choices = [{**each, "missing": ", ".join(each["missing"])} for each in found["items"]]
    print_table(choices, _CHOICE_COLUMNS, empty="No approved text fits them now.")


def _describe_check(person: dict[str, Any]) -> str:
    check = person["check"]
    return f"{check['outlook']}: {check['sentence']}" if check else person["problem"]


def _print_text(text: dict[str, Any], *, json_: bool) -> None:
    if json_:
        print_json(text)
        return
    print_text(f"{text['id']}: {text['name']} ({text['purpose']}, {text['language']})")
    for each in text["versions"]:
        by = each["approved_by"]
        print_text(f"version {each['version']}: {f'approved by {by}' if by else 'not approved'}")
        print_text(each["body"])
        if each["footer"]:
            print_text(each["footer"])
