"""An operator's folder over the shipped files: add, merge, replace, and problems at their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rules import DEFAULTS, RuleEvaluator, RulesInvalid
from rules.files import RuleFile, list_rule_files, read_rule_files
from rules.loader import load_rulesets
from rules.ruleset import RuleFormat, Ruleset
from tests.helpers.process_limits import drop_privileges
from tests.helpers.rule_texts import GATE_HEAD, SCORE_HEAD, build_facts

SHIPPED = read_rule_files(list_rule_files(DEFAULTS))
FORMAT = "format: leadmaster/gate@1\n"


def _over(text: str, name: str = "gate.yaml") -> Ruleset:
    return load_rulesets([*SHIPPED, RuleFile(f"rules.d/{name}", text, own=True)])[RuleFormat.GATE]


def _problems(text: str, name: str = "gate.yaml") -> list[str]:
    with pytest.raises(RulesInvalid) as caught:
        _over(text, name)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_of_ones_own_leaves_the_shipped_sets() -> None:
    """Both formats, each from its file."""
    sets = load_rulesets(SHIPPED)
    assert set(sets) == set(RuleFormat)
    assert [Path(file).name for file in sets[RuleFormat.SCORE].files] == ["score.yaml"]


def test_a_file_of_a_new_name_adds() -> None:
    """Its veto stands beside the shipped ones, at its own place."""
    text = FORMAT + "vetoes: [{id: no_links, reason: r, when: {message.links|gte: 1}}]\n"
    added = _over(text, "ours.yaml")
    shipped = load_rulesets(SHIPPED)[RuleFormat.GATE]
    assert [veto.id for veto in added.vetoes] == [*(v.id for v in shipped.vetoes), "no_links"]
    assert str(added.vetoes[-1].place) == "rules.d/ours.yaml:2"
    assert added.files[-1] == "rules.d/ours.yaml"


def test_a_file_of_the_same_name_merges_key_by_key() -> None:
    """One field of one rule, one threshold, one time of a window; the rest stands."""
    text = (
        FORMAT
        + "thresholds: [{verdict: allow, from: 75}]\n"
        + 'windows: {business: {to: "17:00"}}\n'
        + "scores: [{id: unanswered, points: -20}]\n"
    )
    merged = _over(text)
    shipped = load_rulesets(SHIPPED)[RuleFormat.GATE]
    assert [(band.name, band.start) for band in merged.bands] == [
        ("allow", 75),
        ("review", 50),
        ("block", 0),
    ]
    assert (merged.windows["business"].opens, merged.windows["business"].closes) == (570, 1020)
    changed = next(rule for rule in merged.scores if rule.id == "unanswered")
    before = next(rule for rule in shipped.scores if rule.id == "unanswered")
    assert (changed.points, changed.when, changed.reason) == (-20, before.when, before.reason)
    assert str(changed.place) == "rules.d/gate.yaml:4"
    assert merged.vetoes == shipped.vetoes


def test_a_condition_is_replaced_as_a_whole() -> None:
    """Half of an old condition inside a new one would surprise."""
    merged = _over(FORMAT + "vetoes: [{id: duplicate, when: {message.links|gte: 3}}]\n")
    veto = next(veto for veto in merged.vetoes if veto.id == "duplicate")
    assert "message.duplicate" not in repr(veto.when)


def test_null_takes_a_field_or_a_name_away() -> None:
    """A veto that made messages wait blocks; a group is gone."""
    merged = _over(FORMAT + "vetoes: [{id: closed, defer: null}]\ngroups: {fatigue: null}\n")
    assert next(veto for veto in merged.vetoes if veto.id == "closed").defer is None
    assert merged.groups == ()


def test_an_example_of_the_same_name_is_changed_with_the_rule() -> None:
    """So that a tuned threshold does not contradict the shipped examples."""
    text = FORMAT + "tests: [{name: not answered, expect: {verdict: review}}]\n"
    example = next(each for each in _over(text).examples if each.name == "not answered")
    assert (example.given, example.expect) == ({"history.unanswered": 1}, {"verdict": "review"})


def test_override_replaces_the_shipped_file() -> None:
    """Nothing of it is left, only what the code enforces."""
    replaced = _over(GATE_HEAD + "override: true\n")
    assert (replaced.vetoes, replaced.files) == ((), ("rules.d/gate.yaml",))


def test_override_that_is_no_flag_is_a_problem() -> None:
    """A word there would be taken for a yes."""
    (problem,) = _problems(FORMAT + "override: sure\n")
    assert problem == "rules.d/gate.yaml:2:11: `override` is true or false"


def test_a_new_file_cannot_repeat_what_stands_once() -> None:
    """The id of a shipped rule, or its thresholds, are changed in a file of the same name."""
    text = FORMAT + "vetoes: [{id: closed, reason: r, when: {message.duplicate: true}}]\n"
    (problem,) = _problems(text, "ours.yaml")
    assert problem.startswith("rules.d/ours.yaml:2:10: The id `closed` is taken: it is at ")


def test_the_same_rule_twice_in_one_file_is_a_problem() -> None:
    """The second is not merged into the first in silence."""
    twice = "scores: [{id: stale, reason: a}, {id: stale, reason: b, points: 1, when: "
    (problem,) = _problems(FORMAT + twice + "{message.duplicate: true}}]\n")
    assert problem.startswith("rules.d/gate.yaml:2:34: The id `stale` is taken")


def test_problems_of_merged_fields_stand_where_they_were_written() -> None:
    """The operator's line, not the shipped one."""
    found = _problems(FORMAT + "scores:\n  - id: unanswered\n    points: many\n")
    assert found == ["rules.d/gate.yaml:4:13: `points` must be a whole number from -1000 to 1000"]


def test_what_cannot_be_merged_is_taken_as_it_is_and_refused() -> None:
    """A list where names belong, a word where a rule belongs."""
    assert "rules.d/gate.yaml:2:10: `windows` is a mapping of names" in _problems(
        FORMAT + "windows: [business]\n"
    )
    assert _problems(FORMAT + "vetoes: [closed]\n") == [
        "rules.d/gate.yaml:2:10: Each of `vetoes` is a mapping"
    ]


def test_problems_of_all_files_are_told_together() -> None:
    """Of both formats, in one run."""
    own = [
        RuleFile("rules.d/gate.yaml", FORMAT + "vetos: []\n", own=True),
        RuleFile("rules.d/score.yaml", "format: leadmaster/score@1\nbonds: []\n", own=True),
    ]
    with pytest.raises(RulesInvalid) as caught:
        load_rulesets([*SHIPPED, *own])
    assert [str(problem) for problem in caught.value.problems] == [
        (
            "rules.d/gate.yaml:2:1: `vetos` is not part of a `leadmaster/gate@1` file "
            "(did you mean vetoes?)"
        ),
        (
            "rules.d/score.yaml:2:1: `bonds` is not part of a `leadmaster/score@1` file "
            "(did you mean bands?)"
        ),
    ]


def test_files_alone_make_the_sets_that_they_hold() -> None:
    """One format is enough."""
    sets = load_rulesets([RuleFile("a.yaml", SCORE_HEAD)])
    assert list(sets) == [RuleFormat.SCORE]


@pytest.mark.parametrize("text", ["- x\n", "format: leadmaster/gates@1\n"])
def test_a_file_without_a_format_stops_the_rest(text: str) -> None:
    """What it would change can't be told."""
    assert _problems(text, "x.yaml")[0].startswith("rules.d/x.yaml:1:")


def test_a_folder_gives_its_rule_files_by_name(tmp_path: Path) -> None:
    """Neither hidden files nor what an editor leaves behind."""
    for name in ("b.yaml", "a.yml", ".c.yaml", "d.yaml~", "e.txt"):
        (tmp_path / name).write_text(FORMAT)
    assert [path.name for path in list_rule_files(tmp_path)] == ["a.yml", "b.yaml"]
    assert list_rule_files(tmp_path / "e.txt") == (tmp_path / "e.txt",)


def test_what_is_named_like_a_rule_file_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A veto behind a broken link would else be missing, and nobody would know."""
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "tree.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(RulesInvalid) as caught:
        read_rule_files(list_rule_files(tmp_path), own=True)
    assert [(Path(each.file).name, each.sentence) for each in caught.value.problems] == [
        ("gone.yaml", "The file cannot be read: No such file or directory"),
        ("loop.yaml", "The file cannot be read: Too many levels of symbolic links"),
        ("tree.yaml", "The file cannot be read: Is a directory"),
    ]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """As a problem of the rules: a traceback in a log is read by no gate keeper."""
    tmp_path.chmod(0o000)
    with drop_privileges(), pytest.raises(RulesInvalid) as caught:
        list_rule_files(tmp_path)
    tmp_path.chmod(0o700)
    assert str(caught.value) == f"{tmp_path}:1:1: The folder cannot be read: Permission denied"


def test_the_merged_set_decides() -> None:
    """A tuned point counts, with the operator's line beside it."""
    judge = RuleEvaluator(_over(FORMAT + "scores: [{id: unanswered, points: -40}]\n"))
    decision = judge.decide(build_facts(judge, history__unanswered=1))
    assert (decision.verdict, decision.score) == ("review", 55)
    assert str(decision.contributions[0].place) == "rules.d/gate.yaml:2"
