"""Renders the tables of the reference pages from the registries in the code."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

import daemon
from daemon import settings
from daemon.auth import ROLE_SCOPES, Scope
from daemon.auth.access import ROUTE_SCOPES, TOPIC_SCOPES, AccessLevel, RequiredAccess
from daemon.conformance.suite import CONFORMANCE_CHECKS, get_promise
from daemon.errors import LeadMasterError
from daemon.events import EVENT_CLASSES, DomainEvent, list_data_fields
from daemon.history import line_kinds
from daemon.hookspecs import Hooks
from daemon.lists import consent_cells, vocabulary
from daemon.plugin_manager import Plugins
from daemon.plugins.transport_simulated import script
from rules.facts import FACTS, Fact, FactType
from tools.struct_fields import read_field_types

DOCS = Path(__file__).parent.parent / "docs"
PAGE_KINDS = {
    "tutorial": "Learn it by doing",
    "how-to": "Get one thing done",
    "reference": "Look it up",
    "explanation": "Understand why",
}
"""The kinds of pages by folder, in the order in which a newcomer needs them."""

NUMBER_WORDS = {msgspec.inspect.IntType: "whole number", msgspec.inspect.FloatType: "number"}
TYPE_WORDS = {
    msgspec.inspect.StrType: "text",
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.DateTimeType: "date and time",
}


SCRIPT_PARTS: dict[str, type[msgspec.Struct]] = {
    "The script": script.SimulationScript,
    "A contact": script.ContactBehaviour,
    "A reply": script.ScriptedReply,
    "An event": script.ScriptedEvent,
}
SCRIPT_HEADINGS: dict[type, str] = {part: f'"{heading}"' for heading, part in SCRIPT_PARTS.items()}


def render_daily_budgets() -> str:
    """Render how many new people a phone number may write to in a day, as it is shipped."""
    pacing = settings.PacingSettings()
    first_month = (
        pacing.manual_new_chats_first_month,
        pacing.manual_new_chats_24h_first_month,
    )
    later = pacing.manual_new_chats_later, pacing.manual_new_chats_24h_later
    rows = (
        ("in its first week", pacing.new_chats_first_week, *first_month),
        ("to its 30th day", pacing.new_chats_to_day_30, *first_month),
        ("later", pacing.new_chats_later, *later),
    )
    gap = f"{pacing.new_chat_gap_minutes:g} minutes apart"
    lines = [
        f"| the number is linked | sent by LeadMaster, {gap} | sent by a person's hand |",
        "|---|---|---|",
        *(
            f"| {when} | {count} | {day} in a local day, {hours} in 24 hours |"
            for when, count, day, hours in rows
        ),
    ]
    return "\n".join(lines)


def render_budgets() -> str:
    """Render each budget with its shipped value and its setting."""
    pacing = settings.PacingSettings()
    gap = f"one in {pacing.new_chat_gap_minutes:g} minutes"
    checks = f"{pacing.number_checks} in 24 hours"
    rows = (
        ("new chats by LeadMaster, first week", f"{pacing.new_chats_first_week} in 24 hours"),
        ("new chats by LeadMaster, to day 30", f"{pacing.new_chats_to_day_30} in 24 hours"),
        ("new chats by LeadMaster, later", f"{pacing.new_chats_later} in 24 hours"),
        ("new chats by LeadMaster", gap),
        ("first contacts by hand, to day 30", f"{pacing.manual_new_chats_first_month} a day"),
        ("first contacts by hand, later", f"{pacing.manual_new_chats_later} a day"),
        (
            "first contacts by hand, to day 30",
            f"{pacing.manual_new_chats_24h_first_month} in 24 hours",
        ),
        ("first contacts by hand, later", f"{pacing.manual_new_chats_24h_later} in 24 hours"),
        ("messages of a session, replies first", f"{pacing.messages_per_minute} a minute"),
        ("number checks", checks),
        ("number checks", f"none in the first {pacing.number_check_min_age_days} days"),
    )
    names = type(pacing).__struct_fields__
    lines = ["| what | shipped | setting |", "|---|---|---|"]
    lines += [
        f"| {what} | {value} | `{name}` |" for (what, value), name in zip(rows, names, strict=True)
    ]
    return "\n".join(lines)


def render_page_list() -> str:
    """Return the list of pages by kind, each by its heading."""
    blocks = []
    for folder, heading in PAGE_KINDS.items():
        links = [
            f"- [{_read_heading(page)}]({page.relative_to(DOCS).as_posix()})"
            for page in sorted((DOCS / folder).glob("*.md"))
        ]
        if links:
            blocks.append("\n".join([f"## {heading}", "", *links]))
    return "\n\n".join(blocks)


def render_import_sources() -> str:
    """Return the table of import sources: name, endings, what a row is, and what it reads."""
    plugins = Plugins()
    plugins.load()
    rows = [
        f"| `{source.name}` | {', '.join(f'`{each}`' for each in source.suffixes)}"
        f" | {source.unit} | {source.summary} |"
        for source in plugins.sources().values()
    ]
    return "\n".join(
        ["| source | endings | a row is a | reads |", "| --- | --- | --- | --- |", *rows]
    )


def render_list_columns() -> str:
    """Return the uses of a list's columns, with the headers that are known for each."""
    notes = read_attribute_notes(vocabulary)
    return render_table(
        ("column", "what it is", "headers"),
        (
            (f"`{use}`", notes["ColumnUse", use.name], ", ".join(names))
            for use, names in vocabulary.HEADER_NAMES.items()
        ),
    )


def render_consent_words() -> str:
    """Return the words on consent that the table knows, by what they mean."""
    return render_table(
        ("means", "words and marks"),
        (
            (f"`{answer}`", " ".join(f"`{word}`" for word in words if word))
            for answer, words in consent_cells.CONSENT_WORDS.items()
        ),
    )


def render_history_words() -> str:
    """Return the words for what a line of a history is, by kind."""
    return render_table(
        ("kind", "words"),
        (
            (f"`{kind}`", ", ".join(f"`{word}`" for word in words))
            for kind, words in line_kinds.KIND_WORDS.items()
        ),
    )


def render_events() -> str:
    """Return a section for every event: its type, when it happens, and its data."""
    return "\n\n".join(_render_event(word, EVENT_CLASSES[word]) for word in sorted(EVENT_CLASSES))


def render_hooks() -> str:
    """Return a section for every hook: signature, when it is called, what an error means."""
    return "\n\n".join(_render_hook(name, spec) for name, spec in sorted(_hook_specs()))


def render_errors() -> str:
    """Return the table of error codes, with HTTP status, meaning and hint."""
    for module in pkgutil.walk_packages(daemon.__path__, "daemon."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)  # adds its errors to the registry
    rows = [
        (f"`{code}`", str(kind.status), _first_line(kind), kind.hint)
        for code, kind in sorted(LeadMasterError.registry.items())
        if kind.__module__.startswith("daemon.")
    ]
    return render_table(("code", "HTTP", "what it says", "what to do"), rows)


def render_roles() -> str:
    """Return the table of roles and their scopes."""
    head = ("scope", *(f"`{role}`" for role in ROLE_SCOPES))
    rows = [
        (f"`{scope}`", *("yes" if scope in has else "" for has in ROLE_SCOPES.values()))
        for scope in Scope
    ]
    return render_table(head, rows)


def render_route_scopes() -> str:
    """Return the table of routes and their required scopes."""
    rows = [
        (f"`{method} {path}`", _describe_access(access))
        for (method, path), access in ROUTE_SCOPES.items()
    ]
    return render_table(("route", "scope"), rows)


def _describe_access(access: RequiredAccess) -> str:
    match access:
        case None:
            return "none"
        case AccessLevel.SIGNED_IN:
            return "any signed-in user"
        case scope:
            return f"`{scope}`"


def render_topic_scopes() -> str:
    """Return the table of events and their required scopes."""
    rows = [(f"`{topic}`", f"`{scope}`") for topic, scope in sorted(TOPIC_SCOPES.items())]
    return render_table(("event", "scope"), rows)


def render_settings() -> str:
    """Return a section for every table of settings: key, value, default and note."""
    notes = read_attribute_notes(settings)
    blocks = []
    for section in msgspec.structs.fields(settings.Settings):
        keys = _render_keys(section.type, notes)
        blocks.append(f"## `[{section.name}]`\n\n{_first_line(section.type)}\n\n{keys}")
    return "\n\n".join(blocks)


def render_simulation_script() -> str:
    """Return a section for every part of a simulation script, and the table of its events."""
    notes = read_attribute_notes(script)
    blocks = [
        f"## {heading}\n\n{_first_paragraphs(part)}\n\n{_render_keys(part, notes)}"
        for heading, part in SCRIPT_PARTS.items()
    ]
    actions = [(f"`{each.value}`", script.ACTION_MEANINGS[each]) for each in script.ScriptedAction]
    table = render_table(("do", "what happens"), actions)
    return "\n\n".join([*blocks, f"## What `do` may be\n\n{table}"])


def render_conformance_checks() -> str:
    """Return the table of conformance checks and their promises."""
    rows = [(f"`{name}`", get_promise(check)) for name, check in CONFORMANCE_CHECKS.items()]
    return render_table(("check", "promise"), rows)


def _render_keys(part: type[msgspec.Struct], notes: Mapping[tuple[str, str], str]) -> str:
    """Return the table of keys of a section or object: value, default and note."""
    rows = [
        (
            f"`{field.name}`",
            describe_setting(msgspec.inspect.type_info(field.type)),
            "" if field.default is msgspec.NODEFAULT else _render_default(field),
            notes.get((part.__name__, field.name), ""),
        )
        for field in msgspec.structs.fields(part)
    ]
    return render_table(("key", "value", "default", "note"), rows)


def _render_default(field: msgspec.structs.FieldInfo) -> str:
    default = (
        field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    )
    text = msgspec.json.encode(default).decode()
    return f"`{text}`" if not isinstance(default, msgspec.Struct) else ""


def render_facts() -> str:
    """Return the tables of facts that rules may use, by group."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, fact in FACTS.items():
        mark = "required" if fact.required else ""
        row = (f"`{name}`", _describe_values(fact), mark, fact.meaning)
        groups.setdefault(name.split(".")[0], []).append(row)
    head = ("fact", "values", "", "meaning")
    return "\n\n".join(
        f"## `{group}`\n\n{render_table(head, rows)}" for group, rows in groups.items()
    )


def _describe_values(fact: Fact) -> str:
    match fact.type:
        case FactType.BOOL:
            return "true or false"
        case FactType.ENUM:
            return ", ".join(f"`{value}`" for value in fact.values)
        case FactType.NUMBER:
            return f"{fact.low:g} to {fact.high:g} {fact.unit}"
        case FactType.TEXT:
            return f"text, {fact.high:g} characters at most"
        case FactType.NAMES:
            return "a set of names"


def _render_event(word: str, kind: type[DomainEvent]) -> str:
    types = read_field_types(kind)
    rows = [(f"`{name}`", f"`{types[name]}`") for name in list_data_fields(kind)]
    return f"## `{word}`\n\n{_first_line(kind)}\n\n{render_table(('field', 'type'), rows)}"


def _render_hook(name: str, spec: object) -> str:
    assert callable(spec)
    signature = str(inspect.signature(spec)).replace("'", "").replace("(self, ", "(")
    word = "async def" if inspect.iscoroutinefunction(spec) else "def"
    code = f"```python\n{word} {name}{signature.replace('(self)', '()')}\n```"
    return f"## `{name}`\n\n{code}\n\n{inspect.getdoc(spec)}"


def _hook_specs() -> Iterator[tuple[str, object]]:
    return ((name, spec) for name, spec in vars(Hooks).items() if name.startswith("leadmaster_"))


def describe_setting(info: msgspec.inspect.Type) -> str:
    """Return a setting's own description, or else one of its type."""
    own = getattr(info, "extra_json_schema", None) or {}
    return str(own.get("description") or _describe_type(info))


def _describe_type(info: msgspec.inspect.Type) -> str:
    """Return a description of a type."""
    match info:
        case msgspec.inspect.EnumType(cls=kind):
            return " or ".join(f"`{each.value}`" for each in kind)
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return NUMBER_WORDS[type(info)] + _describe_bounds(info)
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return f"text like `{pattern}`".replace("|", "\\|")
        case _:
            return TYPE_WORDS.get(type(info)) or _describe_container(info)


def _describe_container(info: msgspec.inspect.Type) -> str:
    """Return a description of a type that contains others."""
    match info:
        case msgspec.inspect.UnionType():
            named = [t for t in info.types if not isinstance(t, msgspec.inspect.NoneType)]
            return f"{' or '.join(map(_describe_type, named))}, or unset"
        case msgspec.inspect.VarTupleType():
            return f"list of {_describe_type(info.item_type)}"
        case msgspec.inspect.DictType():
            return f"by number, {_describe_type(info.value_type)}"
        case msgspec.inspect.StructType(cls=kind):
            return f"an object as in {SCRIPT_HEADINGS[kind]}"
        case _:
            message = f"there are no words for {info}"
            raise TypeError(message)


def _describe_bounds(info: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    limits = (("over", info.gt), ("from", info.ge), ("under", info.lt), ("to", info.le))
    bounds = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
    return f" {' '.join(bounds)}" if bounds else ""


def read_attribute_notes(module: object) -> dict[tuple[str, str], str]:
    """Return the docstrings of attributes, by class and attribute."""
    assert inspect.ismodule(module)
    # From the source: Python does not keep these strings at run time.
    notes = {}
    for kind in ast.parse(inspect.getsource(module)).body:
        if not isinstance(kind, ast.ClassDef):
            continue
        for field, note in zip(kind.body, kind.body[1:], strict=False):
            match field, note:
                case (
                    ast.AnnAssign(target=ast.Name(id=name))
                    | ast.Assign(targets=[ast.Name(id=name)]),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    notes[kind.name, name] = " ".join(text.split())
    return notes


def render_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _first_paragraphs(kind: type) -> str:
    return "\n\n".join(
        " ".join(each.split()) for each in (inspect.getdoc(kind) or "").split("\n\n")
    )


def _first_line(kind: type) -> str:
    text = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    # Roles such as :class: are for the source; a page shows the name alone.
    return re.sub(r":\w+:`(\w+)`", r"`\1`", text)


def _read_heading(page: Path) -> str:
    first = page.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")
