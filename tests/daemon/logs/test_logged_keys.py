"""No log call of the product passes a value that its own key keeps out of the log."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon.logs.processors import SECRET_KEYS

ROOT: Final = Path(__file__).parents[3]
PRODUCT: Final = ("daemon", "rules", "statemachines", "storage")
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical", "exception"})

IS_LOG: Final = re.compile(r"(^|[._])log(ger)?$|get_?logger\(", re.IGNORECASE)


def list_log_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield each call of a logger: of `log`, of `self._log`, of what `get_logger` returns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_log = IS_LOG.search(ast.unparse(node.func.value))
            if of_log and node.func.attr in {*LEVELS, "bind"}:
                yield node


def list_keys(call: ast.Call) -> Iterator[str]:
    """Yield the keys under which a call logs, those of mappings in it too."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        for node in ast.walk(keyword.value):
            if isinstance(node, ast.Dict):
                yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def list_dropped_keys(source: str) -> tuple[int, list[str]]:
    """Return how many log calls a source has, and what the log drops of them by its key."""
    calls = list(list_log_calls(ast.parse(source)))
    keys = [f"{ast.unparse(call)}: {key}" for call in calls for key in list_keys(call)]
    return len(calls), [each for each in keys if each.rpartition(" ")[2] in SECRET_KEYS]


def test_what_is_logged_is_not_dropped_by_its_key() -> None:
    """An error's code goes under `error_code`: `code` is what pairs a phone, and says nothing."""
    found = {
        str(path.relative_to(ROOT)): list_dropped_keys(path.read_text(encoding="utf-8"))
        for package in PRODUCT
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    assert sum(count for count, _ in found.values()) > 80
    assert {path: dropped for path, (_, dropped) in found.items() if dropped} == {}


def test_each_form_of_a_log_call_is_seen() -> None:
    """Ours, one of an object's own logger, one that is not kept, and what stands deeper."""
    source = """
log.error("a", code=1)
self._log.bind(token=1)
structlog.get_logger("b.c").warning("b", about={"qr": 1}, fine=2)
catalogue.error("no line of a log", code=1)
"""
    count, dropped = list_dropped_keys(source)
    assert count == 3
    assert [each.rpartition(" ")[2] for each in dropped] == ["code", "token", "qr"]
