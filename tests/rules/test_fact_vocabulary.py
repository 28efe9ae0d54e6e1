"""The vocabulary, and which values count as known."""

from __future__ import annotations

import re

import pytest

from rules.facts import FACTS, NO_BLOCK, REQUIRED_FACTS, FactType, find_nearest_fact
from rules.known_values import known_values, to_micro
from statemachines.session import ConnectionState, SendingState
from statemachines.vocabulary import BlockedBy


def test_the_three_spanish_terms_are_facts_of_the_right_type() -> None:
    """score_contactabilidad is a number, validado_tecnicamente a flag, cartera_origen a text."""
    types = {name.removeprefix("prospect."): FACTS[name].type for name in FACTS}
    assert types["score_contactabilidad"] is FactType.NUMBER
    assert types["validado_tecnicamente"] is FactType.BOOL
    assert types["cartera_origen"] is FactType.TEXT


def test_facts_stand_in_seven_groups() -> None:
    """Every fact belongs to one of the groups of the design, and is written lower_snake."""
    groups = {name.partition(".")[0] for name in FACTS}
    assert groups == {"prospect", "message", "history", "register", "session", "campaign", "clock"}
    assert all(re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name) for name in FACTS)


def test_every_example_is_a_known_value_of_its_fact() -> None:
    """The example beside each fact is one the gate would accept."""
    given = {name: fact.example for name, fact in FACTS.items()}
    assert known_values(FACTS.values(), given).keys() == FACTS.keys()


def test_every_fact_says_what_it_means() -> None:
    """No fact is without a meaning, and no number without a unit."""
    assert all(fact.meaning for fact in FACTS.values())
    assert all(fact.unit for fact in FACTS.values() if fact.type is FactType.NUMBER)


def test_an_undecided_validation_can_be_told_from_a_failed_one() -> None:
    """validado_tecnicamente may be missing: it is not a required fact."""
    assert FACTS["prospect.validado_tecnicamente"] not in REQUIRED_FACTS


def test_unknown_is_a_value_of_on_whatsapp() -> None:
    """A number that was never checked is `unknown`, it does not lack the fact."""
    fact = FACTS["prospect.on_whatsapp"]
    assert fact.values == ("yes", "no", "unknown")
    assert fact.required


def test_the_sessions_states_are_those_of_its_machine() -> None:
    """One vocabulary: a state that rules cannot name would always be unknown to them."""
    assert set(FACTS["session.state"].values) == set(ConnectionState)
    assert set(FACTS["session.sending"].values) == set(SendingState)
    assert set(FACTS["session.blocked_by"].values) == {NO_BLOCK, *BlockedBy}


def test_the_nearest_name_is_suggested() -> None:
    """A misspelt fact leads to the one that was meant."""
    assert find_nearest_fact("prospect.score_contactibilidad") == "prospect.score_contactabilidad"


def test_nothing_is_suggested_for_a_word_that_is_near_nothing() -> None:
    """No suggestion is better than a wild one."""
    assert find_nearest_fact("zzz") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prospect.suppressed", 1),
        ("prospect.suppressed", "true"),
        ("prospect.score_contactabilidad", True),
        ("prospect.score_contactabilidad", "80"),
        ("prospect.score_contactabilidad", -1),
        ("prospect.score_contactabilidad", 100.5),
        ("prospect.score_contactabilidad", float("nan")),
        ("prospect.score_contactabilidad", float("inf")),
        ("prospect.score_contactabilidad", 10**400),
        ("prospect.on_whatsapp", "YES"),
        ("prospect.on_whatsapp", True),
        ("prospect.cartera_origen", "x" * 201),
        ("prospect.cartera_origen", b"feria"),
        ("message.text", "x" * 4097),
        ("clock.in_window", "business"),
        ("clock.in_window", 5),
        ("clock.in_window", ["business", 5]),
        ("prospect.suppressed", None),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_unknown(name: str, value: object) -> None:
    """What does not fit its fact is not guessed at: it is not known."""
    assert known_values([FACTS[name]], {name: value}) == {}


def test_numbers_are_reckoned_in_millionths() -> None:
    """0.1 + 0.2 is 0.3, and whole numbers stay exact."""
    assert to_micro(0.1) + to_micro(0.2) == to_micro(0.3)
    assert to_micro(7) == 7_000_000


def test_an_empty_list_of_open_windows_is_known() -> None:
    """At night no window is open, and that is known."""
    fact = FACTS["clock.in_window"]
    assert known_values([fact], {fact.name: []}) == {fact.name: frozenset()}
