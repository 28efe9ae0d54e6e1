"""Compare the tests of an older commit, read through a map of renames, with the tests of today.

`python tools/compare_tests.py COMMIT [tools/renames.toml]` prints which tests differ in more than
names, which are gone and which are new, and how many assertions there were and are. It ends with 1
where a test or an assertion is missing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
Function = ast.FunctionDef | ast.AsyncFunctionDef
IDENTIFIERS = frozenset({"id", "attr", "arg", "name", "asname", "module"})
"""Fields of a syntax tree that hold a name."""


@dataclass
class Renames:
    """The map of renames: old modules, names and words, each with its new ones."""

    modules: dict[str, str]
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def load(cls, path: Path) -> Renames:
        """Read the map: modules, names (`module:Class.member`), and words of data."""
        return cls.from_document(tomllib.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Renames:
        """Build the map from its tables."""
        found = cls(document.get("modules", {}))
        for old, new in (document.get("names", {}) | document.get("public", {})).items():
            last = re.split(r"[:.(]", old.rstrip(")"))[-1]
            found.names[last].update(new if isinstance(new, list) else [new])
        for old, new in (found.modules | document.get("moves", {})).items():
            found.names[old.partition(":")[0].rpartition(".")[2]].add(new.rpartition(".")[2])
        for old, new in document.get("words", {}).items():
            found.words[old].update(new if isinstance(new, list) else [new])
        return found

    def same_name(self, old: object, new: object) -> bool:
        """Return whether a new name is the old one, or its rename."""
        return old == new or new in self.names.get(str(old), ())

    def same_text(self, old: object, new: object) -> bool:
        """Return whether two literals are the same but for renamed words in them."""
        if old == new:
            return True
        if not (isinstance(old, str) and isinstance(new, str)):
            return False
        before, after = re.split(r"(\W+)", old), re.split(r"(\W+)", new)
        if len(before) == len(after) and all(map(self.same_word, before, after)):
            return True
        return new in self.words.get(old, ()) or self.through_modules(old) == new

    def same_word(self, old: str, new: str) -> bool:
        """Return whether one word of a literal is the same, or renamed."""
        return self.same_name(old, new) or new in self.words.get(old, ())

    def through_modules(self, text: str) -> str:
        """Return a text with the names and paths of moved modules replaced."""
        # The longest first: a package's name is the beginning of its modules'.
        for old in sorted(self.modules, key=len, reverse=True):
            text = text.replace(old, self.modules[old])
            text = text.replace(old.replace(".", "/"), self.modules[old].replace(".", "/"))
        return text


@dataclass(frozen=True)
class Test:
    """A test function and its file."""

    file: str
    name: str
    tree: Function


def parse_tests(file: str, text: str) -> Iterator[Test]:
    """Yield the tests of a file, those in classes too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function) and node.name.startswith("test"):
            yield Test(file, node.name, node)


def list_tests_at(commit: str) -> Iterator[Test]:
    """Yield the tests of a commit."""
    listed = run_git("ls-tree", "-r", "--name-only", commit, "tests")
    for file in listed.splitlines():
        if file.endswith(".py"):
            yield from parse_tests(file, run_git("show", f"{commit}:{file}"))


def list_tests_now() -> Iterator[Test]:
    """Yield the tests of the work tree."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        yield from parse_tests(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def run_git(*arguments: str) -> str:
    """Return what git prints."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def find_differences(old: object, new: object, renames: Renames, name: str = "") -> Iterator[str]:
    """Yield each smallest part of two syntax trees that differs in more than renames."""
    if isinstance(old, ast.AST) and isinstance(new, ast.AST):
        if type(old) is not type(new):
            yield f"{format_node(old)}  ->  {format_node(new)}"
            return
        for part, before in ast.iter_fields(old):
            # These follow from the rest of the tree, or are spelling.
            if part not in {"ctx", "type_comment", "kind"}:
                yield from find_differences(before, getattr(new, part), renames, part)
    elif isinstance(old, list) and isinstance(new, list):
        yield from find_list_differences(old, new, renames, name)
    elif not (renames.same_name(old, new) if name in IDENTIFIERS else renames.same_text(old, new)):
        yield f"{old!r}  ->  {new!r}"


def find_list_differences(
    old: list[object], new: list[object], renames: Renames, name: str
) -> Iterator[str]:
    """Yield the differences of two lists: pair by pair, or as removed and added parts."""
    if len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            yield from find_differences(before, after, renames, name)
        return
    kept = [part for part in new if any(is_equal(part, other, renames) for other in old)]
    gone = [part for part in old if not any(is_equal(other, part, renames) for other in new)]
    for part in gone:
        yield f"- {format_node(part)}"
    for part in new:
        if part not in kept:
            yield f"+ {format_node(part)}"


def is_equal(new: object, old: object, renames: Renames) -> bool:
    """Return whether two parts differ in renamed names at most."""
    return next(find_differences(old, new, renames), None) is None


def format_node(part: object) -> str:
    """Return a part of a syntax tree as one line of code."""
    text = ast.unparse(part) if isinstance(part, ast.AST) else repr(part)
    return " ".join(text.split())


def count_assertions(tests: list[Test]) -> int:
    """Count the `assert` statements in tests."""
    return sum(isinstance(node, ast.Assert) for test in tests for node in ast.walk(test.tree))


def pair_tests(
    old: list[Test], new: list[Test], renames: Renames
) -> list[tuple[Test, Test | None]]:
    """Pair each old test with the most similar new one of its name, or with None."""
    left = list(new)
    pairs: list[tuple[Test, Test | None]] = []
    for test in old:
        named = [other for other in left if renames.same_name(test.name, other.name)]
        best = min(
            named,
            key=lambda other: sum(1 for _ in find_differences(test.tree, other.tree, renames)),
            default=None,
        )
        if best is not None:
            # Several tests may have one name, in different files: each is used once.
            left.remove(best)
        pairs.append((test, best))
    return pairs


def main(commit: str, path: Path) -> int:
    """Print the comparison; return 1 where something is missing."""
    renames = Renames.load(path)
    old, new = list(list_tests_at(commit)), list(list_tests_now())
    pairs = pair_tests(old, new, renames)
    changed = 0
    for test, other in pairs:
        if other is None:
            print(f"gone: {test.file}: {test.name}")
            continue
        found = list(find_differences(test.tree, other.tree, renames))
        changed += bool(found)
        if found:
            print(f"changed: {other.file}: {test.name}")
            print("".join(f"    {line}\n" for line in found), end="")
    known = {id(other) for _, other in pairs}
    added = [test for test in new if id(test) not in known]
    for test in added:
        print(f"new: {test.file}: {test.name}")
    gone = sum(other is None for _, other in pairs)
    print(
        f"{len(old)} tests with {count_assertions(old)} assertions before; "
        f"{len(new)} with {count_assertions(new)} now; "
        f"{len(old) - gone - changed} the same but for names, {changed} changed, "
        f"{gone} gone, {len(added)} new"
    )
    return int(gone > 0 or count_assertions(new) < count_assertions(old))


if __name__ == "__main__":
    COMMIT, *REST = sys.argv[1:]
    sys.exit(main(COMMIT, Path(REST[0]) if REST else ROOT / "tools" / "renames.toml"))
