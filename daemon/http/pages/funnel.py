"""The day's funnel as a picture: one smooth shape whose height tells how many came how far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final

from storage.listings import MessageFunnel

CHART_STEP_WIDTH: Final = 120
CHART_HEIGHT: Final = 96
_MIN_CHART_HEIGHT: Final = 2.0
ChartPoint = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step of the way: its word's key, how many came so far, and its share of the first."""

    key: str
    count: int
    share: int


@dataclass(frozen=True, slots=True)
class FunnelChart:
    """The steps, and the outline of the shape in a box of `width` by `height`."""

    steps: tuple[FunnelStep, ...]
    outline: str
    width: int
    height: int


def build_funnel_chart(found: MessageFunnel) -> FunnelChart:
    """Return the picture of a day; shares are whole percents of what was asked for."""
    counts = [(field.name, int(getattr(found, field.name))) for field in fields(found)]
    most = max(1, *(count for _, count in counts))
    steps = tuple(
        FunnelStep(name, count, round(100 * count / found.asked) if found.asked else 0)
        for name, count in counts
    )
    heights = [max(_MIN_CHART_HEIGHT, CHART_HEIGHT * step.count / most) for step in steps]
    return FunnelChart(steps, _build_outline(heights), CHART_STEP_WIDTH * len(steps), CHART_HEIGHT)


def _build_outline(heights: list[float]) -> str:
    """Return the path: along the top from left to right, back along the bottom."""
    middle = CHART_HEIGHT / 2
    top: list[ChartPoint] = [
        (place * CHART_STEP_WIDTH, middle - height / 2) for place, height in enumerate(heights)
    ]
    top.append((len(heights) * CHART_STEP_WIDTH, top[-1][1]))
    bottom = [(x, CHART_HEIGHT - y) for x, y in reversed(top)]
    return f"M{_build_curve(top)} L{_build_curve(bottom)} Z"


def _build_curve(points: Sequence[ChartPoint]) -> str:
    """Return a line that leaves and meets each point level."""
    parts = [f"{points[0][0]:g} {points[0][1]:.1f}"]
    for (x, y), (next_x, next_y) in pairwise(points):
        half = (x + next_x) / 2
        parts.append(f"C{half:g} {y:.1f} {half:g} {next_y:.1f} {next_x:g} {next_y:.1f}")
    return " ".join(parts)
