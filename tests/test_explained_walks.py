"""The walks in docs/explanation, file by file: every name exists, in the order of a real run.

One daemon links a phone, sends a message, receives an opt-out and reloads a rule file while calls
into the product are recorded; the first calls come in the order in which the page names them.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec
import pytest

from daemon.settings import RulesSettings
from tests.helpers.client.http import (
    IMMEDIATE_SCRIPT,
    HttpClient,
    build_settings,
    is_ready_line,
    open_http_server,
    read_lines_until,
)
from tests.helpers.transport import write_session_script

ROOT: Final = Path(__file__).parents[1]
EXPLANATION: Final = ROOT / "docs" / "explanation"
HEADING: Final = "## Its way, file by file\n"
PACKAGES: Final = frozenset({"daemon", "rules", "statemachines", "storage"})
WALKS: Final = ("a-qr", "a-message", "an-inbound", "a-rule-file")
IN_A_CHILD_PROCESS: Final = frozenset({"rules/check.py"})
"""Files whose calls nobody can record here; a page names no function of them."""
_LINK: Final = re.compile(r"\[(?P<label>[^\]]+)\]\(\.\./\.\./(?P<path>[^)]+)\)")
_NAMES: Final = re.compile(r"(?:[\s,]|`[\w.]+`)*")
_NAME: Final = re.compile(r"`([\w.]+)`")
_SECONDS: Final = 20.0

ANA, BETO = "+5491141234567", "+5491141234568"
RULE_FILE: Final = """\
format: leadmaster/gate@1
vetoes: [{id: no_bargains, reason: No bargains, when: {message.text|contains: ganga}}]
"""

CallKey = tuple[str, str]
"""A file's path from the root, and the qualified name of a function in it."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file as a walk links it, with the functions that stand right beside it."""

    label: str
    path: str
    names: tuple[str, ...]


def read_walk(text: str) -> list[NamedFile]:
    """Return the files of a page's walk in order; empty for a page without one."""
    walk = text.partition(HEADING)[2].partition("\n## ")[0]
    return [
        NamedFile(found["label"], found["path"], _read_names(walk, found.end()))
        for found in _LINK.finditer(walk)
    ]


def _read_names(text: str, start: int) -> tuple[str, ...]:
    """Return the names in backticks that follow with nothing but blanks and commas between them."""
    found = _NAMES.match(text, start)
    return tuple(_NAME.findall(found[0])) if found else ()


def read_page(name: str) -> list[NamedFile]:
    """Return the walk of a page of docs/explanation."""
    return read_walk((EXPLANATION / f"{name}.md").read_text(encoding="utf-8"))


def list_definitions(path: Path) -> set[str]:
    """Return the qualified name of every function of a file, methods as `Class.method`."""
    found: set[str] = set()

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + child.name)
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


def find_missing(walk: list[NamedFile]) -> list[str]:
    """Return the files of a walk that do not exist, and the functions that are not in theirs."""
    missing = []
    for named in walk:
        path = ROOT / named.path
        if not path.is_file() or path.name != named.label:
            missing.append(named.path)
            continue
        defined = list_definitions(path)
        missing += [f"{named.path} {name}" for name in named.names if name not in defined]
        if not named.names and named.path not in IN_A_CHILD_PROCESS:
            missing.append(f"{named.path}: no function")
    return missing


def find_disorder(walk: list[NamedFile], calls: Mapping[CallKey, int]) -> list[str]:
    """Return each function that was not called, or was called before the one named before it."""
    wrong, last = [], -1
    for named in walk:
        for name in named.names:
            at = calls.get((named.path, name))
            if at is None:
                wrong.append(f"{named.path} {name} was not called")
            elif at < last:
                wrong.append(f"{named.path} {name} was called earlier")
            else:
                last = at
    return wrong


@dataclass
class CallRecorder:
    """The first call of each function of the product, in order, in all threads begun meanwhile."""

    calls: dict[CallKey, int] = field(default_factory=dict)
    _paths: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record for the length of the block."""
        threading.setprofile(self._record)
        sys.setprofile(self._record)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    async def record_walk(
        self, name: str, drive: Callable[[], Awaitable[object]]
    ) -> dict[CallKey, int]:
        """Drive a walk from its beginning; return its calls once every named function had one."""
        self.calls.clear()
        await drive()
        wanted = {(named.path, function) for named in read_page(name) for function in named.names}
        with contextlib.suppress(TimeoutError):  # the test then says which was not called
            async with asyncio.timeout(_SECONDS):
                # A call in another thread sets no event.
                while not wanted <= self.calls.keys():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        return dict(self.calls)

    def _record(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and (path := self._locate(frame.f_code.co_filename)):
            self.calls.setdefault((path, frame.f_code.co_qualname), len(self.calls))

    def _locate(self, filename: str) -> str:
        """Return a file's path from the root; empty for one that is no part of the product."""
        found = self._paths.get(filename)
        if found is None:
            path = Path(filename)
            parts = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else ("",)
            found = self._paths[filename] = "/".join(parts) if parts[0] in PACKAGES else ""
        return found


async def record_walks(folder: Path) -> dict[str, dict[CallKey, int]]:
    """Return the first calls of each walk, driven one after the other in one daemon."""
    rule_folder = folder / "rules.d"
    rule_folder.mkdir()
    settings = build_settings(folder / "state")
    settings = msgspec.structs.replace(settings, rules=RulesSettings(dir=str(rule_folder)))
    event = {"at": 0.1, "do": "write", "contact": BETO, "text": "BAJA"}
    write_session_script(settings.state_dir, "soporte", IMMEDIATE_SCRIPT | {"line": [event]})
    recorder, calls = CallRecorder(), {}
    with recorder.recording():
        async with open_http_server(settings) as server:
            api = server.control
            for phone in (ANA, BETO):
                await add_validated_prospect(api, phone)
            drives: Mapping[str, Callable[[], Awaitable[object]]] = {
                "a-qr": partial(link_phone, api, "ventas"),
                "a-message": partial(send_message, api),
                "an-inbound": partial(link_phone, api, "soporte"),
                "a-rule-file": partial(save_rule_file, rule_folder),
            }
            for name, drive in drives.items():
                calls[name] = await recorder.record_walk(name, drive)
    return calls


async def add_validated_prospect(api: HttpClient, phone: str) -> None:
    """Enter a person who agreed to be written to, and whose number works."""
    entry: dict[str, Any] = {"phone": phone, "cartera_origen": "feria", "permission": "opted_in"}
    made = (await api.post("/v1/prospects", **entry, statement="ticked the box")).document
    await api.post(f"/v1/prospects/{made['id']}/validate", validated=True, reason="I called them")


async def link_phone(api: HttpClient, name: str) -> None:
    """Start a session while its pairing is followed, and wait until it is ready."""
    await api.post("/v1/sessions", name=name, channel="simulated")
    await read_lines_until(
        api,
        f"/v1/sessions/{name}/pairing",
        is_ready_line,
        lambda: api.post(f"/v1/sessions/{name}/start"),
    )


async def send_message(api: HttpClient) -> None:
    """Ask for a message."""
    reply = await api.post("/v1/messages", to=ANA, text="Hola Ana", session="ventas")
    assert reply.status == 202, reply.document


async def save_rule_file(folder: Path) -> None:
    """Save a rule file of the operator's."""
    (folder / "gate.yaml").write_text(RULE_FILE, encoding="utf-8")


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[CallKey, int]]:
    """The first calls of each walk."""
    return asyncio.run(record_walks(tmp_path_factory.mktemp("walks")))


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_names_files_and_functions_that_exist(name: str) -> None:
    """Each file is there, and each function beside it is in it."""
    walk = read_page(name)
    assert len(walk) > len(PACKAGES)
    assert find_missing(walk) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WALKS)
def test_a_walk_is_in_the_order_of_a_real_run(
    name: str, calls: dict[str, dict[CallKey, int]]
) -> None:
    """From the first file to the last: nothing named later was called earlier."""
    assert find_disorder(read_page(name), calls[name]) == []


def test_every_page_with_a_walk_is_checked() -> None:
    """A fifth walk is driven here too."""
    pages = {path.stem for path in EXPLANATION.glob("*.md") if HEADING in path.read_text("utf-8")}
    assert pages == set(WALKS)


@pytest.mark.parametrize(
    ("right", "wrong", "missing"),
    [
        ("/outbox/release.py)", "/outbox/gone.py)", "daemon/outbox/gone.py"),
        ("[release.py]", "[sender.py]", "daemon/outbox/release.py"),
        ("`Gate.evaluate`", "`Gate.judge`", "daemon/gate/gate.py Gate.judge"),
        (" `Release.commit`", "", "daemon/outbox/release.py: no function"),
    ],
)
def test_a_name_that_is_wrong_is_noticed(right: str, wrong: str, missing: str) -> None:
    """A file that is gone, one under another's name, another function, and no function at all."""
    text = (EXPLANATION / "a-message.md").read_text(encoding="utf-8")
    assert text.count(right) == 1
    assert find_missing(read_walk(text.replace(right, wrong))) == [missing]


@pytest.mark.slow
@pytest.mark.parametrize("name", WALKS)
def test_two_steps_that_are_exchanged_are_noticed(
    name: str, calls: dict[str, dict[CallKey, int]]
) -> None:
    """Any two neighbours, in each walk."""
    walk = [named for named in read_page(name) if named.names]
    for step in range(len(walk) - 1):
        exchanged = [*walk[:step], walk[step + 1], walk[step], *walk[step + 2 :]]
        assert find_disorder(exchanged, calls[name]) != [], walk[step]


@pytest.mark.slow
def test_a_step_that_no_run_takes_is_noticed(calls: dict[str, dict[CallKey, int]]) -> None:
    """It exists, and is no part of this walk."""
    walk = [*read_page("a-message"), NamedFile("halt.py", "daemon/outbox/halt.py", ("Halt.halt",))]
    assert find_disorder(walk, calls["a-message"]) == [
        "daemon/outbox/halt.py Halt.halt was not called"
    ]
