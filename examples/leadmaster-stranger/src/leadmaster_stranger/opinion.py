"""A stricter word on some messages."""

from __future__ import annotations

from daemon.api.opinions import Opinion, OpinionRequest, VetoEffect

SOURCE = "stranger"
DELICATE = "urgente"


def opinion_on(request: OpinionRequest, quiet: frozenset[str]) -> Opinion | None:
    """Block quiet countries, let a person read what is "urgent", and say nothing of the rest."""
    country = request.facts.get("prospect.country")
    if country in quiet:
        return Opinion(SOURCE, VetoEffect.BLOCK, f"We do not write to {country}")
    if DELICATE in str(request.facts.get("message.text", "")).casefold():
        return Opinion(SOURCE, VetoEffect.HOLD, f"A person should read what says «{DELICATE}»")
    return None
