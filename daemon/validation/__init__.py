"""Technical validation: whether a prospect's number reaches them, and how we know."""

from __future__ import annotations

from daemon.validation.room import NumberChecker, ValidationService

__all__ = ["NumberChecker", "ValidationService"]
