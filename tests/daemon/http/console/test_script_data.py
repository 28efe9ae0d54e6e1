"""What the page's scripts read of answers and give to `/v1`: nothing of it changes unnoticed.

A field that is renamed breaks no test of Python and no type; the page would only stay silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from daemon.events import EVENT_CLASSES
from daemon.http import console as pages
from daemon.http.openapi.docs_page import get_api_document
from tests.helpers.client.console import (
    ANA_CSV,
    ANA_ROW,
    ConsoleServer,
    get_page,
    hold_messages,
    queue_manual_messages,
)
from tests.helpers.client.websocket import StreamClient

pytestmark = pytest.mark.slow

FOLDER: Final = Path(pages.__file__).parent
STATIC: Final = FOLDER.parent / "static"
TEMPLATES: Final = {
    path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "templates").rglob("*.html")
}
SCRIPTS: Final = {
    path.name: path.read_text(encoding="utf-8")
    for path in STATIC.glob("*.js")
    if not path.name.endswith(".min.js")
}
FIELDS_READ: Final = {
    "calls.js": ("answer.detail", "answer.hint"),
    "sign-in.js": ("problemDocument.detail", "problemDocument.hint"),
    "imports.js": (
        *("answer.upload", "answer?.code", "line.type", "line.total", "line.done"),
        *("end.report.id", "end.report.repeated", "end?.problem", "problem.detail", "problem.hint"),
    ),
    "manual.js": ("answer?.link", "answer.link"),
    "stream.js": ("message.frame",),
}
"""Each field of an answer as a script reads it; the tests below find each in a real answer."""
CALLED: Final = (
    *(("POST", "/v1/uploads"), ("POST", "/v1/imports"), ("GET", "/v1/events")),
    *(("POST", "/v1/review/${id}/take"), ("POST", "/v1/review/${leased}/return")),
    *(("GET", "/v1/conversations/${contact}"), ("POST", "/v1/messages/${message}/cancel")),
    ("POST", "/v1/conversations/${contact}/outcome"),
    ("POST", "/v1/conversations/${contact}/outcome/undo"),
    *(("POST", "/v1/conversations/${contact}/view"), ("POST", "/v1/messages")),
    *(("POST", "/v1/prospects/selection"), ("POST", "/v1/messages/selection")),
    *(("POST", "/v1/audit/selection"), ("PATCH", "/v1/campaigns/${campaign}")),
    ("POST", "/v1/sign-in/language"),
    *(("GET", "/v1/sign-in"), ("POST", "/v1/sign-in"), ("POST", "/v1/sign-in/link")),
)
"""Each route that a script calls by itself; forms name theirs in the page."""


class FormReader(HTMLParser):
    """Reads the forms that a script sends: method, path and names of the fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, set[str]]] = []
        self.follow_ups: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter a form, or a field of the last one."""
        given = dict(attrs)
        if tag == "form":
            self.inside = "data-call" in given
        if tag == "form" and self.inside:
            method = given.get("data-method") or "POST"
            self.forms.append((method, str(given["data-call"]), set()))
            self.follow_ups += [given["data-and-then"] or ""] if "data-and-then" in given else []
        elif self.inside and given.get("name"):
            self.forms[-1][2].add(str(given["name"]))

    def handle_endtag(self, tag: str) -> None:
        """Leave a form."""
        self.inside = self.inside and tag != "form"


def find_operation(method: str, path: str) -> dict[str, Any]:
    """Return the operation of `/v1` that a path belongs to, the most literal one first."""
    paths: dict[str, Any] = get_api_document()["paths"]
    for template in sorted(paths, key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\\?\{[^}]*\\?\}", "[^/]+", re.escape(template)), path):
            operation = paths[template].get(method.lower())
            if operation:
                return dict(operation)
    raise AssertionError(f"There is no {method} {path}.")


def list_properties(schema: Mapping[str, Any]) -> set[str]:
    """Return the names of what an object may have, by its schema or that which it names."""
    while "$ref" in schema:
        schema = get_api_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = set(schema.get("properties", ()))
    return found.union(*map(list_properties, (*schema.get("anyOf", ()), *schema.get("oneOf", ()))))


def list_query_fields(operation: Mapping[str, Any]) -> set[str]:
    """Return the names that the address of an operation may have; a DELETE has no body."""
    return {each["name"] for each in operation["parameters"] if each["in"] == "query"}


def list_body_fields(operation: Mapping[str, Any]) -> set[str]:
    """Return the names that the body of an operation may have."""
    body = operation.get("requestBody", {"content": {}})
    return set().union(*(list_properties(each["schema"]) for each in body["content"].values()))


@pytest.mark.parametrize("script", FIELDS_READ)
def test_a_script_reads_these_fields(script: str) -> None:
    """The list above is what stands in the scripts."""
    for field in FIELDS_READ[script]:
        assert field in SCRIPTS[script]


def test_every_topic_that_a_page_listens_to_is_an_event() -> None:
    """A piece that waits for an event of another name is never fetched anew."""
    text = "\n".join(TEMPLATES.values())
    lists = re.findall(r"ui\.live\([^\]]*\]|set topics = [^%]*|data-live=\"[^\"]*\"", text)
    topics = set(re.findall(r"(?<!~)[\" ]([a-z]+\.[a-z_]+)(?=[\": ])", " ".join(lists)))
    assert {"session.changed", "sending.halted", "rules.loaded", "prospect.changed"} <= topics
    assert topics - set(EVENT_CLASSES) == set()


def test_every_path_that_a_script_calls_is_there() -> None:
    """Under its method, in `/v1`; `/reveal` is a route of the console itself."""
    text = "\n".join(SCRIPTS.values())
    for method, path in CALLED:
        assert re.search(rf'["`]{re.escape(path)}["`?]', text), path
        find_operation(method, re.sub(r"\$\{\w+\}", "x", path))
    found = set(re.findall(r'["`](/v1/[^"`?]+)', text))
    assert found == {path for _, path in CALLED}


async def test_every_form_sends_what_its_route_takes(console: ConsoleServer) -> None:
    """Method, path and each field: `/v1` refuses a field that it does not know."""
    (message,) = await hold_messages(console, ANA_ROW)
    found = (await console.api.get("/v1/prospects")).document["items"][0]
    contact = found["contact"]
    rules = (await console.api.get("/v1/rules")).document["gate"]["hash"]
    paths = (
        *("/", "/sessions", "/manual", "/rules", f"/prospects/{found['id']}", "/pieces/halt"),
        *(
            f"/pieces/sessions/ventas/{action}"
            for action in ("stop", "restart", "logout", "delete")
        ),
        *(f"/pieces/review/cases/{message}/{each}" for each in ("approve", "reject")),
        *(f"/pieces/review/cases/{found['id']}/{each}" for each in ("approve", "reject")),
        *(f"/pieces/prospects/{found['id']}/{each}" for each in ("validate", "correct")),
        *(f"/pieces/contacts/{contact}/{each}" for each in ("suppress", "lift")),
        *(f"/pieces/messages/{message}/{each}" for each in ("cancel", "settle")),
        *("/pieces/sessions/new", "/pieces/prospects/new", f"/pieces/manual/{message}/not-sent"),
        f"/pieces/rules/rollback/{rules}",
        "/pieces/rules/preview?target=gate.thresholds.allow&value=90",
    )
    reader = FormReader()
    for path in paths:
        reader.feed((await get_page(console, path)).document)
    await console.api.post("/v1/halt", reason="a drill")
    reader.feed((await get_page(console, "/pieces/halt")).document)
    assert len({path for _, path, _ in reader.forms}) >= 22
    for method, path, fields in reader.forms:
        operation = find_operation(method, path)
        taken = list_query_fields(operation) if method == "DELETE" else list_body_fields(operation)
        assert fields - taken == set(), path
    for path in reader.follow_ups:
        find_operation("POST", path)


async def test_a_problem_has_what_the_page_shows(console: ConsoleServer) -> None:
    """Sentence and hint of every refusal, and the code of the one that is told in other words."""
    refused = await console.api.call("POST", "/v1/sessions/nobody/start", json={})
    assert {"code", "detail", "hint"} <= refused.document.keys()
    assert BODY_TOO_LARGE in SCRIPTS["imports.js"]
    responses = find_operation("POST", "/v1/uploads")["responses"]
    assert BODY_TOO_LARGE in str(responses["413"])


BODY_TOO_LARGE: Final = "body_too_large"


async def test_an_import_tells_what_the_page_follows(console: ConsoleServer) -> None:
    """The upload's name; how far it has come, line by line; the report, or the problem."""
    upload = await console.api.call("POST", "/v1/uploads?filename=l.csv", data=ANA_CSV)
    order = {"upload": upload.document["upload"], "options": {}}
    preview = await console.api.call("POST", "/v1/imports/preview", json=order)
    order["plan"] = preview.document["plan"]
    lines = (await console.api.call("POST", "/v1/imports", json=order)).document
    assert lines[-1]["type"] == "finished"
    assert lines[-1]["report"]["id"].startswith("imp_")
    for line in lines[:-1]:
        assert line["type"] == "progress"
        assert {"total", "done"} <= line.keys()
    broken = await console.api.call("POST", "/v1/uploads?filename=l.csv", data=b"a;b\n1;2\n")
    order = {"upload": broken.document["upload"], "options": {}}
    refused = (await console.api.call("POST", "/v1/imports", json=order)).document
    problem = refused[-1]["problem"] if isinstance(refused, list) else refused
    assert {"detail", "hint"} <= problem.keys()


async def test_a_revealed_link_and_a_revealed_number(console: ConsoleServer) -> None:
    """What opens the chat, and the whole number."""
    (message,) = await queue_manual_messages(console, 1)
    await console.api.post(f"/v1/manual/{message}/take")
    assert (await console.api.post(f"/v1/manual/{message}/reveal")).document["link"]
    shown = await console.api.post("/reveal", kind="message", id=message)
    assert shown.document.keys() == {"phone"}
    assert "{ phone }" in "".join(SCRIPTS.values())


async def test_the_stream_has_what_the_page_follows(console: ConsoleServer) -> None:
    """Frames by their names: subscribed, a snapshot with its place, events and codes."""
    for frame in ("subscribed", "snapshot", "event", "qr"):
        assert f'message.frame === "{frame}"' in SCRIPTS["stream.js"]
    url = f"{console.url}/v1/events"
    async with console.api.session.ws_connect(
        f"{url}?after=10000&epoch=0", protocols=("leadmaster.v1",)
    ) as socket:
        client = StreamClient(socket)
        snapshot = (await client.read_until("snapshot"))[-1]
        assert {"seq", "epoch"} <= snapshot.keys()
        await console.start_session("ventas", scan_after=1000)
        frames = await client.read_until("qr")
    assert {"type", "subject"} <= frames[-1].keys()
    events = [frame for frame in frames if frame["frame"] == "event"]
    assert events
    assert all({"seq", "type", "subject"} <= frame.keys() for frame in events)


async def test_the_page_tells_its_scripts_what_they_ask(console: ConsoleServer) -> None:
    """Clock, place in the log, token and zone; and the words."""
    shown = (await get_page(console, "/")).document
    (meta,) = re.findall(r'<meta name="page-data" ([^>]*)>', shown)
    given = set(re.findall(r"data-(\w+)=", meta))
    asked = set(re.findall(r"\bmeta\.(\w+)", SCRIPTS["page-data.js"]))
    assert given == asked == {"now", "rate", "seq", "epoch", "csrf", "zone", "places"}
    assert '<meta name="words" content="{' in shown


def test_every_module_that_a_script_imports_is_there() -> None:
    """By its plain name: a browser would stop at the first one that is missing."""
    imported = set(re.findall(r'from "\./([\w-]+\.js)"', "".join(SCRIPTS.values())))
    assert imported - set(SCRIPTS) == set()
    loaded = set(re.findall(r"asset\('([\w.-]+)'\)", "".join(TEMPLATES.values())))
    assert loaded - {path.name for path in STATIC.iterdir()} == set()
    assert set(SCRIPTS) - imported == {"console.js", "sign-in.js"}


def list_data_attributes(text: str) -> Iterator[str]:
    """Return the data attributes that scripts read of elements, as a template writes them."""
    for name in re.findall(r"dataset\??\.(\w+)", text):
        yield "data-" + re.sub(r"[A-Z]", lambda match: f"-{match[0].lower()}", name)
    yield from re.findall(r"\[(data-[a-z-]+)[\]=~]", text)


def test_every_data_attribute_that_a_script_reads_is_written() -> None:
    """By a template, by the code, or by a script itself."""
    written = "\n".join([*TEMPLATES.values(), *map(Path.read_text, FOLDER.glob("*.py"))])
    scripts = "\n".join(SCRIPTS.values())
    for name in set(list_data_attributes(scripts)):
        own = re.sub(r"-(\w)", lambda match: match[1].upper(), name.removeprefix("data-"))
        assert name in written or re.search(rf"dataset\.{own} = ", scripts), name
