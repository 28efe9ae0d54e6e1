"""A number changed in an operator's files: comments stay, and shipped rules are laid over."""

from __future__ import annotations

import pytest

import rules
from rules.amend import Amended, NotAmendable, Wish, amended
from rules.trial import try_out

SHIPPED = rules.read_files([rules.DEFAULTS / "gate.yaml", rules.DEFAULTS / "score.yaml"])
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


def change(target: str, value: int, *own: str) -> Amended:
    """Change a number over the shipped files and these of the operator's."""
    files = [rules.RuleFile("rules.d/gate.yaml", text, own=True) for text in own]
    return amended([*SHIPPED, *files], Wish.of(target, value), "rules.d")


def passes(result: Amended) -> bool:
    """Tell whether the files as they would be may go live."""
    sets = rules.load_sets(result.files)
    trial = try_out(sets.values(), lambda each: rules.Judge(each, "reference"))
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
    ],
)
def test_every_shipped_number_can_be_laid_over(target: str, value: int) -> None:
    """One new file of the shipped one's name; the examples that told the old number follow."""
    result = change(target, value)
    (file,) = result.changed
    kind, section, name = target.split(".")
    assert (file.path, file.own) == (f"rules.d/{kind}.yaml", True)
    assert f": {name}, " in file.text
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
        assert rules.load_sets(result.files)[rules.Format.GATE].scores[0].points == -14
        assert "# ours" in result.changed[0].text or entry.startswith("{")
        assert passes(result)


@pytest.mark.parametrize(
    ("target", "value", "said"),
    [
        ("gate.thresholds.block", 5, "lowest score"),
        ("gate.thresholds.alow", 5, "no threshold alow"),
        ("gate.scores.nothing", 5, "no rule nothing"),
        ("gate.scores.stale", 5, "a ramp"),
        ("gate.vetoes.closed", 5, "one of gate.thresholds.VERDICT"),
        ("gate", 5, "one of gate.thresholds.VERDICT"),
        ("gate.thresholds.allow", 70, "70 already"),
    ],
)
def test_what_can_not_be_changed_is_refused_in_a_sentence(
    target: str, value: int, said: str
) -> None:
    """And nothing is guessed."""
    with pytest.raises(NotAmendable, match=said):
        change(target, value)


def test_thresholds_keep_their_order() -> None:
    """The reader's own sentence, with its place."""
    with pytest.raises(rules.RulesInvalid, match=r"gate\.yaml:13:29: .* from the top down"):
        change("gate.thresholds.allow", 40)
