"""Inbound: what sessions report of contacts and of our messages, and what follows from it."""

from __future__ import annotations

from daemon.inbound.signal_handlers import SignalHandlers, build_signal_handlers

__all__ = ["SignalHandlers", "build_signal_handlers"]
