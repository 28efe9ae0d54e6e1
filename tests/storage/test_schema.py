"""The words in `schema.sql` are those of the code, in the order that its queries have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

import pytest

from statemachines.message import MAYBE_LEFT_STATES
from statemachines.vocabulary import BlockedBy, MessageKind, NumberCheckBlock, WaitsFor
from storage.contacts import AliasKind
from storage.prospect_reviews import ProspectReviewOutcome
from storage.rulesets import RulesetActivationKind
from storage.schema_steps import read_schema
from storage.spends import FIRST_CONTACT_KINDS, SpendKind
from storage.sql_text import format_sql_list

SCHEMA = re.sub(r"\s+", " ", re.sub(r"--.*", "", read_schema()))


@pytest.mark.parametrize(
    "condition",
    [
        f"kind = '{MessageKind.COMMERCIAL}' AND state IN {format_sql_list(MAYBE_LEFT_STATES)};",
        f"kind IN {format_sql_list(FIRST_CONTACT_KINDS)} AND message IS NOT NULL;",
    ],
)
def test_a_partial_index_has_the_words_of_its_queries(condition: str) -> None:
    """SQLite compares the text: in another order the index would not be taken."""
    assert f"WHERE {condition}" in SCHEMA


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("messages", "waits_for", WaitsFor),
        ("messages", "blocked_by", (*BlockedBy, *NumberCheckBlock)),
        ("spends", "kind", SpendKind),
        ("prospect_reviews", "outcome", ProspectReviewOutcome),
        ("ruleset_history", "how", RulesetActivationKind),
        ("aliases", "kind", AliasKind),
    ],
)
def test_a_column_takes_the_words_of_the_code(
    table: str, column: str, words: Iterable[StrEnum]
) -> None:
    """A word that was added on one side only would be refused on the other."""
    [definition] = re.findall(rf"CREATE TABLE {table} \(.*?\) STRICT", SCHEMA)
    [found] = re.findall(rf"CHECK \({column} IN \((.*?)\)\)", definition)
    assert set(re.findall(r"'(\w+)'", found)) == set(words)


def test_every_text_default_is_a_word_of_the_code() -> None:
    """A row that says no kind is commercial."""
    assert f"kind TEXT NOT NULL DEFAULT '{MessageKind.COMMERCIAL}'" in SCHEMA
