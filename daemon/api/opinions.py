"""Opinions of plugins on a message that the gate evaluates; they can only make it stricter."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from rules.verdict import Defer, DeferKind, Opinion, VetoEffect

__all__ = ["Defer", "DeferKind", "Opinion", "OpinionRequest", "VetoEffect"]


class OpinionRequest(Struct, frozen=True):
    """A message that the gate evaluates: its id, recipient (E.164), session, channel and facts.

    ``facts`` is a copy of the facts that the rules read, by name.
    """

    message: str
    recipient: str
    session: str
    channel: str
    facts: Mapping[str, object]
