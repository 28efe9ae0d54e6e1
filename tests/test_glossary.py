"""Every Spanish word of the vocabulary stands in the glossary."""

from __future__ import annotations

from pathlib import Path

from rules.facts import FACTS

GLOSSARY = (Path(__file__).parent.parent / "docs" / "glossary.md").read_text(encoding="utf-8")

_WORDS = """
    24h 30d 7d age answered approved automatic blocked bounces business by campaign channel chats
    clock commercial complaint complaints contact country data days duplicate first history holiday
    hour in inbound intent kind length line links listed local message name new number on open
    permission prospect rate register review sending sent session similarity since state suppressed
    template text type typed unanswered undelivered validation weekday whatsapp window
    """
ENGLISH = frozenset(_WORDS.split())
"""Words that facts are named with; one that is not here must be explained in the glossary."""


def test_every_fact_is_named_in_english_or_explained() -> None:
    """A fact with a word that is not English has a row of its own in the glossary."""
    foreign = [
        name.split(".", 1)[1]
        for name in FACTS
        if not ENGLISH.issuperset(name.replace(".", "_").split("_"))
    ]
    assert foreign, "the vocabulary has Spanish terms: this test would not see them"
    missing = [name for name in foreign if f"| `{name}` |" not in GLOSSARY]
    assert not missing
