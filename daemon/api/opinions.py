"""Opinions of plugins on a message before the gate; they can only be stricter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rules.verdict import Defer, DeferKind, Opinion, VetoEffect

__all__ = ["Defer", "DeferKind", "Opinion", "OpinionRequest", "VetoEffect"]


@dataclass(frozen=True, slots=True)
class OpinionRequest:
    """One message before the gate: its id, recipient (E.164), session, channel and facts.

    ``facts`` is the snapshot that the rules will see, by vocabulary name; a copy.
    """

    message: str
    recipient: str
    session: str
    channel: str
    facts: Mapping[str, object]
