"""The figures of `/metrics`, gathered anew at each scrape from tables, rooms and the tally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from daemon.http.house import House
from daemon.http.tally import Tally
from daemon.rulebook.state import RulesetStatus
from storage import decisions, messages

CONTENT_TYPE = CONTENT_TYPE_LATEST


async def exposition(house: House, tally: Tally, lag: float) -> bytes:
    """Return every figure in Prometheus' text format."""
    registry = CollectorRegistry()
    queues = await house.database.read(messages.counts)
    verdicts = await house.database.read(decisions.counts)
    views = house.sessions.views()
    connections = Counter(str(view.state) for view in views)
    _gauges(registry, "messages", "Messages in each state.", "state", queues)
    _gauges(registry, "sessions", "Sessions in each connection state.", "state", connections)
    _gauge(registry, "event_loop_lag_seconds", "By how much the event loop runs late.", lag)
    _gauge(registry, "event_subscribers", "Listeners on the bus.", house.bus.subscribers)
    _gauge(registry, "halted", "1 while sending is halted.", int(bool(await house.halt.state())))
    _rules(registry, house.rule_desk.state())
    registry.register(
        _Counts(
            ("decisions", "Decisions of the gate by verdict.", "verdict", verdicts),
            ("events", "Events since the start.", "type", tally.events),
            ("gate_faults", "Judgements that failed closed.", "reason_code", tally.gate_faults),
            ("plugin_failures", "Hooks that raised or ran late.", "plugin", tally.plugin_failures),
            ("writer_commits", "Transactions on the disk.", "", {"": house.database.commits}),
        )
    )
    return generate_latest(registry)


def _rules(registry: CollectorRegistry, state: RulesetStatus) -> None:
    """The hash is a label: a change of rules is a step in every graph beside it."""
    live = {state.gate.hash: 1, state.score.hash: 1}
    _gauges(registry, "rules_live", "1 for each rule set in force.", "hash", live)
    waiting = int(state.waiting is not None)
    _gauge(registry, "rules_waiting", "1 while changed rules wait for a person.", waiting)
    problems = 0 if state.rejected is None else len(state.rejected.problems)
    _gauge(registry, "rules_problems", "Problems of files that could not go live.", problems)


class _Counts(Collector):
    """Counters whose values are kept elsewhere: name, help, label and value by label."""

    def __init__(self, *families: tuple[str, str, str, Mapping[str, int]]) -> None:
        self._families = families

    def collect(self) -> list[CounterMetricFamily]:
        """Return the families as the library wants them."""
        return [_family(name, text, label, values) for name, text, label, values in self._families]


def _family(name: str, text: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"leadmaster_{name}", text, labels=[label] if label else [])
    for value, count in values.items():
        family.add_metric([value] if label else [], count)
    return family


def _gauge(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(f"leadmaster_{name}", text, registry=registry).set(value)


def _gauges(
    registry: CollectorRegistry, name: str, text: str, label: str, values: Mapping[str, int]
) -> None:
    family = Gauge(f"leadmaster_{name}", text, [label], registry=registry)
    for value, count in values.items():
        family.labels(value).set(count)
