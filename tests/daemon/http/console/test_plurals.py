"""Numbers in sentences: none, one and many each have their words, in both languages."""

from __future__ import annotations

import re

import pytest

from daemon.http.console.language import LANGUAGES, Language, load_language

FIGURES = frozenset(
    {
        *(f"time.{way}.{unit}" for way in ("ago", "in") for unit in ("minutes", "hours")),
        "script.undo",
        "today.more",
        "budget.left",
        "pairing.code_of",
        "imports.record",
        "rules.from",
    }
)
"""Words in which a number stands apart: an abbreviation, an ordinal, a figure beside a figure."""
PERHAPS_NONE = (
    "prospects.means.invalidate",
    "prospects.means.correct",
    "prospects.means.cancels",
    "prospects.done.suppress",
    "imports.do",
    "imports.counts",
)
"""Sentences that are said as well where there is nothing to count."""
BOTH = [load_language(code) for code in LANGUAGES]
COUNTED = [
    key
    for key, word in BOTH[0].words.items()
    if "{n}" in word
    and not key.startswith("ruleset_admin.")
    and key not in FIGURES
    and not key.endswith((".one", ".none"))
]


@pytest.mark.parametrize("words", BOTH, ids=LANGUAGES)
@pytest.mark.parametrize("key", COUNTED)
def test_one_has_words_of_its_own(words: Language, key: str) -> None:
    """Nobody reads `1 messages`, and what is counted anew needs its singular to be shown."""
    assert words.has(f"{key}.one")
    assert "{n}" not in words.words[f"{key}.one"]


@pytest.mark.parametrize("words", BOTH, ids=LANGUAGES)
@pytest.mark.parametrize("key", PERHAPS_NONE)
def test_none_is_said_in_words(words: Language, key: str) -> None:
    """Nobody reads `cancels 0 waiting messages`."""
    assert not re.search(r"\b0\b", words(key, n=0, accepted=3))
