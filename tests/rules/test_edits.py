"""A number changed in an operator's files: comments stay, and shipped rules are laid over."""

from __future__ import annotations

import pytest

import rules
from rules.check import check_rulesets
from rules.edits import (
    EditableValue,
    EditedFiles,
    EditNotAllowed,
    RampEnds,
    RulesetEdit,
    apply_edit,
    find_editable_value,
)

SHIPPED = rules.read_rule_files([rules.DEFAULTS / "gate.yaml", rules.DEFAULTS / "score.yaml"])
COMMENTED = """\
# Ours, since the fair of March.
format: leadmaster/gate@1

thresholds:          # the sales team asked for it
  - verdict: allow   # was 70
    from: 72         # until June

# Nobody answers twice.
scores: [{id: unanswered, points: -16}]  # a little more

tests:
  - name: not answered
    expect:
      verdict: review
      score: 64      # 80 - 16
  - {name: a validation of 60 days has lost half, expect: {verdict: review, score: 70}}
  - name: "not answered, and the same text as everybody's, counts 25 together"
    expect: {score: 55}
"""


RAMPS = """\
format: leadmaster/gate@1
scores:
  - id: stale
    points:              # asked for by sales
      ramp: prospect.validation_age_days
      from: [30, 0]      # a month
      to:
        - 90             # a quarter
        - -20            # not more
tests:
  - {name: a validation of 90 days has lost all, expect: {score: 60}}
"""
GROUPS = """\
format: leadmaster/gate@1
groups:                  # together
  fatigue:
    # not too hard
    cap: 25
"""


def change(target: str, value: int | RampEnds, *own: str) -> EditedFiles:
    """Change a number over the shipped files and these of the operator's."""
    files = [rules.RuleFile("rules.d/gate.yaml", text, own=True) for text in own]
    return apply_edit([*SHIPPED, *files], RulesetEdit.parse(target, value), "rules.d")


def passes(result: EditedFiles) -> bool:
    """Tell whether the files as they would be may go live."""
    sets = rules.load_rulesets(result.files)
    trial = check_rulesets(sets.values(), lambda each: rules.RuleEvaluator(each, "reference"))
    return not trial.problems


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("gate.thresholds.allow", 75),
        ("gate.thresholds.review", 55),
        ("gate.scores.unanswered", -20),
        ("gate.scores.mass_text", 0),
        ("score.bands.engaged", 95),
        ("score.scores.plausible_mobile", 10),
        ("score.scores.on_whatsapp", 45),
        ("score.scores.wrote_once", -3),
        ("gate.groups.fatigue", 30),
        ("gate.scores.stale", RampEnds(15, 0, 60, -30)),
        ("score.scores.fresh_data", RampEnds(0.5, 10, 180, -5)),
    ],
)
def test_every_shipped_number_can_be_laid_over(target: str, value: int | RampEnds) -> None:
    """One new file of the shipped one's name; the examples that told the old number follow."""
    result = change(target, value)
    (file,) = result.changed
    kind, section, name = target.split(".")
    assert (file.path, file.own) == (f"rules.d/{kind}.yaml", True)
    assert name in file.text
    assert file.text.count("name:") == len(result.examples)
    assert passes(result), section


def test_what_a_person_wrote_stays_as_it_is() -> None:
    """Only the numbers differ: comments, order, quotes and blank lines are the operator's."""
    result = change("gate.thresholds.allow", 74, COMMENTED)
    (file,) = result.changed
    assert file.text == COMMENTED.replace("from: 72", "from: 74")
    assert (result.before, result.examples, passes(result)) == (72, (), True)
    result = change("gate.scores.unanswered", -17, COMMENTED)
    (file,) = result.changed
    assert file.text == COMMENTED.replace("-16}", "-17}").replace("score: 64", "score: 63")
    assert passes(result)


def test_an_entry_is_added_in_the_form_of_its_neighbours() -> None:
    """To a list in a row, and below a list of lines, after the comment beside the last one."""
    (file,) = change("gate.scores.mass_text", -10, COMMENTED).changed
    assert "scores: [{id: unanswered, points: -16}, {id: mass_text, points: -10}]  # a" in file.text
    (file,) = change("gate.thresholds.review", 45, COMMENTED).changed
    assert "    from: 72         # until June\n  - {verdict: review, from: 45}\n\n#" in file.text


def test_a_field_that_is_missing_is_added_beside_its_name() -> None:
    """In an entry that laid only a reason over, in a row and in lines."""
    for entry in ("{id: unanswered, reason: r}", "id: unanswered  # ours\n    reason: r"):
        text = f"format: leadmaster/gate@1\nscores:\n  - {entry}\n"
        result = change("gate.scores.unanswered", -14, text)
        assert rules.load_rulesets(result.files)[rules.RuleFormat.GATE].scores[0].points == -14
        assert "# ours" in result.changed[0].text or entry.startswith("{")
        assert passes(result)


def test_only_the_numbers_of_a_ramp_that_differ_are_written() -> None:
    """Each where it stands: in a row, in lines, with the comment beside it."""
    result = change("gate.scores.stale", RampEnds(30, 0, 80, -25), RAMPS)
    (file,) = result.changed
    expected = RAMPS.replace("- 90  ", "- 80  ").replace("- -20", "- -25")
    assert file.text == expected.replace("{score: 60}", "{score: 55}") + (
        '  - {name: "a validation of 60 days has lost half",'
        " expect: {verdict: review, score: 65}}\n"
        '  - {name: "nobody knows how old the validation is",'
        " expect: {verdict: review, score: 55}}\n"
    )
    assert (result.before, passes(result)) == (RampEnds(30, 0, 90, -20), True)
    result = change("gate.scores.stale", RampEnds(20.5, 0, 90, -20), RAMPS)
    assert "from: [20.5, 0]      # a month" in result.changed[0].text
    assert passes(result)


def test_a_ramp_is_laid_over_whole_where_only_its_reason_was() -> None:
    """What lies over it has all that a ramp needs."""
    text = "format: leadmaster/gate@1\nscores: [{id: stale, reason: Old}]\n"
    result = change("gate.scores.stale", RampEnds(30, 0, 90, -10), text)
    ramp = "{ramp: prospect.validation_age_days, from: [30, 0], to: [90, -10]}"
    assert f"[{{id: stale, points: {ramp}, reason: Old}}]" in result.changed[0].text
    assert passes(result)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (GROUPS, GROUPS.replace("cap: 25", "cap: 30")),
        ("groups: {}", "groups: {fatigue: {cap: 30}}"),
        ("groups: {fatigue: {}}  # ours", "groups: {fatigue: {cap: 30}}  # ours"),
        (
            "groups: {fatigue: {rules: [mass_text]}}",
            "groups: {fatigue: {rules: [mass_text], cap: 30}}",
        ),
        ("groups:\n  # none\n  odd: {rules: [stale], cap: 9}\n", "cap: 9}\n  fatigue: {cap: 30}\n"),
    ],
)
def test_the_cap_of_a_group_is_put_in_the_form_that_is_there(text: str, after: str) -> None:
    """In an entry of its name, or a new one beside the others."""
    whole = text if text.startswith("format") else f"format: leadmaster/gate@1\n{text}"
    result = change("gate.groups.fatigue", 30, whole)
    assert after in result.changed[0].text
    assert passes(result)


def shipped(target: str) -> EditableValue:
    """Return what a form may change in the shipped rules."""
    amendment = RulesetEdit.parse(target, 0)
    return find_editable_value(
        rules.load_rulesets(SHIPPED)[amendment.kind], amendment.section, amendment.name
    )


RAMP = {"from_value": 30.0, "from_points": 0.0, "to_value": 90.0, "to_points": -20.0}


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        ("gate.thresholds.allow", {"value": 50}, {"value": "It goes from 51 to 100."}),
        ("gate.thresholds.review", {"value": 70}, {"value": "It goes from 1 to 69."}),
        ("gate.thresholds.allow", {"value": 70}, {"value": "It has that value already"}),
        ("gate.thresholds.allow", {"value": 75.5}, {"value": "Write a whole number."}),
        ("gate.thresholds.allow", {"value": None}, {"value": "Write a number."}),
        ("gate.scores.unanswered", {"value": 1e9}, {"value": "It goes from -1000 to 1000."}),
        ("gate.groups.fatigue", {"value": -1}, {"value": "It goes from 0 to 1000."}),
        ("gate.groups.fatigue", {}, {"value": "Write a number."}),
        ("gate.scores.stale", {**RAMP, "to_value": 30}, {"to_value": "A ramp ends at a higher"}),
        ("gate.scores.stale", RAMP, {"from_value": "It has that value already"}),
        (
            "gate.scores.stale",
            {**RAMP, "from_value": -1, "to_points": 0.5},
            {"from_value": "It goes from 0 to", "to_points": "Write a whole number."},
        ),
        ("gate.thresholds.allow", {"value": 71}, {}),
        ("gate.scores.stale", {**RAMP, "from_value": 0.5}, {}),
    ],
)
def test_a_number_that_can_not_be_is_told_beside_its_field(
    target: str, given: dict[str, float | None], said: dict[str, str]
) -> None:
    """Each in a sentence with the bounds that hold; one that can be has none."""
    told = shipped(target).find_errors(given)
    assert told.keys() == said.keys()
    assert all(told[name].startswith(sentence) for name, sentence in said.items())


def test_a_ramp_with_a_condition_keeps_to_one_side() -> None:
    """Over an unknown it would have no sign to judge it by."""
    when = "{id: stale, when: {message.first_contact: true}}"
    own = rules.RuleFile(
        "rules.d/gate.yaml", f"format: leadmaster/gate@1\nscores: [{when}]\n", own=True
    )
    found = find_editable_value(
        rules.load_rulesets([*SHIPPED, own])[rules.RuleFormat.GATE], "scores", "stale"
    )
    assert found.find_errors({**RAMP, "from_points": 5}) == {
        "to_points": "A rule with a condition gives points at both ends, or takes them."
    }
    assert found.value_from_numbers({**RAMP, "from_points": -5}) == RampEnds(30, -5, 90, -20)


@pytest.mark.parametrize(
    ("target", "value", "said"),
    [
        ("gate.thresholds.block", 5, "lowest possible score"),
        ("gate.thresholds.alow", 5, "no threshold alow"),
        ("gate.scores.nothing", 5, "no rule nothing"),
        ("gate.scores.stale", 5, "both ends of a ramp"),
        ("gate.scores.unanswered", RampEnds(0, 0, 1, 1), "by one number"),
        ("gate.groups.nobody", 5, "no group nobody"),
        ("gate.vetoes.closed", 5, "one of gate.thresholds.VERDICT"),
        ("gate", 5, "one of gate.thresholds.VERDICT"),
        ("gate.thresholds.allow", 70, "70 already"),
    ],
)
def test_what_can_not_be_changed_is_refused_in_a_sentence(
    target: str, value: int, said: str
) -> None:
    """And nothing is guessed."""
    with pytest.raises(EditNotAllowed, match=said):
        change(target, value)


def test_thresholds_keep_their_order() -> None:
    """The reader's own sentence, with its place."""
    with pytest.raises(rules.RulesInvalid, match=r"gate\.yaml:13:29: .* from the top down"):
        change("gate.thresholds.allow", 40)
