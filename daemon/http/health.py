"""The daemon's health: `/health`, `/ready`, `/metrics`, and what the watchdog checks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct, field

from daemon.background import run_in_background
from daemon.backup.status import BackupConcern
from daemon.bus import EventBus, SubscriberLagged
from daemon.errors import Unavailable
from daemon.events import DomainEvent, GateFaulted, PluginFailed
from daemon.http.bodies import ResponseBody, json_response
from daemon.http.openapi import operation
from daemon.http.proxy_headers import get_client_address, is_https
from daemon.http.version import VERSION
from daemon.outbox.check_waits import count_expiring_messages
from daemon.outbox.number_status import list_number_statuses
from daemon.services import Services
from daemon.sessions.status import describe_block
from rules.evaluator import BOTH_ENGINES
from storage import history, session_queue
from storage.errors import StorageError
from storage.halts import HaltRecord
from storage.session_queue import BlockedCount
from storage.sessions import list_sessions
from storage.tx import Reader, Tx


class EventCounts:
    """Counts events by type, gate faults by reason, and plugin failures by plugin."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.gate_faults: Counter[str] = Counter()
        self.plugin_failures: Counter[str] = Counter()

    def count(self, event: DomainEvent) -> None:
        """Count one event."""
        self.events[event.type] += 1
        if isinstance(event, GateFaulted):
            self.gate_faults[event.reason_code] += 1
        elif isinstance(event, PluginFailed):
            self.plugin_failures[event.subject] += 1

    @contextlib.asynccontextmanager
    async def counting(self, bus: EventBus) -> AsyncIterator[None]:
        """Count published events for the length of the block."""
        async with run_in_background(self._listen(bus), "event-counts"):
            yield

    async def _listen(self, bus: EventBus) -> None:
        while True:  # after a lag some counts are missing, but counting goes on
            with contextlib.suppress(SubscriberLagged):
                async for published in bus.subscribe():
                    self.count(published.event)


LOOP_LAG_LIMIT_SECONDS: Final = 5.0
WRITER_LIMIT_SECONDS: Final = 10.0
OUTBOX_LIMIT_SECONDS: Final = 60.0


class ReadinessBlocker(Struct, frozen=True):
    """One reason why the daemon can't do its work.

    For a session that can't send, `messages` is how many wait for it.
    """

    code: str
    sentence: str
    session: str | None = None
    messages: int | None = None


class HealthWarning(Struct, frozen=True):
    """Something that a person should know although the daemon does its work."""

    code: str
    sentence: str


def format_concern(concern: BackupConcern) -> HealthWarning:
    """Return what is wrong with the backups as a warning, with what to do."""
    return HealthWarning(concern.code, f"{concern.sentence} {concern.hint}")


ONE_ENGINE_WARNING: Final = HealthWarning(
    "one_engine",
    "Only one rule engine is in use: durable-rules is not installed, does not load, or is switched "
    "off.",
)


HISTORY_UNKNOWN_WARNING: Final = HealthWarning(
    "history_unknown",
    "What was sent before is not known, so who said no then is written to again. Import it:"
    " leadmaster history import FILE; or say that there is none: leadmaster history none"
    " --reason WHY",
)


HALT_NOT_STORED_WARNING: Final = HealthWarning(
    "halt_not_stored",
    "Sending is halted, but the disk refused to store that: a restart would lose the halt. Free"
    " some space on the disk; the daemon then stores it by itself.",
)


class DaemonHealth(Struct):
    """Finds what blocks the daemon. `lag` returns by how many seconds the event loop is late.

    `services` is None until they are open, and again when they close.
    """

    lag: Callable[[], float]
    services: Services | None = None
    closing: bool = False
    addresses: dict[str, str] = field(default_factory=dict)
    """The address of each server that is open."""
    event_counts: EventCounts = field(default_factory=EventCounts)

    async def find_blockers(self) -> list[ReadinessBlocker]:
        """Return every reason why the daemon is not ready; empty means ready."""
        if self.closing:
            return [ReadinessBlocker("closing", "LeadMaster is shutting down.")]
        if self.services is None:
            return [
                ReadinessBlocker("migrations", "The database is being opened and migrated."),
                ReadinessBlocker("rules", "The rules are not loaded yet."),
                ReadinessBlocker(
                    "outbox", "The messages of before the start are not restored yet."
                ),
            ]
        sockets = [] if "control" in self.addresses else [_build_socket_blocker()]
        delays, writer = self._find_delays(self.services), await _check_writer(self.services)
        # A database that failed its check is not queried: that would only fail or hang again.
        blocked = [] if writer else await _find_blocked_messages(self.services)
        return [*sockets, *delays, *writer, *blocked]

    async def find_warnings(self) -> list[HealthWarning]:
        """Return what a person should know although it blocks nothing."""
        if self.services is None:
            return []
        status = self.services.ruleset_service.get_status()
        is_checked_twice = status.gate.engine == status.score.engine == BOTH_ENGINES
        engines = [] if is_checked_twice else [ONE_ENGINE_WARNING]
        return [
            *engines,
            *await _find_halt_warnings(self.services),
            *await _find_history_warnings(self.services),
            *map(format_concern, self.services.backups.list_concerns()),
            *await _find_alert_warnings(self.services),
            *await _find_quarantine_warnings(self.services),
            *await _find_number_warnings(self.services),
            *await _find_expiry_warnings(self.services),
        ]

    async def find_stalls(self) -> list[ReadinessBlocker]:
        """Return the parts that hang, for which the watchdog is not fed: a restart may help."""
        if self.services is None:
            return []
        trouble = await _check_writer(self.services)
        # A full disk is no stall: a restart would not help.
        return [
            *self._find_delays(self.services),
            *(each for each in trouble if each.code == "writer"),
        ]

    def _find_delays(self, services: Services) -> list[ReadinessBlocker]:
        found: list[ReadinessBlocker] = []
        if (late := self.lag()) > LOOP_LAG_LIMIT_SECONDS:
            found.append(ReadinessBlocker("loop", f"LeadMaster does everything {late:.1f} s late."))
        if (age := time.monotonic() - services.outbox.last_active) > OUTBOX_LIMIT_SECONDS:
            found.append(ReadinessBlocker("outbox", f"No message was looked at for {age:.0f} s."))
        return found


async def _check_writer(services: Services) -> list[ReadinessBlocker]:
    """Return a blocker where the database's writer does not answer, or refuses a job."""
    try:
        async with asyncio.timeout(WRITER_LIMIT_SECONDS):
            # An empty job: its answer proves that the writer's thread works.
            await services.database.write(_write_nothing, urgent=True)
    except TimeoutError:
        return [
            ReadinessBlocker(
                "writer", f"The database stored nothing for {WRITER_LIMIT_SECONDS:g} s."
            )
        ]
    except StorageError as error:
        return [ReadinessBlocker(error.code, error.sentence)]
    # On a full disk an empty job is no proof that others can be written.
    refusal = services.database.refusal
    return [] if refusal is None else [ReadinessBlocker(refusal.code, refusal.sentence)]


async def _find_blocked_messages(services: Services) -> list[ReadinessBlocker]:
    """Return a blocker for each session that can't send, with the count of its waiting messages."""
    found = await services.database.read(session_queue.list_blocked_counts)
    return [_build_session_blocker(each) for each in found]


def _build_session_blocker(found: BlockedCount) -> ReadinessBlocker:
    count = "1 message waits." if found.messages == 1 else f"{found.messages} messages wait."
    reason = describe_block(found.blocked_by, found.session)
    return ReadinessBlocker(
        found.blocked_by.value, f"{count} {reason}", found.session, found.messages
    )


async def _find_number_warnings(services: Services) -> list[HealthWarning]:
    """Return a warning for each number that begins no new chats, and each undecided budget."""
    now = services.clock.now()

    def query(reader: Reader) -> list[HealthWarning]:
        found = [
            HealthWarning(stop.code, f"{', '.join(number.sessions)}: {stop.sentence}")
            for number in list_number_statuses(reader, services.pacing, now)
            for stop in number.stops
        ]
        channels = {session.channel for session in list_sessions(reader)}
        undecided = services.budgets.list_undecided(reader, channels)
        return [*found, *map(_build_budget_warning, undecided)]

    try:
        return await services.database.read(query)
    except StorageError:
        return []  # a database that can't be read is reported as a blocker


def _build_budget_warning(budget: str) -> HealthWarning:
    return HealthWarning(
        "budget_not_decided",
        f"[pacing] {budget} allows more than a person decided, so it does not count. See: "
        "leadmaster budgets decide --help",
    )


def _write_nothing(_tx: Tx) -> None:
    """Write nothing."""


async def _find_halt_warnings(services: Services) -> list[HealthWarning]:
    try:
        halt = await services.halt.get_current()
    except StorageError:
        return []  # a database that can't be read is reported as a blocker
    return [] if halt is None or halt.stored else [HALT_NOT_STORED_WARNING]


async def _find_history_warnings(services: Services) -> list[HealthWarning]:
    try:
        settled = await services.database.read(history.is_history_settled)
    except StorageError:
        return []  # a database that can't be read is reported as a blocker
    return [] if settled else [HISTORY_UNKNOWN_WARNING]


async def _find_alert_warnings(services: Services) -> list[HealthWarning]:
    """Return a warning where the last alert did not reach everybody, or the last ping nobody."""
    if not services.backups.is_wanted:  # an injected clock: nobody is woken by a demonstration
        return []
    try:
        status = await services.alerts.read_status()
    except StorageError:
        return []  # a database that can't be read is reported as a blocker
    found = []
    if status.failure:
        found.append(f"The last alert did not reach everybody. {status.failure}")
    if status.ping is not None and status.ping.failure:
        found.append(f"The last ping did not arrive. {status.ping.failure}")
    return [HealthWarning("alerts_failed", f"{each} leadmaster alerts status") for each in found]


async def _find_quarantine_warnings(services: Services) -> list[HealthWarning]:
    try:
        count = await services.signal_handlers.quarantine.count_unsettled()
    except StorageError:
        return []  # a database that can't be read is reported as a blocker
    if not count:
        return []
    what = "1 incoming item" if count == 1 else f"{count} incoming items"
    sentence = f"{what} could not be stored and must be looked at: leadmaster quarantine list"
    return [HealthWarning("quarantine", sentence)]


async def _find_expiry_warnings(services: Services) -> list[HealthWarning]:
    now = services.clock.now()
    try:
        expiring = await services.database.read(partial(count_expiring_messages, at=now))
    except StorageError:
        return []  # that the database can't be asked is a blocker of its own
    if not expiring.count:
        return []
    what = "1 message expires" if expiring.count == 1 else f"{expiring.count} messages expire"
    sentence = (
        f"{what} within a day because nobody checked the number. Validate numbers yourself: "
        "leadmaster review list"
    )
    return [HealthWarning("expiring", sentence)]


def _build_socket_blocker() -> ReadinessBlocker:
    return ReadinessBlocker("sockets", "The control socket is not open yet.")


DAEMON_HEALTH: Final = web.AppKey("daemon_health", DaemonHealth)


def get_services(request: web.Request) -> Services:
    """Return the services of this server; raise :class:`Unavailable` while they are not open."""
    return require_services(request.app[DAEMON_HEALTH])


def require_services(daemon_health: DaemonHealth) -> Services:
    """Return the services; raise :class:`Unavailable` while they are not open."""
    if daemon_health.services is None:
        raise Unavailable("LeadMaster is starting or ending, so nothing is served just now.")
    return daemon_health.services


routes = web.RouteTableDef()


class HealthClient(ResponseBody, frozen=True):
    """The client as the daemon sees it; `address` is empty on the control socket."""

    address: str
    https: bool


class Liveness(ResponseBody, frozen=True):
    """The process runs, and its event loop answers. `client` shows what a proxy in front says."""

    status: Literal["alive"]
    version: str
    client: HealthClient


class Readiness(ResponseBody, frozen=True):
    """Whether messages are judged and sent, and every reason why not.

    Warnings and a halt block nothing.
    """

    ready: bool
    blockers: Sequence[ReadinessBlocker]
    warnings: Sequence[HealthWarning]
    halt: HaltRecord | None


@routes.get("/health")
@operation(Liveness)
async def get_health(request: web.Request) -> web.Response:
    """Answer 200 while the process runs and its event loop answers."""
    client = HealthClient(get_client_address(request), is_https(request))
    return json_response(Liveness("alive", VERSION, client))


@routes.get("/ready")
@operation(Readiness, other_answers={503: Readiness})
async def get_readiness(request: web.Request) -> web.Response:
    """Answer 200 when messages are judged and sent, else 503 with every reason why not.

    A halt is a person's decision and no fault: it is shown and blocks nothing.
    """
    daemon_health = request.app[DAEMON_HEALTH]
    blockers, halt = await daemon_health.find_blockers(), None
    if daemon_health.services is not None:
        with contextlib.suppress(StorageError):  # that is a blocker
            halt = await daemon_health.services.halt.get_current()
    readiness = Readiness(not blockers, blockers, await daemon_health.find_warnings(), halt)
    return json_response(readiness, status=503 if blockers else 200)


@routes.get("/metrics")
@operation(str, media_types=("text/plain",))
async def get_metrics(request: web.Request) -> web.Response:
    """Return the metrics in Prometheus' text format."""
    from daemon.http import metrics  # noqa: PLC0415 - loaded at the first scrape: most installations have none

    daemon_health = request.app[DAEMON_HEALTH]
    text = await metrics.render_metrics(
        get_services(request), daemon_health.event_counts, daemon_health.lag()
    )
    return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})
