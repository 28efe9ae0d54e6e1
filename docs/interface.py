"""Write the HTTP interface and the command line as pages, from what the daemon itself declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from tables import table

from daemon.cli.main import leadmaster
from daemon.http.openapi.document import PROBLEM
from daemon.http.openapi.operation import JSON
from daemon.http.openapi.words import by_tag, kind
from daemon.http.reference import interface

EVERYWHERE = {"401", "413", "415", "503", "507"}
"""Answers of every route that asks who comes, takes a body or writes: the page says so once."""


def subjects() -> str:
    """List the subjects, each with a link to its routes."""
    return " · ".join(f"[{tag}](#{tag})" for tag in by_tag(interface()))


def api() -> str:
    """Describe every route: what it takes, answers and refuses."""
    return "\n\n".join(
        f"## {tag}\n\n{chr(10).join(_route(each) for each in operations)}".rstrip()
        for tag, operations in by_tag(interface()).items()
    )


def types() -> str:
    """Describe every type that routes take or give."""
    schemas = interface()["components"]["schemas"]
    return "\n\n".join(_type(name, schemas[name]) for name in sorted(schemas))


def commands() -> str:
    """Describe every command: how it is called, what it does, its options."""
    return "\n\n".join(_command(path, command) for path, command in _walked("", leadmaster))


def _route(said: Mapping[str, Any]) -> str:
    lines = [f"### `{said['method']} {said['path']}`", "", said["description"], ""]
    if said["parameters"]:
        rows = [
            (
                f"`{given['name']}`",
                f"{given['in']}{', needed' if given.get('required') else ''}",
                _kind(given["schema"]),
            )
            for given in said["parameters"]
        ]
        lines += [table(("given", "in", "what"), rows), ""]
    for media, body in said.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body (`{media}`): {_kind(body['schema'])}.", ""]
    answers = "; ".join(
        f"**{status}** {_content(answer) or answer['description']}"
        for status, answer in said["responses"].items()
        if status not in EVERYWHERE
    )
    return "\n".join([*lines, f"Answers: {answers}.", ""])


def _content(answer: Mapping[str, Any]) -> str:
    """Say what an answer carries: a document, a kind of file, or the codes of a problem."""
    content = dict(answer.get("content", {}))
    if content.pop(PROBLEM, None) and not content:
        return str(answer["description"])
    return " or ".join(
        _kind(body["schema"]) if media == JSON else f"`{media}`" for media, body in content.items()
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    text = schema.get("description", "")
    if "properties" not in schema:
        return f"### {name}\n\n{text}\n\n{_kind(schema)}."
    needed = schema.get("required", ())
    rows = [
        (f"`{field}`", "always" if field in needed else "", _kind(what))
        for field, what in schema["properties"].items()
    ]
    return f"### {name}\n\n{text}\n\n{table(('field', '', 'what'), rows)}"


def _kind(schema: Mapping[str, Any]) -> str:
    return kind(schema, lambda name: f"[{name}](#{name.lower()})").replace("|", "\\|")


def _walked(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its whole name."""
    here = f"{path} {command.name}".strip()
    if not isinstance(command, click.Group):
        yield here, command
        return
    for name in sorted(command.commands):
        yield from _walked(here, command.commands[name])


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = command.get_usage(context).removeprefix("Usage: ").replace("\n", " ")
    lines = [f"## `{path}`", "", f"```\n{' '.join(usage.split())}\n```", "", _text(command)]
    rows = [
        (f"`{', '.join(option.opts)}`", " ".join((option.help or "").split()))
        for option in command.params
        if isinstance(option, click.Option)
    ]
    return "\n".join([*lines, "", table(("option", "what"), rows)] if rows else lines)


def _text(command: click.Command) -> str:
    return " ".join((command.help or "").split())
