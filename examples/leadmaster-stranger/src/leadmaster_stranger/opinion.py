"""A stricter word on some messages."""

from __future__ import annotations

from daemon.api.questions import Effect, Opinion, Question

SOURCE = "stranger"
DELICATE = "urgente"


def opinion_on(question: Question, quiet: frozenset[str]) -> Opinion | None:
    """Block quiet countries, let a person read what is "urgent", and say nothing of the rest."""
    country = question.facts.get("prospect.country")
    if country in quiet:
        return Opinion(SOURCE, Effect.BLOCK, f"We do not write to {country}")
    if DELICATE in str(question.facts.get("message.text", "")).casefold():
        return Opinion(SOURCE, Effect.HOLD, f"A person should read what says «{DELICATE}»")
    return None
