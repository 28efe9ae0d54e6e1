"""Inbound: what contacts write, what receipts report, and what follows from it."""

from __future__ import annotations

from daemon.inbound.handler import InboundHandler

__all__ = ["InboundHandler"]
