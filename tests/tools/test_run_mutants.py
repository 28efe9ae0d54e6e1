"""The script that plants faults: it finds an anchor however the code is laid out, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tools.run_mutants import (
    Mutant,
    MutantNotPlanted,
    SourceTree,
    compile_anchor,
    hold_mutant,
    read_mutants,
)

ROOT = Path(__file__).parents[2]

CODE = """
def decide(facts, rules):
    if facts.allowed:
        return rules.judge(
            facts,
            rules,
        )
    return None
"""
PYPROJECT = '[tool.hatch.build.targets.wheel]\npackages = ["product"]\n'


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[SourceTree]:
    """A checkout of one file and one test."""
    for folder in ("product", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / "product" / "gate.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "tests" / "test_gate.py").write_text("def test_it(): ...\n", encoding="utf-8")
    with closing(SourceTree(tmp_path)) as found:
        yield found


def build_mutant(anchor: str, replacement: str) -> Mutant:
    """Return a fault with the one test."""
    return Mutant("a", "It breaks.", anchor, replacement, ("test_gate.py::test_it",))


def test_an_anchor_is_found_in_whichever_layout() -> None:
    """White space and the comma of the formatter make no difference; half a word is no match."""
    assert compile_anchor("rules.judge(facts, rules)").search(CODE)
    assert compile_anchor("if facts.allow").search(CODE) is None


def test_a_fault_is_planted_and_taken_out_again(tree: SourceTree) -> None:
    """Afterwards the file is as it was."""
    place = tree.find_place(build_mutant("if facts.allowed:", "if not facts.allowed:"))
    assert (place.path.name, place.line) == ("gate.py", 3)
    with hold_mutant(place):
        assert "if not facts.allowed:" in place.path.read_text(encoding="utf-8")
    assert place.path.read_text(encoding="utf-8") == CODE


@pytest.mark.parametrize(
    ("anchor", "replacement", "why"),
    [
        ("return 7", "return 8", "0 times"),
        ("return", "pass", "2 times"),
        ("if facts.allowed:", "if facts.allowed", "no Python"),
        ("if facts.allowed:", "if unheard_of:", "unheard_of"),
        ("if facts.allowed:", "if facts.unheard_of:", "unheard_of"),
        ("if facts.allowed:", "if facts.allowed:", "nothing changes"),
    ],
)
def test_a_fault_that_proves_nothing_is_refused(
    tree: SourceTree, anchor: str, replacement: str, why: str
) -> None:
    """One that is not found, found twice, no Python, or in names that the file does not know."""
    with pytest.raises(MutantNotPlanted, match=why):
        tree.find_place(build_mutant(anchor, replacement))


def test_a_word_in_a_text_is_no_name(tree: SourceTree) -> None:
    """A fault may write what the file never said, where it writes no code."""
    place = tree.find_place(build_mutant("return None", 'return "unheard of"'))
    assert place.line == 8


def test_its_tests_are_found_by_the_end_of_their_path(tree: SourceTree) -> None:
    """One test, or a whole file; a test that is gone is never taken for one that notices."""
    mutant = build_mutant("return None", "return facts")
    assert tree.find_tests(mutant) == ["tests/test_gate.py::test_it"]
    whole = replace(mutant, tests=("tests/test_gate.py",))
    assert tree.find_tests(whole) == ["tests/test_gate.py"]
    for gone in ("test_gate.py::test_gone", "test_door.py"):
        with pytest.raises(MutantNotPlanted, match=gone):
            tree.find_tests(replace(mutant, tests=(gone,)))


def test_every_fault_can_be_planted_in_the_product() -> None:
    """Each anchor is there once, and so are its tests: `make mutants` would not fail for that."""
    with closing(SourceTree(ROOT)) as product:
        for mutant in read_mutants(ROOT / "tools" / "mutants.toml", ""):
            assert product.find_place(mutant).line, mutant.id
            assert product.find_tests(mutant), mutant.id
