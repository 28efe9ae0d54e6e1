"""Files that are no rule files at all: a sentence with a place, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from rules import RulesInvalid, load_ruleset
from rules.document import read_document
from rules.files import RuleFile
from rules.problems import ProblemCollector
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.rule_texts import GATE_HEAD, list_problems

NOT_A_MAPPING = "1:1: A rule file is a mapping that starts with `format: …`"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NOT_A_MAPPING),
        ("# a comment alone\n", NOT_A_MAPPING),
        ("- a\n- b\n", NOT_A_MAPPING),
        ("a: [1\n", "2:1: A comma, bracket or quotation mark is missing before this"),
        ("a: 1\n\tb: 2\n", "2:1: A tab can't indent in YAML: use spaces"),
        ("a: b: c\n", "1:5: No `:` is possible here"),
        ("a: 1\n--- b\n", "2:1: A rule file holds one document: delete this `---`"),
        ("a: *nowhere\n", "This is not valid YAML: found undefined alias 'nowhere'"),
        ("%YAML 9.9\n---\na: 1\n", "This is not valid YAML: found incompatible YAML document"),
        ("a: \x01\n", "1:4: This character has no place in a text file: delete it"),
        ("[" * 1_000, "1:1: This is nested too deeply: a rule file has at most 40 levels"),
        ("a: " + "[" * 60 + "]" * 60 + "\n", "1:44: This is nested too deeply"),
        ("format: !!python/object:os.system x\n", "The tag `python/object:os.system` is not used"),
        ("? [a, b]\n: 1\n", "1:3: A key must be a word"),
        ("a: 0123\n", "1:4: `0123` is read as a number: quote it, or drop the zero"),
        ("a: .nan\n", "1:4: `.nan` is not a number that can be reckoned with"),
        ("a: -.inf\n", "1:4: `-.inf` is not a number that can be reckoned with"),
        (f"a: {'9' * 400}.0\n", "is not a number that can be reckoned with"),
        (f"a: {'9' * 5000}\n", f"1:4: `{'9' * 40}…` is not a number that can be reckoned with"),
        ("a: &x 1\nb: *x\n", "1:4: Anchors and aliases are not used in rule files"),
        ("a: &x [*x]\n", "1:4: Anchors and aliases are not used in rule files"),
        ("a: 1\na: 2\n", "2:1: `a` is here a second time (first on line 1)"),
    ],
)
def test_what_is_no_rule_file_is_told_in_a_sentence(text: str, expected: str) -> None:
    """Broken, empty, foreign and hostile YAML."""
    assert any(expected in problem for problem in list_problems(text))


def _problem(path: Path) -> str:
    with pytest.raises(RulesInvalid) as caught:
        load_ruleset([path])
    return caught.value.problems[0].sentence


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As is a folder in a file's place."""
    assert _problem(tmp_path / "no.yaml") == "The file cannot be read: No such file or directory"
    assert _problem(tmp_path) == "The file cannot be read: Is a directory"


def test_a_binary_file_is_told(tmp_path: Path) -> None:
    """A spreadsheet, say."""
    path = tmp_path / "gate.yaml"
    path.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    assert _problem(path) == "This character is not UTF-8: save the file as UTF-8"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A rule file is a page or two."""
    path = tmp_path / "gate.yaml"
    path.write_bytes(b"# x\n" * 300_000)
    assert "larger than 1 MiB" in _problem(path)


def test_a_byte_order_mark_does_not_hurt(tmp_path: Path) -> None:
    """Some editors write one."""
    path = tmp_path / "gate.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GATE_HEAD.encode())
    assert load_ruleset([path]).minimum == 0


def test_problems_of_several_broken_files_are_told_together(tmp_path: Path) -> None:
    """One run, all of them."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("- no mapping\n")
    with pytest.raises(RulesInvalid) as caught:
        load_ruleset([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert [Path(each.file).name for each in caught.value.problems] == ["a.yaml", "b.yaml"]


KEYS = st.sampled_from(["format:", "score:", "vetoes:", "scores:", "windows:", "when:", "all:"])
MARKS = st.sampled_from(
    ["- ", "[", "]", "{", "}", ", ", ": ", "|in", "\n", "\n  ", "'", '"', "&a ", "*a"]
)
VALUES = st.sampled_from(
    ["leadmaster/gate@1", "prospect.suppressed", "true", "null", "1", "é", "%"]
)


@examples(300)
@given(st.lists(KEYS | MARKS | VALUES, max_size=40).map("".join) | st.text(max_size=60))
def test_no_text_whatever_gives_a_traceback(text: str) -> None:
    """Whatever stands in the file, the answer is problems with places, or a set."""
    problems = list_problems(
        "\n" + text.encode("utf-8", "replace").decode() + "\nformat: no such\n"
    )
    assert problems


def test_a_text_is_read_once_and_its_problems_are_told_each_time() -> None:
    """Of an installation's files few change at a time; what is wrong with one stays wrong."""
    good = RuleFile("gate.yaml", GATE_HEAD)
    assert read_document(good, ProblemCollector()) is read_document(
        RuleFile(*astuple(good)), ProblemCollector()
    )
    elsewhere = read_document(RuleFile("other.yaml", GATE_HEAD), ProblemCollector())
    assert elsewhere is not None
    assert elsewhere.files == ("other.yaml",)
    for _ in range(2):
        problems = ProblemCollector()
        assert read_document(RuleFile("gate.yaml", "a: 1\na: 2\n"), problems) is not None
        (told,) = problems.to_exception().problems
        assert (told.line, told.column) == (2, 1)
