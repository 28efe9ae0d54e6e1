"""The conformance suite for transports, which plugin authors run on their channels."""

from __future__ import annotations

from daemon.conformance.bench import TimeLimits
from daemon.conformance.suite import (
    CONFORMANCE_CHECKS,
    ConformanceOutcome,
    ConformanceResult,
    check_channel,
    load_probe,
)

__all__ = [
    "CONFORMANCE_CHECKS",
    "ConformanceOutcome",
    "ConformanceResult",
    "TimeLimits",
    "check_channel",
    "load_probe",
]
