"""How many examples Hypothesis draws, and what it may be strict about: the same for every test."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import HealthCheck, settings

_USUAL: Final = 100  # examples, where a test asks for no number of its own
_LONG: Final = 20  # times as many


def register() -> None:
    """Make known the three profiles; each prints what brings a failure back.

    How long an example takes depends on who else uses the machine: no test is judged by it.
    """
    house = settings(
        max_examples=_USUAL,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("dev", house)
    settings.register_profile("ci", house, database=None)
    settings.register_profile("long", house, max_examples=_USUAL * _LONG)


def examples(count: int, **special: Any) -> settings:  # noqa: ANN401 - as `settings` takes them
    """Draw so many examples, in a long run more; `special` is what this test alone needs."""
    times = settings().max_examples / _USUAL
    return settings(max_examples=max(1, round(count * times)), **special)
