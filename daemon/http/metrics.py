"""Builds the metrics of `/metrics` in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from daemon.http.health import EventCounts
from daemon.rulesets.status import RulesetStatus
from daemon.services import Services
from storage import decisions, messages

CONTENT_TYPE = CONTENT_TYPE_LATEST


async def render_metrics(services: Services, event_counts: EventCounts, lag: float) -> bytes:
    """Return all metrics in Prometheus' text format."""
    # A new registry for each scrape: states and sessions that are gone leave no stale series.
    registry = CollectorRegistry()
    queues = await services.database.read(messages.count_messages_by_state)
    verdicts = await services.database.read(decisions.count_decisions_by_verdict)
    views = services.sessions.views()
    connections = Counter(str(view.state) for view in views)
    _add_labelled_gauge(registry, "messages", "Messages in each state.", "state", queues)
    _add_labelled_gauge(
        registry, "sessions", "Sessions in each connection state.", "state", connections
    )
    _add_gauge(registry, "event_loop_lag_seconds", "By how much the event loop runs late.", lag)
    _add_gauge(
        registry, "event_subscribers", "Listeners on the bus.", services.bus.subscriber_count
    )
    _add_gauge(
        registry,
        "halted",
        "1 while sending is halted.",
        int(bool(await services.halt.get_current())),
    )
    _add_rule_gauges(registry, services.ruleset_service.get_status())
    registry.register(_build_counters(verdicts, event_counts, services.database.commits))
    return generate_latest(registry)


def _build_counters(
    verdicts: Mapping[str, int], event_counts: EventCounts, commits: int
) -> _StoredCounters:
    """Return the counters: decisions, events, faults, commits."""
    return _StoredCounters(
        ("decisions", "Decisions of the gate by verdict.", "verdict", verdicts),
        ("events", "Events since the start.", "type", event_counts.events),
        (
            "gate_faults",
            "Judgements that failed closed.",
            "reason_code",
            event_counts.gate_faults,
        ),
        (
            "plugin_failures",
            "Hooks that raised or ran late.",
            "plugin",
            event_counts.plugin_failures,
        ),
        ("writer_commits", "Transactions on the disk.", "", {"": commits}),
    )


def _add_rule_gauges(registry: CollectorRegistry, state: RulesetStatus) -> None:
    """Add the rulesets' hashes, as labels, and their pending changes and problems."""
    # By hash, so that a change of rules shows beside the other graphs as a step.
    live = {state.gate.hash: 1, state.score.hash: 1}
    _add_labelled_gauge(registry, "rules_live", "1 for each rule set in force.", "hash", live)
    waiting = int(state.waiting is not None)
    _add_gauge(registry, "rules_waiting", "1 while changed rules wait for a person.", waiting)
    problems = 0 if state.rejected is None else len(state.rejected.problems)
    _add_gauge(registry, "rules_problems", "Problems of files that could not go live.", problems)


class _StoredCounters(Collector):
    """Counters from stored values; each family is name, help, label, and value by label."""

    def __init__(self, *families: tuple[str, str, str, Mapping[str, int]]) -> None:
        self._families = families

    def collect(self) -> list[CounterMetricFamily]:
        """Return the metric families; called by the library at each scrape."""
        return [
            _build_counter_family(name, text, label, values)
            for name, text, label, values in self._families
        ]


def _build_counter_family(
    name: str, text: str, label: str, values: Mapping[str, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"leadmaster_{name}", text, labels=[label] if label else [])
    for value, count in values.items():
        family.add_metric([value] if label else [], count)
    return family


def _add_gauge(registry: CollectorRegistry, name: str, text: str, value: float) -> None:
    Gauge(f"leadmaster_{name}", text, registry=registry).set(value)


def _add_labelled_gauge(
    registry: CollectorRegistry, name: str, text: str, label: str, values: Mapping[str, int]
) -> None:
    family = Gauge(f"leadmaster_{name}", text, [label], registry=registry)
    for value, count in values.items():
        family.labels(value).set(count)
