"""Writes the reference pages of the HTTP interface and of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from daemon.cli.main import leadmaster
from daemon.http.openapi.docs_page import describe_schema, get_api_document, group_by_tag
from daemon.http.openapi.operation import JSON
from daemon.http.problems import PROBLEM_JSON
from tools.reference_tables import render_table

COMMON_ANSWERS = {"401", "413", "415", "503", "507"}
"""Statuses of every route with authentication, a body or a change: the page lists them once."""


def render_tags() -> str:
    """Return the tags, each with a link to its routes."""
    return " · ".join(f"[{tag}](#{tag})" for tag in group_by_tag(get_api_document()))


def render_routes() -> str:
    """Return a description of every route: parameters, body and answers."""
    texts = {tag["name"]: tag["description"] for tag in get_api_document()["tags"]}
    return "\n\n".join(
        f"## {tag}\n\n{texts[tag]}\n\n{chr(10).join(map(_render_route, operations))}".rstrip()
        for tag, operations in group_by_tag(get_api_document()).items()
    )


def render_types() -> str:
    """Return a description of every type of bodies and answers."""
    schemas = get_api_document()["components"]["schemas"]
    return "\n\n".join(_render_type(name, schemas[name]) for name in sorted(schemas))


def render_commands() -> str:
    """Return a description of every command: usage, help and options."""
    return "\n\n".join(
        _render_command(path, command) for path, command in iter_commands("", leadmaster)
    )


def _render_route(route: Mapping[str, Any]) -> str:
    lines = [f"### `{route['method']} {route['path']}`", "", route["description"], ""]
    if route["parameters"]:
        rows = [
            (
                f"`{given['name']}`",
                f"{given['in']}{', needed' if given.get('required') else ''}",
                _link_types(given["schema"]),
            )
            for given in route["parameters"]
        ]
        lines += [render_table(("given", "in", "what"), rows), ""]
    for media, body in route.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body (`{media}`): {_link_types(body['schema'])}.", ""]
    answers = "; ".join(
        f"**{status}** {_describe_content(answer) or answer['description']}"
        for status, answer in route["responses"].items()
        if status not in COMMON_ANSWERS
    )
    return "\n".join([*lines, f"Answers: {answers}.", ""])


def _describe_content(answer: Mapping[str, Any]) -> str:
    """Return what an answer carries: a type, a media type, or the codes of a problem."""
    content = dict(answer.get("content", {}))
    if content.pop(PROBLEM_JSON, None) and not content:
        return str(answer["description"])
    return " or ".join(
        _link_types(body["schema"]) if media == JSON else f"`{media}`"
        for media, body in content.items()
    )


def _render_type(name: str, schema: Mapping[str, Any]) -> str:
    text = schema.get("description", "")
    if "properties" not in schema:
        return f"### {name}\n\n{text}\n\n{_link_types(schema)}."
    needed = schema.get("required", ())
    rows = [
        (f"`{field}`", "always" if field in needed else "", _link_types(what))
        for field, what in schema["properties"].items()
    ]
    return f"### {name}\n\n{text}\n\n{render_table(('field', '', 'what'), rows)}"


def _link_types(schema: Mapping[str, Any]) -> str:
    # A bare | would end the cell of the Markdown table.
    return describe_schema(schema, lambda name: f"[{name}](#{name.lower()})").replace("|", "\\|")


def iter_commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group, with its full name."""
    here = f"{path} {command.name}".strip()
    if not isinstance(command, click.Group):
        yield here, command
        return
    context = click.Context(command)
    for name in sorted(command.list_commands(context)):
        if (found := command.get_command(context, name)) is not None:
            yield from iter_commands(here, found)


def _render_command(path: str, command: click.Command) -> str:
    # By its full path, so that the usage begins with it.
    context = click.Context(command, info_name=path)
    usage = command.get_usage(context).removeprefix("Usage: ").replace("\n", " ")
    lines = [f"## `{path}`", "", f"```\n{' '.join(usage.split())}\n```", "", _help_text(command)]
    rows = [
        (f"`{', '.join(option.opts)}`", " ".join((option.help or "").split()))
        for option in command.params
        if isinstance(option, click.Option)
    ]
    return "\n".join([*lines, "", render_table(("option", "what"), rows)] if rows else lines)


def _help_text(command: click.Command) -> str:
    return " ".join((command.help or "").split())
