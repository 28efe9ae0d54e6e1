"""The events that a plugin may observe: each stored one, and the pairing code that never is."""

from __future__ import annotations

from daemon.events import (
    ClockStepped,
    ContactReopened,
    ContactSuppressed,
    DomainEvent,
    GateFaulted,
    ImportFinished,
    InboundReceived,
    MessageChanged,
    PluginFailed,
    ProspectChanged,
    RuleFilesRejected,
    RulesAwaitingAcceptance,
    RulesLoaded,
    SendingHalted,
    SendingResumed,
    SessionChanged,
    SessionDeleted,
    SessionQrShown,
    SignalQuarantined,
    SignalSettled,
)

__all__ = [
    "ClockStepped",
    "ContactReopened",
    "ContactSuppressed",
    "DomainEvent",
    "GateFaulted",
    "ImportFinished",
    "InboundReceived",
    "MessageChanged",
    "PluginFailed",
    "ProspectChanged",
    "RuleFilesRejected",
    "RulesAwaitingAcceptance",
    "RulesLoaded",
    "SendingHalted",
    "SendingResumed",
    "SessionChanged",
    "SessionDeleted",
    "SessionQrShown",
    "SignalQuarantined",
    "SignalSettled",
]
