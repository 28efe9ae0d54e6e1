"""Which regular expressions an operator may write."""

from __future__ import annotations

import pytest

from rules.patterns import MAX_PATTERN_LENGTH, UnsafePatternError, compile_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"\bcasino\b",
        "gana dinero",
        r"gana\s{1,5}dinero\s{1,5}ya",
        "a*b",
        "(ab)*c",
        "(?:uno|dos|tres)",
        "a?b?c?",
        "(?>a+)b",
        "x(?=y)(?!z)(?<=y)(?<!z)",
        "(?i)casino",
        "(?i-s:casino|(?P<other>ruleta))",
        r"\(a{1,2}\)+",
        "[]a*+]+",
        "[^]a*+]+b",
        r"[\]a*+]+b",
        "a{b}{2}",
        "a{1,c}d{}e{,5}f{3}",
        r"\N{EM DASH}\x41\u00e1\0+",
        "a++b",
        "a*?b",
    ],
)
def test_a_pattern_with_a_bounded_search_is_fine(pattern: str) -> None:
    """Words, choices, one open repeat, or several bounded ones."""
    assert compile_pattern(pattern).flags


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*$",
        "(a*)*",
        ".*.*=",
        r"\s+a\s+b",
        "(a?){30}",
        "(?=a+)b+c+",
        r"(a)\1",
        r"(a)?(?(1)b|c)",
        "((a{0,20}){0,20}){0,20}",
        "(?>(a+)+b)",
        "(?>a+b+c+)",
        "(?<!x)(?i:(a+)+)$",
        "(?P<word>a+)+$",
        "(?P<word>a)(?P=word)",
        "((?:a{,})*)*",
        "(?:a+?)+?b",
        "(?:a|b)*",
        "[]]*a*[^]]*",
        r"(?:\)+)+",
        "(" * 20 + "a{0,9}" + "){0,9}" * 20,
    ],
)
def test_a_pattern_that_could_search_for_ever_is_refused(pattern: str) -> None:
    """Nested and repeated open repeats, and back-references."""
    with pytest.raises(UnsafePatternError, match="could search for ever"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "[[a]", "a{99999999999}", "*"])
def test_what_is_no_regular_expression_is_refused(pattern: str) -> None:
    """In one sentence."""
    with pytest.raises(UnsafePatternError, match="is not a regular expression"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", "a" * (MAX_PATTERN_LENGTH + 1)])
def test_a_pattern_is_neither_empty_nor_endless(pattern: str) -> None:
    """An empty one would match every text."""
    with pytest.raises(UnsafePatternError, match="1 to 200 characters"):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(?x)a b", "(?i-x:a)", "(?x: a)", "(a|b)(?#c){0,20}"])
def test_a_form_that_is_read_otherwise_is_refused(pattern: str) -> None:
    """Where spaces and comments do not count, one can't see what a pattern costs."""
    with pytest.raises(UnsafePatternError, match=r"has `\(\?.+` in it, which is not taken"):
        compile_pattern(pattern)


def test_case_does_not_matter() -> None:
    """People shout."""
    assert compile_pattern("año nuevo").search("FELIZ AÑO NUEVO")
