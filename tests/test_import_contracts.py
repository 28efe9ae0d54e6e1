"""Each import contract holds, and is seen to break on a planted import."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = ("daemon", "rules", "statemachines", "storage")
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "importlinter"
]
CONTRACTS = [contract["name"] for contract in CONFIG["contracts"]]

ROOMS = "rooms: the daemon sees rules, storage and statemachines; none of them sees it"
LAYERS = "daemon: calls go down"
PLUGIN_VIEW = "plugins: a built-in plugin sees daemon.api and nothing else of LeadMaster"
PLUGIN_DOOR = "plugins: nobody imports a plugin, they come by entry point"
PURITY = "purity: rules and statemachines do no input or output"
SQL = "sql: storage alone speaks SQL"
ENGINE = "engine: rules.engine alone imports durable-rules"
HOST = "engine: nobody imports durable's own host"
LEAF = "leaf: the worker protocol sees nothing else of LeadMaster"
HOOKS = "hooks: pluggy is touched by its manager, and for the markers"
WORKER_VIEW = "linked worker: it sees daemon.api and the worker protocol, as any package would"
WORKER_DOOR = "linked worker: of it, its plugin alone knows the protocol"
LIBRARY = "linked device: its driver alone names the library, and never the daemon itself"
ALERTS = "alerts: the program that tells people alone knows the addresses"
TOOLS = "tools: what writes pages and plants faults is no part of the product"

PLANTED = [
    (ROOMS, "storage/column_formats.py", "import daemon.errors"),
    (ROOMS, "storage/column_formats.py", "import rules.verdict"),
    (ROOMS, "rules/verdict.py", "import storage.column_formats"),
    (ROOMS, "statemachines/machine.py", "import storage.column_formats"),
    (ROOMS, "statemachines/machine.py", "import rules.verdict"),
    (LAYERS, "daemon/errors.py", "import daemon.settings"),
    (LAYERS, "daemon/bus.py", "import daemon.hookspecs"),
    (LAYERS, "daemon/services.py", "import daemon.http.server"),
    (LAYERS, "daemon/scheduler.py", "import daemon.bootstrap"),
    (LAYERS, "daemon/outbox/halt.py", "import daemon.services"),
    (LAYERS, "daemon/stray.py", "import daemon.errors"),
    (LAYERS, "daemon/plugins/planted.py", "import daemon.bus"),
    (LAYERS, "daemon/worker_protocol.py", "import daemon.errors"),
    (LEAF, "daemon/worker_protocol.py", "import statemachines.machine"),
    (PLUGIN_VIEW, "daemon/plugins/planted.py", "import daemon.settings"),
    (PLUGIN_VIEW, "daemon/plugins/planted.py", "import storage.column_formats"),
    (PLUGIN_DOOR, "daemon/bus.py", "import daemon.plugins"),
    (ALERTS, "daemon/alerts/service.py", "import daemon.alerts.targets"),
    (PURITY, "rules/verdict.py", "import asyncio"),
    (PURITY, "statemachines/machine.py", "import aiohttp"),
    (PURITY, "rules/verdict.py", "import sqlite3"),
    (SQL, "daemon/bus.py", "import sqlite3"),
    (SQL, "daemon/bus.py", "import sqlite_utils"),
    (ENGINE, "rules/verdict.py", "import durable_rules_engine"),
    (HOST, "rules/engine.py", "import durable.lang"),
    (HOOKS, "daemon/bus.py", "from pluggy import PluginManager"),
    (WORKER_VIEW, "daemon/linked_worker/driver.py", "import daemon.subprocesses"),
    (WORKER_VIEW, "daemon/linked_worker/driver.py", "import storage.column_formats"),
    (WORKER_DOOR, "daemon/bus.py", "import daemon.linked_worker.protocol"),
    (LIBRARY, "daemon/plugins/transport_linked/transport.py", "import neonize"),
    (LIBRARY, "daemon/linked_worker/worker.py", "from neonize.client import NewClient"),
    (TOOLS, "daemon/bus.py", "import tools.rule_schemas"),
    (TOOLS, "storage/column_formats.py", "import tools.rule_schemas"),
]


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the packages and the contracts to a folder of their own."""
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def linted(source_tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter there."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=source_tree,
        env=os.environ | {"PYTHONPATH": str(source_tree), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def judged(source_tree: Path) -> dict[str, str]:
    """Run the linter there; return KEPT or BROKEN by the contract's name."""
    done = linted(source_tree)
    verdicts = {}
    for line in done.stdout.splitlines():
        name, _, verdict = line.strip().partition(" (")[0].rpartition(" ")
        if verdict in {"KEPT", "BROKEN"}:
            verdicts[name] = verdict
    assert verdicts, done.stdout + done.stderr
    return verdicts


def test_the_source_keeps_its_contracts(source_tree: Path) -> None:
    """As it stands, no import breaks a contract, and each contract was judged."""
    assert judged(source_tree) == dict.fromkeys(CONTRACTS, "KEPT")


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    source_tree: Path, contract: str, file: str, line: str
) -> None:
    """A contract that cannot break guards nothing."""
    path = source_tree / file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        assert judged(source_tree)[contract] == "BROKEN"
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


def test_every_contract_has_a_planted_import() -> None:
    """A new contract comes with the import that it must refuse."""
    assert {contract for contract, _, _ in PLANTED} == set(CONTRACTS)


@pytest.mark.parametrize(
    "named",
    [
        r'^(layers = \[\n    ")\w+',
        r'^(source_modules = \["(?:daemon|rules)\.)\w+',
        r'^(forbidden_modules = \["(?:daemon|rules)\.)\w+',
        r'^(protected_modules = \["(?:daemon|rules)\.)\w+',
        r'^(allowed_importers = \["(?:daemon|rules)\.)\w+',
        r'^(ignore_imports = \["(?:daemon|rules)\.)\w+',
    ],
    ids=lambda pattern: pattern[2:].partition(" ")[0],
)
def test_a_name_that_matches_nothing_any_more_is_an_error(source_tree: Path, named: str) -> None:
    """A module that was moved takes its contract along: what stays behind would guard nothing."""
    contracts = source_tree / "pyproject.toml"
    before = contracts.read_text(encoding="utf-8")
    stale, changed = re.subn(named, r"\1gone", before, count=1, flags=re.MULTILINE)
    assert changed == 1
    contracts.write_text(stale, encoding="utf-8")
    try:
        done = linted(source_tree)
        assert (done.returncode, "gone" in done.stdout + done.stderr) == (1, True)
    finally:
        contracts.write_text(before, encoding="utf-8")


def test_no_contract_forgives_a_name_that_matches_nothing() -> None:
    """By a setting, a wildcard, or a layer that may be missing: the linter would say nothing."""
    forgiving = [
        (contract["name"], key)
        for contract in CONFIG["contracts"]
        for key, value in contract.items()
        if key == "unmatched_ignore_imports_alerting"
        or (isinstance(value, list) and any(set("*()") & set(each) for each in value))
    ]
    assert forgiving == []


def test_every_importer_that_a_contract_allows_imports() -> None:
    """Who no longer needs leave no longer has it."""
    idle = [
        (contract["name"], importer)
        for contract in CONFIG["contracts"]
        for importer in contract.get("allowed_importers", ())
        if importer not in contract["protected_modules"]
        and not any(
            f"{name}.".startswith(f"{guarded}.")
            for guarded in contract["protected_modules"]
            for path in files_of(importer)
            for name in imported(path)
        )
    ]
    assert idle == []


def test_the_wheel_holds_the_product_alone() -> None:
    """Neither the tools nor the tests are installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [*PACKAGES]


def files_of(module: str) -> list[Path]:
    """Return the files of a module or package of LeadMaster."""
    place = ROOT.joinpath(*module.split("."))
    return (
        [place.with_suffix(".py")] if place.with_suffix(".py").exists() else [*place.rglob("*.py")]
    )


def test_a_strangers_plugin_needs_only_the_api() -> None:
    """The examples, read as source, import daemon.api and nothing else of LeadMaster."""
    source_tree = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "examples").rglob("*.py"))
        for name in imported(path)
        if name.split(".")[0] in PACKAGES and f"{name}.".removeprefix("daemon.api.") == f"{name}."
    }
    assert source_tree == set()


def test_the_worker_protocol_needs_msgspec_and_the_standard_library() -> None:
    """So that every child process, and a plugin's worker, may import it."""
    names = {name.split(".")[0] for name in imported(ROOT / "daemon" / "worker_protocol.py")}
    assert names - sys.stdlib_module_names == {"msgspec"}


def test_a_plugin_may_see_the_worker_protocol(source_tree: Path) -> None:
    """Whoever brings a transport with a process of its own speaks to it in the same frames."""
    planted = source_tree / "daemon" / "plugins" / "planted.py"
    planted.write_text("import daemon.worker_protocol\n", encoding="utf-8")
    try:
        assert judged(source_tree) == dict.fromkeys(CONTRACTS, "KEPT")
    finally:
        planted.unlink()


def test_only_the_manager_holds_pluggy_relay() -> None:
    """PluginManager is named in one file: every hook call passes through it."""
    named = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "daemon").rglob("*.py"))
        if "PluginManager" in path.read_text(encoding="utf-8")
    ]
    assert named == ["daemon/plugin_manager.py"]


def test_only_the_engine_names_durable_rules() -> None:
    """Loading it by name would pass the linter: the name itself stands in one file."""
    named = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "durable_rules_engine" in path.read_text(encoding="utf-8")
    ]
    assert named == ["rules/engine.py"]


def imported(path: Path) -> set[str]:
    """Return the absolute module names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names
