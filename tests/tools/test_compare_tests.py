"""The comparison of tests: a renamed test is the same, a changed or lost assertion is not."""

from __future__ import annotations

import pytest

from tools.compare_tests import Renames, count_assertions, find_differences, pair_tests, parse_tests
from tools.compare_tests import Test as FoundTest

RENAMES = Renames.from_document(
    {
        "modules": {"daemon.floor": "daemon.gate.hard_limits"},
        "names": {"daemon.storing:keep": "store_decision"},
        "words": {"wish": "request"},
    }
)
OLD = """
def test_a_fact():
    assert keep(floor, {"wish": 1}) == 2
"""
SAME_BUT_FOR_NAMES = OLD.replace("keep", "store_decision").replace("wish", "request")


def read_test(text: str) -> FoundTest:
    """Return the one test of a text."""
    [found] = parse_tests("tests/test_it.py", text)
    return found


def compare(new: str) -> list[str]:
    """Return how a test of today differs from the older one."""
    return list(find_differences(read_test(OLD).tree, read_test(new).tree, RENAMES))


def test_a_test_whose_names_changed_is_the_same() -> None:
    """A function, a module's own name and a stored word, as the map has them."""
    assert compare(SAME_BUT_FOR_NAMES) == []
    assert compare(SAME_BUT_FOR_NAMES.replace("floor", "hard_limits")) == []


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ("== 2", "== 3", "2  ->  3"),
        ("keep(", "forget(", "'keep'  ->  'forget'"),
        ("wish", "order", "'wish'  ->  'order'"),
        ("assert", "print() or keep\n    assert", "+ print() or keep"),
        ('    assert keep(floor, {"wish": 1}) == 2', "    pass", "Pass"),
    ],
)
def test_what_changed_in_more_than_names_is_named(before: str, after: str, difference: str) -> None:
    """A value, a name that the map does not know, a statement more, an assertion less."""
    changed = OLD.replace(before, after)
    assert changed != OLD
    assert any(difference.lower() in line.lower() for line in compare(changed))


def test_a_test_that_is_gone_has_no_pair() -> None:
    """A test of another name does not stand for it; one that moved to another file does."""
    old = read_test(OLD)
    moved = FoundTest("tests/elsewhere/test_it.py", old.name, old.tree)
    other = read_test(OLD.replace("test_a_fact", "test_another"))
    assert pair_tests([old], [other, moved], RENAMES) == [(old, moved)]
    assert pair_tests([old], [other], RENAMES) == [(old, None)]


def test_assertions_are_counted() -> None:
    """So that one that was dropped shows, even where the tests themselves are as many."""
    assert count_assertions([read_test(OLD)]) == 1
