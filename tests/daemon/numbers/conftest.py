"""Fixtures of these tests: the messaging services, and log lines without colours."""

from __future__ import annotations

from tests.helpers.services.messaging_scenarios import plain_logs, services

__all__ = ["plain_logs", "services"]
