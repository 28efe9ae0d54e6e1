"""Hypothesis's profiles: how many examples it draws, and which health checks it makes."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, settings

_DEFAULT_EXAMPLES: Final = 100  # where a test gives no number
_SHORT_EXAMPLES: Final = 50  # each commit draws others
_LONG_FACTOR: Final = 20  # times as many


def register_profiles() -> None:
    """Register the three profiles; each prints the line that reproduces a failure."""
    # No deadlines: how long an example takes depends on the machine's load.
    profile = settings(
        max_examples=_DEFAULT_EXAMPLES,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("dev", profile)
    settings.register_profile("ci", profile, database=None, max_examples=_SHORT_EXAMPLES)
    settings.register_profile("long", profile, max_examples=_DEFAULT_EXAMPLES * _LONG_FACTOR)


def examples(count: int, **special: Any) -> settings:  # noqa: ANN401 - as `settings` takes them
    """Return settings with so many examples, half in CI, more in a long run, and `special` ones."""
    times = settings().max_examples / _DEFAULT_EXAMPLES
    return settings(max_examples=max(1, round(count * times)), **special)
