"""`leadmaster run`: runs the daemon with its servers and periodic jobs."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from daemon.cli.console import print_error
from daemon.cli.context import CliContext, pass_cli_context

if TYPE_CHECKING:
    from daemon.http.health import DaemonHealth
    from daemon.runtime import EventLoopLag, Runtime, RuntimeService
    from daemon.scheduler import PeriodicJob
    from daemon.services import Services
    from daemon.settings import Settings

EXIT_REFUSED: Final = 2
TASK_END_SECONDS: Final = 2.0
_DESCRIPTORS: Final = 4096  # as in leadmaster.service
EXIT_FAULT: Final = 3
_HASH_LENGTH: Final = 12  # characters of a hash, as wherever people see one
_OPEN_COMMAND: Final = "leadmaster open NAME"
_FIRST_USER_COMMAND: Final = (
    f"leadmaster users add NAME --role admin --link-only; then {_OPEN_COMMAND}"
)
_PRIVATE_UMASK: Final = 0o077
"""The daemon's files are readable by its own user only."""


@click.command("run")
@click.option("--verbose", is_flag=True, help="Log what matters to developers too.")
@pass_cli_context
def run_daemon(cli: CliContext, *, verbose: bool) -> int:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C.

    Exits 2 when it refuses to start (a person must act), 3 after a fault (a restart may help).
    """
    import logging

    _share_malloc_arena()
    with _hide_optional_modules():
        import asyncio

        import aiohttp.web  # noqa: F401 - what serves the API, in the form that it keeps
        import structlog

    from daemon import logs
    from daemon.errors import LeadMasterError
    from daemon.runtime import Runtime
    from storage.errors import DatabaseReplaced, StorageError

    # Before any file is created.
    os.umask(_PRIVATE_UMASK)
    _raise_descriptor_limit()
    if cli.config:
        os.environ["LEADMASTER_CONFIG"] = str(cli.config.absolute())  # of which backups have a copy
    logs.configure_logging(level=logging.DEBUG if verbose else logging.INFO)
    try:
        return asyncio.run(_run_to_end(Runtime(cli.load_settings(), _open_in_process)))
    except LeadMasterError as error:
        return _report_refusal(error.code, str(error), error.hint)
    except DatabaseReplaced as error:
        _report_refusal(error.code, error.sentence, error.hint)
        # At once: a connection that is closed at the end of Python would delete the log of the file
        # that has the name now.
        os._exit(EXIT_REFUSED)
    except StorageError as error:
        return _report_refusal(error.code, error.sentence, error.hint)
    except Exception:  # noqa: BLE001 - logged in full; the exit status asks for a restart
        structlog.get_logger("runtime").exception("fault")
        print_error("fault", "The daemon failed; the log above says where.", "Please report it.")
        return EXIT_FAULT


@contextlib.contextmanager
def _hide_optional_modules() -> Iterator[None]:
    """Let an import inside the block find no rich, greenlet or, without foreign plugins, ssl.

    structlog loads two of them where they are installed: rich for a traceback with local variables,
    which no log of ours may show (65 modules, 3 MB), greenlet for programs that have some (1 MB).
    asyncio and aiohttp load ssl, with every certificate of the system (4 MB). The daemon has no TLS
    of its own: nginx has it in front, and what calls others runs in processes of its own. A foreign
    plugin may call others from within, so that both keep TLS where there is one.
    """
    from daemon.installed_plugins import has_third_party_plugin

    names = ("rich", "greenlet") if has_third_party_plugin() else ("rich", "greenlet", "ssl")
    hidden = [name for name in names if name not in sys.modules]
    # Without ssl these are loaded by half: who imports them later, as the library of metrics, must
    # find them whole.
    halves = [name for name in ("http.client", "urllib.request") if name not in sys.modules]
    for name in hidden:
        # None makes an import fail, as where it is not installed.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        for name in halves:
            sys.modules.pop(name, None)


def _share_malloc_arena() -> None:
    """Let all threads take memory from one place; call it before the first of them begins.

    Each would have an arena of its own, most of it unused: 1 MB after the start.
    """
    import ctypes

    arena_max = -8  # M_ARENA_MAX of mallopt(3)
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).mallopt(arena_max, 1)


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as the connections may take, where a shell would allow fewer."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.asynccontextmanager
async def _open_in_process(
    settings: Settings, passed: Mapping[str, int], lag: EventLoopLag
) -> AsyncIterator[RuntimeService]:
    """Open the daemon as all that this process does."""
    async with open_service(settings, passed, lag) as service:
        _settle_memory()
        yield service


def _settle_memory() -> None:
    """Give the memory back that only the start needed; never walk again what it has built."""
    import ctypes

    gc.collect()
    # A walk of the collector through all of it takes 70 ms, in the middle of an opt-out, say.
    gc.freeze()
    with contextlib.suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


async def _run_to_end(runtime: Runtime) -> int:
    """Run until the end, and then end the tasks that are left."""
    import asyncio

    import structlog

    status = await runtime.run()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, stubborn = await asyncio.wait(others, timeout=TASK_END_SECONDS)
        if stubborn:
            names = sorted(task.get_name() for task in stubborn)
            structlog.get_logger("runtime").error("tasks_left_behind", tasks=names)
            # asyncio.run() would wait for them for ever: a plugin may ignore its cancellation.
            sys.stdout.flush()
            os._exit(status)
    return status


def _report_refusal(code: str, sentence: str, hint: str) -> int:
    sys.stdout.flush()
    print_error(code, sentence, hint)
    return EXIT_REFUSED


class _DaemonService:
    """What the runtime needs of the open daemon."""

    def __init__(self, health: DaemonHealth) -> None:
        self._health = health
        self.stalls = health.find_stalls

    async def status(self) -> str:
        """Return how many sessions are ready, what a person must mend, and the open addresses."""
        services = self._health.services
        if services is None:
            return "starting"
        views = services.sessions.views()
        ready = sum(view.state == "ready" for view in views)
        halted = await self._describe_sending(services)
        rejected = services.ruleset_service.get_status().rejected
        faulty = f", faulty rules: {rejected.problems[0]}" if rejected else ""
        addresses = ", ".join(self._health.addresses.values())
        return f"{ready} of {len(views)} sessions ready{halted}{faulty}; {addresses}"

    async def _describe_sending(self, services: Services) -> str:
        if services.database.refusal is not None:
            return f", nothing is sent: {services.database.refusal.sentence}"
        return ", sending is halted" if await services.halt.get_current() else ""

    async def reload(self) -> None:
        """Reload the file of phrases and the rules folder."""
        if self._health.services is not None:
            self._health.services.phrase_file.reload()
            await self._health.services.ruleset_watcher.reload()

    def closing(self) -> None:
        """Let `/ready` answer 503 before anything is closed."""
        self._health.closing = True


def _build_jobs(services: Services) -> list[PeriodicJob]:
    """Return the periodic jobs, with the one that deletes old uploads."""
    from daemon.http.uploads import UploadStore
    from daemon.scheduler import HOUR_SECONDS, PeriodicJob, build_periodic_jobs

    uploads = UploadStore(services.settings.state_dir)
    days = services.settings.retention.uploads

    async def delete_old_uploads() -> None:
        import asyncio

        before = services.clock.now() - timedelta(days=days)
        await asyncio.to_thread(uploads.delete_older, before)

    # Here and not in the scheduler, which is below HTTP and knows no uploads.
    job = PeriodicJob("uploads", HOUR_SECONDS, delete_old_uploads)
    return [*build_periodic_jobs(services), job]


@contextlib.asynccontextmanager
async def open_service(
    settings: Settings, passed: Mapping[str, int], lag: EventLoopLag
) -> AsyncIterator[RuntimeService]:
    """Open servers, services and jobs; close them in the opposite order."""
    from daemon import scheduler
    from daemon.bootstrap import open_services
    from daemon.http.health import DaemonHealth
    from daemon.http.server import serve_control_socket, serve_public

    health, inherited = DaemonHealth(lag.seconds), passed.get("http")
    async with contextlib.AsyncExitStack() as stack:
        if inherited is None:
            # First: /health and /ready answer while the database is opened and migrated.
            await stack.enter_async_context(serve_public(settings, health))
        services = await stack.enter_async_context(open_services(settings))
        health.services = services
        await stack.enter_async_context(health.event_counts.counting(services.bus))
        jobs = _build_jobs(services)
        await stack.enter_async_context(scheduler.run_scheduler(jobs, services.bus))
        if inherited is not None:
            # Only while all is open: before and after, requests wait in the service manager's
            # socket for this process or the next one, and none fails at a restart.
            await stack.enter_async_context(serve_public(settings, health, inherited))
        # Last: a command that reaches the socket finds everything open.
        await stack.enter_async_context(serve_control_socket(settings.control_socket, health))
        await _print_banner(services, health.addresses)
        yield _DaemonService(health)


async def _print_banner(services: Services, addresses: Mapping[str, str]) -> None:
    """Print the addresses as sentences on a terminal, or else log them as one line."""
    import structlog

    from daemon.cli.command_hints import expand_commands
    from storage import users

    gate, score = services.rulesets.gate, services.rulesets.score
    has_users = await services.database.read(users.list_users)
    facts = {
        **addresses,
        "state": str(services.settings.state_dir),
        "gate": gate.ruleset.hash[:_HASH_LENGTH],
        "score": score.ruleset.hash[:_HASH_LENGTH],
        "engine": gate.engine,
        "next": expand_commands(_OPEN_COMMAND if has_users else _FIRST_USER_COMMAND),
    }
    if sys.stderr.isatty():
        print(_format_banner(facts), file=sys.stderr)
    else:
        structlog.get_logger("daemon").info("listening", **facts)


def _format_banner(facts: Mapping[str, str]) -> str:
    return (
        f"LeadMaster is open: {facts['http']}, control socket {facts['control']},"
        f" state in {facts['state']}; rules: gate {facts['gate']}, score {facts['score']},"
        f" judged by {facts['engine']}.\n"
        f"Next: {facts['next']}"
    )
