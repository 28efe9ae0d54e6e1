"""How many examples Hypothesis draws, and what it may be strict about: the same for every test."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, settings

_DEFAULT_EXAMPLES: Final = 100  # examples, where a test asks for no number of its own
_LONG_FACTOR: Final = 20  # times as many


def register_profiles() -> None:
    """Make known the three profiles; each prints what brings a failure back.

    How long an example takes depends on who else uses the machine: no test is judged by it.
    """
    services = settings(
        max_examples=_DEFAULT_EXAMPLES,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("dev", services)
    settings.register_profile("ci", services, database=None)
    settings.register_profile("long", services, max_examples=_DEFAULT_EXAMPLES * _LONG_FACTOR)


def examples(count: int, **special: Any) -> settings:  # noqa: ANN401 - as `settings` takes them
    """Draw so many examples, in a long run more; `special` is what this test alone needs."""
    times = settings().max_examples / _DEFAULT_EXAMPLES
    return settings(max_examples=max(1, round(count * times)), **special)
