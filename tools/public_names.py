"""The public names of LeadMaster, and how they differ from those of the last release.

    python -m tools.public_names            prints what breaks docs/reference/compatibility.md
    python -m tools.public_names --write    writes the copies, as `make release` does

A name is a route, a field, an event, a setting, a fact, a command, an option, or a field of what a
command prints with `--json`. Each has a description; the copies in `tests/data/released` are
dictionaries of both. A migration is held by a hash of what it does.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from sqlite_utils import Database

from daemon import settings
from daemon.cli.main import leadmaster
from daemon.events import EVENT_CLASSES, list_data_fields
from daemon.http.openapi.docs_page import describe_schema, get_api_document
from rules.facts import FACTS
from storage.migrations import SchemaMigrations
from storage.schema_steps import MIGRATIONS
from tools.api_reference import iter_commands
from tools.reference_tables import describe_setting
from tools.struct_fields import read_field_types

ROOT: Final = Path(__file__).parents[1]
RELEASED: Final = ROOT / "tests" / "data" / "released"
ANNOUNCED: Final = re.compile(r"^- \*\*Breaks:\*\*(.+(?:\n  .+)*)", re.MULTILINE)
"""The lines of CHANGELOG.md that announce a break; they name it between backticks."""
NEEDED: Final = "needed: "
"""Begins the description of what a request can't leave out."""
LOCAL_DOCUMENTS: Final = (
    ("doctor",),
    ("rules", "check"),
    ("rules", "test"),
    ("channels", "check", "simulated"),
)
"""Commands that print documents of their own with `--json`; the others print answers of the API."""
_REF: Final = re.compile(r'"#/components/schemas/(\w+)"')

Names = dict[str, str]


def list_api_names() -> Names:
    """Return the routes with their parameters, bodies and answers, and the fields of all types."""
    document = get_api_document()
    names: Names = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names |= _list_operation_names(f"{method.upper()} {path}", operation)
    schemas = document["components"]["schemas"]
    sent = _list_request_types(document)
    for name, schema in schemas.items():
        for value in schema.get("enum", ()):
            names[f"{name} = {value}"] = "value"
        needed = schema.get("required", ()) if name in sent else ()
        for field, what in schema.get("properties", {}).items():
            names[f"{name}.{field}"] = (NEEDED if field in needed else "") + _describe(what)
    return names


def _list_operation_names(route: str, operation: Mapping[str, Any]) -> Names:
    names = {route: str(operation["operationId"])}
    for given in operation.get("parameters", ()):
        needed = NEEDED if given.get("required") else ""
        names[f"{route} {given['in']} {given['name']}"] = needed + _describe(given["schema"])
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        names[f"{route} body {media}"] = _describe(body["schema"])
    for status, answer in operation["responses"].items():
        # A refusal is an object of the one type for problems, whatever its status.
        if status.startswith("2"):
            for media, body in answer.get("content", {}).items():
                names[f"{route} {status} {media}"] = _describe(body.get("schema", {}))
    return names


def _list_request_types(document: Mapping[str, Any]) -> set[str]:
    """Return the types of what clients send, with all that these are made of."""
    bodies = [
        operation.get("requestBody")
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    found: set[str] = set()
    waiting = set(_REF.findall(json.dumps(bodies)))
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= {*_REF.findall(json.dumps(document["components"]["schemas"][name]))} - found
    return found


def _describe(schema: Mapping[str, Any]) -> str:
    return describe_schema(schema, str)


def list_event_names() -> Names:
    """Return the events and the fields of their data."""
    names: Names = {}
    for word, kind in EVENT_CLASSES.items():
        types = read_field_types(kind)
        names[word] = "event"
        names |= {f"{word} {field}": types[field] for field in list_data_fields(kind)}
    return names


def list_setting_names() -> Names:
    """Return the keys of the settings file, and what each takes."""
    return {
        f"{section.name}.{key.name}": describe_setting(msgspec.inspect.type_info(key.type))
        for section in msgspec.structs.fields(settings.Settings)
        for key in msgspec.structs.fields(section.type)
    }


def list_fact_names() -> Names:
    """Return the facts that rules may use, and the values of those that have a list of them."""
    names: Names = {}
    for name, fact in FACTS.items():
        names[name] = f"{fact.type.value} {fact.unit}".strip()
        names |= {f"{name} = {value}": "value" for value in fact.values}
    return names


def list_command_names() -> Names:
    """Return commands, their arguments and options, and the fields of their own JSON."""
    names: Names = {}
    for path, command in iter_commands("", leadmaster):
        names[path] = "command"
        for given in command.params:
            needed = NEEDED if given.required else ""
            kind = "flag" if isinstance(given, click.Option) and given.is_flag else "value"
            words = (
                given.opts if isinstance(given, click.Option) else [str(given.human_readable_name)]
            )
            names |= {f"{path} {word}": needed + kind for word in words}
    with tempfile.TemporaryDirectory() as folder:
        for document in LOCAL_DOCUMENTS:
            names |= _list_document_names(document, folder)
    return names


def _list_document_names(words: tuple[str, ...], folder: str) -> Names:
    command: list[str] = [sys.executable, "-m", "daemon", "--state-dir", folder, *words, "--json"]
    # Its exit status says what was found, which is of no matter here.
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False).stdout
    path = f"leadmaster {' '.join(words)} --json"
    return {f"{path} {field}": kind for field, kind in _list_fields(json.loads(said), "")}


def _list_fields(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the type of each field of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _list_fields(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _list_fields(inner, f"{path}[]")
    else:
        yield path, type(value).__name__


def list_migration_names(steps: SchemaMigrations = MIGRATIONS) -> Names:
    """Return the migrations in order, each with a hash of its code and of the SQL that it runs."""
    names: Names = {}
    with closing(sqlite3.connect(":memory:")) as connection:
        schema = Database(connection, execute_plugins=False)
        for name, step in steps.steps.items():
            # Without the line that registers it, which is no part of what it does.
            done = [inspect.getsource(step).partition("def ")[2]]
            connection.set_trace_callback(done.append)
            step(schema)
            connection.set_trace_callback(None)
            names[name] = hashlib.sha256("\n".join(done).encode()).hexdigest()
    return names


AREAS: Final[Mapping[str, Callable[[], Names]]] = {
    "api": list_api_names,
    "events": list_event_names,
    "settings": list_setting_names,
    "facts": list_fact_names,
    "commands": list_command_names,
    "migrations": list_migration_names,
}


def list_breaks(released: Names, current: Names) -> list[str]:
    """Return a sentence for each difference that what was written for `released` would notice."""
    found = [
        f"`{name}` is gone" if name not in current else f"`{name}` is {current[name]}, was {was}"
        for name, was in released.items()
        if current.get(name) != was
    ]
    parents = {name.rpartition(".")[0] or name.split(" ")[0] for name in released}
    found += [
        f"`{name}` is new, and needed by what exists"
        for name, what in current.items()
        if name not in released and what.startswith(NEEDED) and _is_part_of(name, parents, released)
    ]
    return found


def list_migration_breaks(released: Names, current: Names) -> list[str]:
    """Return a sentence for each released migration that changed, or that is not where it was."""
    order = list(current)[: len(released)]
    moved = [name for name, now in zip(released, order, strict=False) if name != now]
    return [*list_breaks(released, current), *(f"`{name}` is not in its place" for name in moved)]


def _is_part_of(name: str, parents: set[str], released: Names) -> bool:
    """Tell whether a new name is part of something that was released."""
    holder = name.rpartition(".")[0]
    return holder in parents or any(name.startswith(f"{each} ") for each in released)


def load_released(area: str, folder: Path = RELEASED) -> Names:
    """Return the names of an area as the last release has them."""
    loaded = json.loads((folder / f"{area}.json").read_text("utf-8"))
    return {str(name): str(what) for name, what in loaded.items()}


def list_announced_breaks(changelog: str) -> set[str]:
    """Return the names that the heading `Unreleased` of a change log announces as broken."""
    head = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    return {name for text in ANNOUNCED.findall(head) for name in re.findall(r"`([^`]+)`", text)}


def list_unannounced_breaks(area: str) -> list[str]:
    """Return the breaks of an area that CHANGELOG.md does not announce; a migration never may."""
    released, current = load_released(area), AREAS[area]()
    if area == "migrations":
        return list_migration_breaks(released, current)
    announced = list_announced_breaks((ROOT / "CHANGELOG.md").read_text("utf-8"))
    return [each for each in list_breaks(released, current) if each.split("`")[1] not in announced]


def write_released(folder: Path = RELEASED) -> None:
    """Write the names of this code as those of a release."""
    folder.mkdir(parents=True, exist_ok=True)
    for area, list_names in AREAS.items():
        names = list_names()
        # Migrations in their order, which is part of them.
        ordered = names if area == "migrations" else dict(sorted(names.items()))
        text = json.dumps(ordered, indent=0, ensure_ascii=False)
        (folder / f"{area}.json").write_text(f"{text}\n", "utf-8")


def main() -> None:
    """Print the breaks since the last release, or write the copies of a new one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        write_released()
        return
    found = [each for area in AREAS for each in list_unannounced_breaks(area)]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
