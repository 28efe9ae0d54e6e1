"""Finds what a message says besides an opt-out: situations, a plain no, what a program wrote."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests.patterns import Match, PatternSet, WordLine
from daemon.inbound.contact_requests.word_kinds import LEXICON_FOLDER

SURE_WEIGHT: Final = 3
"""Marks of this weight together say that a program wrote it."""
PROBABLE_WEIGHT: Final = 2
"""Marks of this weight say so where no word may ask us to stop."""

_SITUATIONS: Final = {
    "minor": ContactRequest.MINOR,
    "deceased": ContactRequest.DECEASED,
    "complaint": ContactRequest.COMPLAINT,
    "wrong_person": ContactRequest.WRONG_PERSON,
}
_WORDS_OF_A_SITUATION: Final = ("child_word", "death_word", "hostile_word", "other_person_word")


class SituationPatterns(NamedTuple):
    """The patterns of `situations.toml`, by what they are looked for in."""

    situations: PatternSet
    """Anywhere in a message: labels are the values of :class:`ContactRequest`."""
    words: PatternSet
    """Words that may belong to a situation: beside them nothing is a welcome."""
    child_of_age: PatternSet
    reaches_child: PatternSet
    """Together with a child of an age: that we write to it, or that the phone is its own."""
    adult: PatternSet
    """What makes a number of years no age of a child."""
    declined: PatternSet
    """A whole clause."""
    asking: PatternSet
    """Words of interest: beside an opt-out they leave it unclear what is meant."""
    complete: PatternSet
    """A plain no that is a thought of its own, with or without punctuation after it."""
    welcome: PatternSet
    """Anywhere: interested, question, about_us."""


@cache
def load_situations() -> SituationPatterns:
    """Return the shipped patterns, read once."""
    data = tomllib.loads((LEXICON_FOLDER / "situations.toml").read_text(encoding="utf-8"))
    return SituationPatterns(
        situations=_select_patterns(data, _SITUATIONS),
        words=_select_patterns(data, _WORDS_OF_A_SITUATION),
        child_of_age=_select_patterns(data, ("child_of_age",)),
        reaches_child=_select_patterns(data, ("reaches_child",)),
        adult=_select_patterns(data, ("adult",)),
        declined=_select_patterns(data, ("declined",)),
        asking=_select_patterns(data, ("asking_word",)),
        complete=_select_patterns(data, ("complete",)),
        welcome=_select_patterns(data, ("interested", "question", "about_us")),
    )


@cache
def load_automatic_marks() -> PatternSet:
    """Return the marks of automatic messages, labelled with their weight."""
    data = tomllib.loads((LEXICON_FOLDER / "automatic.toml").read_text(encoding="utf-8"))
    return PatternSet(data["weights"])


def _select_patterns(
    data: Mapping[str, Mapping[str, Sequence[str]]], labels: Sequence[str] | Mapping[str, object]
) -> PatternSet:
    return PatternSet(
        {label: [line for lines in data[label].values() for line in lines] for label in labels}
    )


def find_situations(line: WordLine) -> list[tuple[ContactRequest, Match]]:
    """Return the situations that a message tells of, and where."""
    patterns = load_situations()
    found = [(_SITUATIONS[match.label], match) for match in patterns.situations.find_all(line)]
    if next(patterns.reaches_child.find_all(line), None):
        children = patterns.child_of_age.find_all(line)
        found += [(ContactRequest.MINOR, match) for match in children]
    grown_up = next(patterns.adult.find_all(line), None) if found else None
    return [each for each in found if not (grown_up and each[0] is ContactRequest.MINOR)]


def measure_automatic(line: WordLine) -> tuple[int, Match | None]:
    """Return the weight of the marks of an automatic message, and the heaviest of them.

    Marks that overlap count once. The weight is counted as far as :data:`SURE_WEIGHT`, so it takes
    three rounds at most.
    """
    marks = list(load_automatic_marks().find_all(line))
    counted: list[Match] = []
    weight = 0
    while marks and weight < SURE_WEIGHT:
        heaviest = min(
            marks, key=lambda each: (-int(each.label), each.start - each.end, each.start)
        )
        counted.append(heaviest)
        weight += int(heaviest.label)
        marks = [each for each in marks if not heaviest.overlaps(each)]
    return weight, counted[0] if counted else None
