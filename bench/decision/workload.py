"""The workload that every peer is given: how many rules, and the facts of each decision."""

from __future__ import annotations

KNOWN_FACTS = {
    "score": 50,
    "permission": "opted_in",
    "kind": "commercial",
    "on_whatsapp": "yes",
    "suppressed": False,
    "validado_tecnicamente": True,
    "first_contact": False,
}
"""What every decision knows besides: the facts that ours requires, for the peers to carry too."""


def sent_counts(number: int, size: int, *, every: bool) -> tuple[int, int]:
    """Messages in 30 and in 7 days: `every` rule fires, or about four in ten of them."""
    return (size, 0) if every else (number % size, number % 7)
