"""Plant each fault of `mutants.toml` in a tree, run the tests that should notice, and put it back.

    python tools/run_mutants.py --tree DIR [--only ID,...] [--report FILE] [--find]

A fault is found by the text of its anchor, in any file of the product; white space and a comma
before a closing bracket make no difference. After a change of names, `--find` shows in a few
seconds which faults have to be rewritten. Do not edit the tree while it runs: each file is
restored to its content before the fault.
Exit code 1: a fault survived, or could not be planted. 2: the tests fail without any.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import keyword
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

KILLED, SURVIVED, FOUND = "killed", "survived", "found"
UNPLANTED, BROKEN = "anchor not found", "broken"
_WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_FAILURE = re.compile(r"^(?:FAILED|ERROR) (?P<what>.+)$", re.MULTILINE)
_STUMBLE = re.compile(r"^E +(?:NameError|ImportError|ModuleNotFoundError)\b", re.MULTILINE)
_KNOWN_EVERYWHERE = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins)})


class MutantNotPlanted(Exception):
    """A fault can't be planted; the text says why."""

    def __init__(self, why: str, fate: str = BROKEN) -> None:
        super().__init__(why)
        self.fate = fate


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: what it breaks, the text to replace, and the tests that should notice."""

    id: str
    breaks: str
    anchor: str
    replacement: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a fault: file, line, and the file's text with the fault in it."""

    path: Path
    line: int
    text: str


class SourceTree:
    """A checkout: its source files, its tests, its interpreter."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        project = tomllib.loads((self.root / "pyproject.toml").read_text(encoding="utf-8"))
        packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        files = [file for name in packages for file in (self.root / name).rglob("*.py")]
        self._texts = {file: file.read_text(encoding="utf-8") for file in sorted(files)}
        self._tests = sorted((self.root / "tests").rglob("test_*.py"))
        self._compiled = tempfile.TemporaryDirectory(prefix="mutants-")

    def close(self) -> None:
        """Remove the bytecode of the runs."""
        self._compiled.cleanup()

    def find_place(self, mutant: Mutant) -> Place:
        """Return the place of a fault; raise :class:`MutantNotPlanted` unless there is one."""
        places = self._places(mutant.anchor, mutant.replacement)
        if len(places) != 1:
            raise MutantNotPlanted(f"it stands {len(places)} times in the product", UNPLANTED)
        require_sound(self._texts[places[0].path], places[0].text)
        return places[0]

    def find_tests(self, mutant: Mutant) -> list[str]:
        """Return the paths of a fault's tests; raise :class:`MutantNotPlanted` without them."""
        found = []
        for given in mutant.tests:
            name, _, test = given.partition("::")
            wanted = Path(name).parts
            paths = [path for path in self._tests if path.parts[-len(wanted) :] == wanted]
            if len(paths) != 1:
                raise MutantNotPlanted(f"{len(paths)} files below tests/ are called {name}")
            if test and f"def {test}(" not in paths[0].read_text(encoding="utf-8"):
                raise MutantNotPlanted(f"there is no test {given}")
            path = paths[0].relative_to(self.root).as_posix()
            found.append(f"{path}::{test}" if test else path)
        return found

    def run(self, tests: Sequence[str], limit: float) -> tuple[int | None, str]:
        """Run tests up to the first failure; return exit code (None: out of time) and output."""
        python = str(self.root / ".venv" / "bin" / "python")
        command = [python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        # Apart from the tree's own: a fault of the same size and time would be served from there.
        apart = {"PYTHONPYCACHEPREFIX": self._compiled.name, "PYTHONDONTWRITEBYTECODE": ""}
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env={**os.environ, **apart, "COLUMNS": "200", "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = _wait_or_kill(process, limit)
            output.seek(0)
            return code, output.read().decode(errors="replace")

    def _places(self, anchor: str, replacement: str) -> list[Place]:
        wanted = compile_anchor(anchor)
        return [
            _build_place(path, text, match, replacement)
            for path, text in self._texts.items()
            for match in wanted.finditer(text)
        ]


def compile_anchor(anchor: str) -> re.Pattern[str]:
    """Return a pattern that finds an anchor in any layout of the formatter."""
    words = _WORD_OR_MARK.findall(re.sub(r",\s*([)\]}])", r"\1", anchor))
    parts = [r"\b" if words[0][0].isalnum() else "", re.escape(words[0])]
    for before, word in pairwise(words):
        gap = r"\s+" if before[-1].isalnum() and word[0].isalnum() else r"\s*"
        comma = r"(?:,\s*)?" if word in {")", "]", "}"} else ""
        parts.append(gap + comma + re.escape(word))
    return re.compile("".join(parts) + (r"\b" if words[-1][-1].isalnum() else ""))


def _build_place(path: Path, text: str, match: re.Match[str], replacement: str) -> Place:
    """Return the place of a match, with the replacement indented as its line is."""
    before, after = text[: match.start()], text[match.end() :]
    line = before.rpartition("\n")[2]
    margin = line[: len(line) - len(line.lstrip())]
    deep = textwrap.dedent(replacement).strip("\n").replace("\n", f"\n{margin}")
    return Place(path, before.count("\n") + 1, before + deep + after)


def require_sound(before: str, after: str) -> None:
    """Raise :class:`MutantNotPlanted` for a fault that breaks syntax or names an unknown thing."""
    # Any test would notice such a fault, which says nothing about the tests.
    try:
        tree = ast.parse(after)
    except SyntaxError as error:
        raise MutantNotPlanted(f"with the replacement it is no Python: {error}") from error
    unknown = set(_list_names(tree)) - set(_NAME.findall(before)) - _KNOWN_EVERYWHERE
    if unknown or before == after:
        raise MutantNotPlanted(f"the file does not know {sorted(unknown)}, or nothing changes")


def _list_names(tree: ast.AST) -> Iterator[str]:
    """Yield the names, attributes and keywords in code, without its texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name


def _wait_or_kill(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """Return a process's exit code, or None after killing it and its children at the limit."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            # The whole group: tests start daemons and browsers of their own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def hold_mutant(place: Place) -> Iterator[None]:
    """Write a fault into its file for the length of the block; then restore content and times."""
    content, stat = place.path.read_bytes(), place.path.stat()
    try:
        place.path.write_text(place.text, encoding="utf-8")
        yield
    finally:
        place.path.write_bytes(content)
        # With its times, by which Python decides whether its bytecode is still good.
        os.utime(place.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def try_mutant(tree: SourceTree, mutant: Mutant, limit: float, *, find: bool) -> tuple[str, str]:
    """Plant one fault and run its tests, or only find it; return the outcome and a report line."""
    where, begun = "-", time.monotonic()
    try:
        place, tests = tree.find_place(mutant), tree.find_tests(mutant)
        where = f"{place.path.relative_to(tree.root)}:{place.line}"
        fate, why = FOUND, ""
        if not find:
            with hold_mutant(place):
                fate, why = read_verdict(*tree.run(tests, limit))
    except MutantNotPlanted as error:
        fate, why = error.fate, str(error)
    took = f"{time.monotonic() - begun:.1f} s"
    return fate, f"{mutant.id:<37} {where:<36} {fate:<16} {took:>7}  {why}".rstrip()


def read_verdict(code: int | None, output: str) -> tuple[str, str]:
    """Return the outcome of a run, and the test that noticed the fault."""
    if code is None:
        return KILLED, "out of time"
    if code == 0:
        return SURVIVED, ""
    failure = _FAILURE.search(output)
    what = " ".join(failure["what"].split())[:150] if failure else f"exit code {code}"
    # Noticed by a test, and not by a module that can no longer be imported.
    return KILLED if "::" in what and not _STUMBLE.search(output) else BROKEN, what


def read_mutants(path: Path, only: str) -> list[Mutant]:
    """Return the faults of a file, or only those with the given ids."""
    written = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    every = [Mutant(**{**each, "tests": tuple(each["tests"])}) for each in written]
    ids = {each.id for each in every}
    wanted = set(only.split(",")) if only else ids
    if len(ids) < len(every) or wanted - ids:
        raise SystemExit(f"{path}: an id stands there twice, or not at all: {wanted - ids}")
    return [each for each in every if each.id in wanted]


def passes_unmutated(tree: SourceTree, mutants: Sequence[Mutant], limit: float) -> bool:
    """Return whether all tests pass without a fault; only then does a failure mean anything."""
    tests: dict[str, None] = {}
    for mutant in mutants:
        try:
            tests |= dict.fromkeys(tree.find_tests(mutant))
        except MutantNotPlanted:
            continue  # its own line of the report says so
    code, output = tree.run(list(tests), limit)
    sys.stdout.write(output[-4000:] if code != 0 else "")
    return code == 0


def parse_arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    here = Path(__file__).with_name("mutants.toml")
    parser.add_argument("--tree", type=Path, required=True, help="the checkout, with its .venv")
    parser.add_argument("--mutants", type=Path, default=here, help="the faults")
    parser.add_argument("--only", default="", help="their ids, with commas between")
    parser.add_argument("--report", type=Path, help="where the lines go, beside the screen")
    parser.add_argument("--find", action="store_true", help="look for the anchors; plant nothing")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds for one fault's tests")
    return parser.parse_args()


def try_all(tree: SourceTree, mutants: Sequence[Mutant], asked: argparse.Namespace) -> int:
    """Try every fault and print a report; return the exit code."""
    begun, lines = time.monotonic(), list[str]()

    def report(line: str) -> None:
        lines.append(line)
        print(line, flush=True)
        if asked.report:
            asked.report.write_text("\n".join(lines) + "\n", encoding="utf-8")

    if not asked.find:
        if not passes_unmutated(tree, mutants, asked.limit * 10):
            report("The tests fail without any fault: nothing was planted.")
            return 2
        report(f"# The tests pass without a fault, in {time.monotonic() - begun:.0f} s.")
    counts: Counter[str] = Counter()
    for mutant in mutants:
        fate, line = try_mutant(tree, mutant, asked.limit, find=asked.find)
        counts[fate] += 1
        report(line)
    totals = ", ".join(f"{count} {fate}" for fate, count in counts.most_common())
    report(f"# {len(mutants)} faults: {totals}; {time.monotonic() - begun:.0f} s in all.")
    return 0 if set(counts) <= {KILLED, FOUND} else 1


def main() -> int:
    """Parse the command line and try every fault; return the exit code."""
    # As an exception, so that the file with the present fault is restored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = parse_arguments()
    with closing(SourceTree(asked.tree)) as tree:
        return try_all(tree, read_mutants(asked.mutants, asked.only), asked)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; the file is as it was.")
