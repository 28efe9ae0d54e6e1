"""Closed word lists that rules, storage and daemon share: channels, kinds of message, waits.

A leaf: it imports nothing, so that child processes and the command line may load it cheaply.
"""

from __future__ import annotations

from enum import StrEnum


class BuiltinChannel(StrEnum):
    """The channels that the daemon brings itself; plugins add others by name."""

    SIMULATED = "simulated"
    MANUAL = "manual"
    """An operator sends by hand; every other channel is automatic."""


class MessageKind(StrEnum):
    """What a message is, as the gate derives it; the words of rule files and of the column."""

    REPLY = "reply"
    TRANSACTIONAL = "transactional"
    COMMERCIAL = "commercial"
    OPT_OUT_CONFIRMATION = "opt_out_confirmation"


class WaitsFor(StrEnum):
    """What else than a time ends the deferral of a message."""

    CHECKED = "checked"
    """The recipient's number was checked."""
    SESSION = "session"
    """The session can send."""
    HALT = "halt"
    """A person resumed sending."""
