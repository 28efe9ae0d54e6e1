"""The services and callbacks that every session is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from daemon.api.clock import Clock
from daemon.api.permit import PermitVerifier
from daemon.api.signals import Signal
from daemon.api.transport import Channel
from daemon.bus import EventBus
from storage.db import Database

SignalSink: TypeAlias = Callable[[str, Any], Awaitable[object]]
"""Stores a signal of a session, by name; awaited before the next signal is taken."""


@dataclass(frozen=True, slots=True)
class SessionDependencies:
    """The ports of a session. ``sinks`` take what must never be lost, by kind of signal."""

    clock: Clock
    database: Database
    bus: EventBus
    verifier: PermitVerifier
    channels: Mapping[str, Channel]
    channel_options: Mapping[str, Mapping[str, object]]
    folder: Path
    rng: Random
    sinks: Mapping[type[Signal], SignalSink]
    on_ready: Callable[[str], None]
    refused_signals: Counter[str] = field(default_factory=Counter)
    """How many signals each session could make nothing of."""
