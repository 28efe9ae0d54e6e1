"""How well the reader reads: the figures that are promised, over the corpus and the older lists."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests import read_contact_request
from tests.daemon.inbound.contact_requests.corpus import (
    CORPUS,
    FRESH_MESSAGES,
    OPEN_PART,
    PUT_ASIDE_PART,
    REFUSALS,
    WELCOMES,
    count_readings,
    list_older_phrases,
    share,
)
from tools.split_contact_requests import LabelledMessage

Counts = Counter[tuple[str, ContactRequest]]

C = ContactRequest


@pytest.fixture(
    scope="module", params=[OPEN_PART, PUT_ASIDE_PART, CORPUS], ids=["open", "put aside", "whole"]
)
def counts(request: pytest.FixtureRequest) -> Counts:
    """Return what each part is read as."""
    part: list[LabelledMessage] = request.param
    return count_readings(part)


def test_the_parts_are_the_whole_and_both_have_every_class() -> None:
    """A third of the messages is put aside, by the text alone."""
    assert len(OPEN_PART) + len(PUT_ASIDE_PART) == len(CORPUS) == 516
    assert {each.expected for each in OPEN_PART} == {each.expected for each in PUT_ASIDE_PART}
    assert {each.expected for each in CORPUS} == set(C)


def test_opt_outs_are_caught(counts: Counts) -> None:
    """Nearly all at once, the rest by a person, none as a welcome."""

    def is_opt_out(expected: str, _read: ContactRequest) -> bool:
        return expected == C.OPT_OUT

    caught = share(counts, is_opt_out, lambda _, read: read is C.OPT_OUT)
    seen = share(counts, is_opt_out, lambda _, read: read in {C.OPT_OUT, C.UNCLEAR, C.COMPLAINT})
    welcomed = share(counts, is_opt_out, lambda _, read: read in WELCOMES)
    assert caught >= 0.9
    assert seen >= 0.99
    assert welcomed <= 0.01


def test_of_all_opt_outs_ninety_five_in_a_hundred_are_caught() -> None:
    """The promise for the whole corpus."""
    counts = count_readings(CORPUS)
    assert (
        share(counts, lambda expected, _: expected == C.OPT_OUT, lambda _, r: r is C.OPT_OUT)
        >= 0.95
    )


def test_hardly_anything_else_becomes_a_permanent_opt_out(counts: Counts) -> None:
    """A wrong opt-out loses a contact for ever."""
    wrong = share(counts, lambda expected, _: expected != C.OPT_OUT, lambda _, r: r is C.OPT_OUT)
    assert wrong <= 0.005


def test_no_other_no_is_read_as_a_welcome(counts: Counts) -> None:
    """A wrong welcome writes to somebody who said no: none at all."""
    assert not [
        pair for pair in counts if pair[0] in REFUSALS - {C.OPT_OUT} and pair[1] in WELCOMES
    ]


def test_no_refusal_among_fresh_messages_becomes_a_welcome_or_goes_unseen() -> None:
    """Of a hundred, none that says no is a welcome, and nothing else becomes an opt-out."""
    assert len(FRESH_MESSAGES) == 100
    assert {each.expected for each in FRESH_MESSAGES} == set(C)
    counts = count_readings(FRESH_MESSAGES)
    assert not [pair for pair in counts if pair[0] in REFUSALS and pair[1] in WELCOMES]
    assert not [pair for pair in counts if pair[0] != C.OPT_OUT and pair[1] is C.OPT_OUT]
    opt_outs = {read for expected, read in counts if expected == C.OPT_OUT}
    assert opt_outs <= {C.OPT_OUT, C.UNCLEAR, C.COMPLAINT}


@pytest.mark.parametrize("welcome", [C.INTERESTED, C.QUESTION])
def test_interest_and_questions_are_precise(welcome: ContactRequest) -> None:
    """What is read as one of them is one, in nineteen cases of twenty."""
    counts = count_readings(CORPUS)
    assert share(counts, lambda _, r: r is welcome, lambda expected, _: expected == welcome) >= 0.95


@pytest.mark.parametrize(("text", "allowed", "expected"), list_older_phrases())
def test_older_lists_are_read_as_they_say(
    text: str, allowed: frozenset[ContactRequest], expected: str
) -> None:
    """Each row: opt-outs, limits on one thing, plain refusals and ordinary messages."""
    assert read_contact_request(text).first.request in allowed, expected
