"""Inbound: what contacts write, what receipts say, and what follows from it."""

from __future__ import annotations

from daemon.inbound.desk import InboundDesk

__all__ = ["InboundDesk"]
