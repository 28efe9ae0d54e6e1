"""The layout of the tests: they mirror the product, share four harnesses, and stand alone."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
HELPERS = TESTS / "helpers"
MIRRORED = ("daemon", "rules", "statemachines", "storage", "tools")
HARNESSES = {"services", "transport.py", "client", "clock.py"}
"""What stands around the product in a test: its services, a channel, who asks it, and the time."""
AIDS = {
    "backups.py",
    "engines.py",
    "hypothesis_profiles.py",
    "leaks.py",
    "machine_walks.py",
    "nginx.py",
    "page_language.py",
    "plugins.py",
    "process_limits.py",
    "puppet_channel.py",
    "programs",
    "receivers.py",
    "rule_texts.py",
    "signals.py",
    "terminal.py",
    "workbooks.py",
    "worker_unit.py",
}
"""What is no harness: texts, names, walks, limits, watchers, and programs that tests start."""


def list_imports(path: Path) -> set[str]:
    """Return the modules that a file imports, and what it takes from packages."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module or ''}.{alias.name}" for alias in node.names} | (
                {node.module} if node.module else set()
            )
    return names


def is_test_module(name: str) -> bool:
    """Tell whether a dotted name leads to a test module or a conftest, or into one."""
    package, *parts = name.split(".")
    return package in {"tests", "conftest"} and any(
        part == "conftest" or part.startswith("test_") for part in (package, *parts)
    )


def test_no_test_module_imports_another() -> None:
    """What two of them need is a helper; a fixture of a conftest comes by itself."""
    paths = [path for path in TESTS.rglob("*.py") if path.is_file()]
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in list_imports(path)
        if is_test_module(name)
    }
    assert found == set()
    assert is_test_module("tests.daemon.cli.conftest.folder")
    assert is_test_module("tests.daemon.cli.test_cli")


def test_the_tests_mirror_the_product() -> None:
    """Each folder of tests of a package is a folder of that package."""
    strays = [
        folder.relative_to(TESTS).as_posix()
        for package in MIRRORED
        for folder in (TESTS / package).rglob("*")
        if folder.is_dir()
        and any(folder.glob("*.py"))
        and not (ROOT / folder.relative_to(TESTS)).is_dir()
    ]
    assert strays == []


def test_there_are_four_harnesses() -> None:
    """A fifth would be another way to say what one of them says."""
    found = {path.name for path in HELPERS.iterdir() if not path.name.startswith("__")}
    assert found == HARNESSES | AIDS
    assert len(HARNESSES) == 4


def test_no_two_test_modules_have_one_name() -> None:
    """A name in a report leads to one file."""
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
