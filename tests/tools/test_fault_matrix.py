"""The matrix of faults names tests that exist, and has one for each fault and invariant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.fault_matrix import FAULTS, INVARIANTS, list_named_tests

ROOT = Path(__file__).parents[2]
NAMED = r"(?P<file>[\w/]+\.py)::(?P<test>\w+)(?:\[(?P<parameter>[\w@.-]+)\])?"


def list_words(tree: ast.Module) -> Iterator[str]:
    """Return the texts of a module: among them the parameters of its tests."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("named", list_named_tests())
def test_a_test_that_is_named_exists(named: str) -> None:
    """With its parameter, which is a word of its file or of the files beside it."""
    found = re.fullmatch(NAMED, named)
    assert found is not None
    path = ROOT / found["file"]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert found["test"] in {
        each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    if found["parameter"]:
        trees = [ast.parse(each.read_text(encoding="utf-8")) for each in path.parent.glob("*.py")]
        assert found["parameter"] in {word for each in trees for word in list_words(each)}


def test_each_fault_has_a_test_for_each_invariant() -> None:
    """No cell is empty."""
    for fault in FAULTS:
        for invariant in INVARIANTS:
            assert fault.list_tests(invariant), (fault.name, invariant)
