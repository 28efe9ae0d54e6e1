"""Inbound: what contacts write, what receipts say, and what follows from it."""

from __future__ import annotations

from daemon.inbound.desk import InboundHandler

__all__ = ["InboundHandler"]
