"""Rounds of A B A B …: what each took, and by how much ours is ahead, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

ROUND_COUNT = 7


@dataclass
class BenchRounds:
    """What peers took in each round; `ours`, where it is one of them, is compared with each."""

    subject: str
    ours: str = ""
    took: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)

    def add(self, peer: str, took: Mapping[str, float]) -> None:
        """Note one round: `p50`, `p99` and `cpu` in microseconds an operation, `rss` in MB.

        `p99_cpu`, where there is one, is what a busy machine leaves alone.
        """
        self.took.setdefault(peer, []).append(took)

    def ratios(self, peer: str, what: str) -> list[float]:
        """Return how often ours fits into the peer's, for each round."""
        pairs = zip(self.took[self.ours], self.took[peer], strict=True)
        return [theirs[what] / own[what] for own, theirs in pairs]

    def lines(self, goals: Mapping[str, float]) -> Iterator[str]:
        """Yield what was measured, for people; peers that have a goal and no round are absent."""
        yield self.subject
        for peer, rounds in self.took.items():
            middle = {what: median(each[what] for each in rounds) for what in rounds[0]}
            alone = f" ({middle['p99_cpu']:,.1f} µs of CPU)" if "p99_cpu" in middle else ""
            yield (
                f"  {peer}: p50 {middle['p50']:,.1f} µs, p99 {middle['p99']:,.1f} µs{alone},"
                f" CPU {middle['cpu']:,.1f} µs, peak RSS {max(e['rss'] for e in rounds):.0f} MB"
            )
            if peer != self.ours and self.ours in self.took:
                goal = f"; goal {goals[peer]:g}×" if peer in goals else ""
                cpu, p50 = self.ratios(peer, "cpu"), self.ratios(peer, "p50")
                less = f"{format_spread(cpu)} less CPU, {format_spread(p50)} less time"
                yield f"    ours takes {less}{goal}"
        for peer in goals:
            if peer not in self.took:
                yield f"  {peer}: not present"

    def document(self, *compared: str) -> dict[str, Any]:
        """Return all of it, for programs, with the ratios of what is compared."""
        peers = [peer for peer in self.took if peer != self.ours and self.ours in self.took]
        ratios = {
            peer: {
                what: {"median": median(found), "min": min(found), "max": max(found)}
                for what in compared or ("cpu", "p50")
                for found in [self.ratios(peer, what)]
            }
            for peer in peers
        }
        return {"subject": self.subject, "rounds": self.took, "ratios": ratios}


def format_spread(found: list[float]) -> str:
    """Return the median of some ratios, with the least and the most."""
    return f"{median(found):.1f}× ({min(found):.1f}..{max(found):.1f})"
