"""What every session is built with: clock, database, channels, and where its signals are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from msgspec import Struct, field

from daemon.api.clock import Clock
from daemon.api.permit import PermitVerifier
from daemon.api.signals import Signal
from daemon.api.transport import Channel
from daemon.bus import EventBus
from daemon.sessions.signal_check import RejectedSignal
from daemon.sessions.transitions import SHIPPED_SETTINGS
from daemon.settings import SessionSettings
from storage.db import Database

SignalSink: TypeAlias = Callable[[str, Any], Awaitable[object]]
"""Stores a signal of the session named; awaited before the next signal is read."""


class SessionDependencies(Struct, frozen=True):
    """What every session is built with. ``sinks`` store signals that must not be lost, by class."""

    clock: Clock
    database: Database
    bus: EventBus
    verifier: PermitVerifier
    channels: Mapping[str, Channel]
    channel_options: Mapping[str, Mapping[str, object]]
    folder: Path
    rng: Random
    sinks: Mapping[type[Signal], SignalSink]
    on_rejected: Callable[[str, RejectedSignal], Awaitable[object]]
    """Quarantines a signal that can't be stored; awaited as the sinks are."""
    settings: SessionSettings = SHIPPED_SETTINGS
    refused_signals: Counter[str] = field(default_factory=Counter)
    """How many signals were refused, by session."""
