"""Sentences for people name no class: a person reads what happened, the log has the error."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ("daemon", "rules", "statemachines", "storage")
NOT_FOR_PEOPLE: Final = {
    "daemon/worker_protocol.py": "the log of the parent process",
    "daemon/logs/processors.py": "the log",
    "daemon/conformance/closing.py": "who writes a channel: the error that it raised",
    "daemon/conformance/reporting.py": "who writes a channel: the signals that it reported",
    "daemon/conformance/suite.py": "who writes a channel: the error that it raised",
    "daemon/linked_worker/protocol.py": "a defect of ours, told in a traceback",
    "daemon/linked_worker/neonize_driver/driver.py": "the log",
    "daemon/linked_worker/neonize_driver/library.py": "who installs: the error of the library",
    "daemon/plugins/transport_linked/worker_client.py": "the log",
    "daemon/sessions/signal_check.py": "who writes a channel: the port's own signal and field",
    "daemon/http/bodies.py": "a repr",
    "daemon/http/openapi/document.py": "a pattern for names of components",
    "statemachines/machine.py": "a defect of ours, told in a traceback",
    "storage/column_formats.py": "a defect of ours, told in a traceback",
}
"""Files that write a class's name into a text, and who reads it."""


def list_trees(packages: Iterable[str] = PRODUCT) -> Iterator[tuple[str, ast.Module]]:
    """Yield each file of these packages, by its path from the root."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def names_a_class(node: ast.AST) -> bool:
    """Tell whether a formatted text has `….__name__` in it."""
    return isinstance(node, ast.JoinedStr) and any(
        isinstance(part, ast.Attribute) and part.attr in {"__name__", "__qualname__"}
        for part in ast.walk(node)
    )


def test_no_sentence_names_a_class() -> None:
    """`IntegrityError` tells a person nothing; the name of an error belongs in the log."""
    found = {path for path, tree in list_trees() if any(map(names_a_class, ast.walk(tree)))}
    assert found == set(NOT_FOR_PEOPLE)


PLAIN_PACKAGES: Final = (
    "daemon/api",
    "daemon/auth",
    "daemon/backtest",
    "daemon/cli",
    "daemon/conformance",
    "daemon/contacts",
    "daemon/demo",
    "daemon/gate",
    "daemon/http",
    "daemon/linked_worker",
    "daemon/linked_worker",
    "daemon/logs",
    "daemon/outbox",
    "daemon/plugins",
    "daemon/rulesets",
    "daemon/sessions",
    "rules",
    "statemachines",
    "storage",
)
"""Packages whose docstrings are in plain English; each of the others joins when it is."""
PLAIN_BESIDE: Final = ("clients/python/src", "tests/helpers", "tools")
"""Packages outside the product, in plain English too."""
PLAIN_FOLDERS: Final = ("daemon",)
"""Folders of which only the files themselves are checked, without the packages in them."""
DIALECT: Final = re.compile(
    r"\b(told|tells|hears?|heard|stands?|stood|greets?|speaks?|owes|owed|whoever|whom(ever)?|anew"
    r"|wakes up (its|his|their)|(its|his|their|'s) words?|kept back|a look)\b"
    r"|\b(asks|tells|calls) (itself|himself)\b",
    re.IGNORECASE,
)
"""Words that make code a person, or a sentence a riddle."""


def list_docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield each text that stands as a statement, with its line: also those below a field."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def is_plain(path: str) -> bool:
    """Return whether a file is among those whose docstrings must be in plain English."""
    packages = tuple(f"{package}/" for package in (*PLAIN_PACKAGES, *PLAIN_BESIDE))
    return path.startswith(packages) or path.rpartition("/")[0] in PLAIN_FOLDERS


def test_docstrings_are_plain_english() -> None:
    """Code is not told, hears nothing and does not stand: a docstring says what a thing does."""
    found = [
        f"{path}:{line}: {word[0]}"
        for path, tree in list_trees((*PRODUCT, *PLAIN_BESIDE))
        if is_plain(path)
        for line, text in list_docstrings(tree)
        for word in DIALECT.finditer(text)
    ]
    assert found == []
