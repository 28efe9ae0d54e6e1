"""`leadmaster run`: the daemon, its servers and its periodic jobs, under the runtime."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from daemon.cli.console import print_error
from daemon.cli.context import CliContext, pass_cli_context

if TYPE_CHECKING:
    from daemon.app import Application
    from daemon.http.health import DaemonHealth
    from daemon.runtime import EventLoopLag, Runtime, RuntimeService
    from daemon.scheduler import PeriodicJob
    from daemon.settings import Settings

EXIT_REFUSED: Final = 2
TASK_END_SECONDS: Final = 2.0
EXIT_FAULT: Final = 3
_PRIVATE_UMASK: Final = 0o077
"""The umask of a daemon: whatever it makes, it makes for itself alone."""


@click.command("run")
@click.option("--verbose", is_flag=True, help="Log what matters to developers too.")
@pass_cli_context
def run_daemon(cli: CliContext, *, verbose: bool) -> int:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C.

    Exits 2 when it refuses to start (a person must act), 3 after a fault (a restart may help).
    """
    import asyncio
    import logging

    import structlog

    from daemon import logs
    from daemon.errors import LeadMasterError
    from daemon.runtime import Runtime
    from storage.errors import StorageError

    os.umask(_PRIVATE_UMASK)
    logs.configure_logging(level=logging.DEBUG if verbose else logging.INFO)
    try:
        return asyncio.run(_run_to_end(Runtime(cli.load_settings(), open_service)))
    except LeadMasterError as error:
        return _report_refusal(error.code, str(error), error.hint)
    except StorageError as error:
        return _report_refusal(error.code, error.sentence, error.hint)
    except Exception:  # noqa: BLE001 - logged whole, and told to the service manager
        structlog.get_logger("runtime").exception("fault")
        print_error("fault", "The daemon failed; the log above says where.", "Please report it.")
        return EXIT_FAULT


async def _run_to_end(runtime: Runtime) -> int:
    """Live, and then end even where a plugin's task ignores that it was told to."""
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
            sys.stdout.flush()
            os._exit(status)
    return status


def _report_refusal(code: str, sentence: str, hint: str) -> int:
    sys.stdout.flush()
    print_error(code, sentence, hint)
    return EXIT_REFUSED


class _DaemonService:
    """The open daemon as the runtime sees it."""

    def __init__(self, vitals: DaemonHealth) -> None:
        self._vitals = vitals
        self.stalls = vitals.find_stalls

    async def status(self) -> str:
        """Say how many sessions are ready, and where the doors are."""
        house = self._vitals.services
        if house is None:
            return "starting"
        views = house.sessions.views()
        ready = sum(view.state == "ready" for view in views)
        halted = ", sending is halted" if await house.halt.get_current() else ""
        doors = ", ".join(self._vitals.addresses.values())
        return f"{ready} of {len(views)} sessions ready{halted}; {doors}"

    def reload(self) -> None:
        """Try the rules' folder again."""
        if self._vitals.services is not None:
            self._vitals.services.ruleset_watcher.request_reload()

    def closing(self) -> None:
        """Turn `/ready` to 503 before anything ends."""
        self._vitals.closing = True


def _build_jobs(house: Application) -> list[PeriodicJob]:
    """Return the rooms' jobs, and the one of the doors: uploads are kept for some days only."""
    from daemon.http.uploads import UploadStore
    from daemon.scheduler import HOUR_SECONDS, PeriodicJob, build_periodic_jobs

    uploads = UploadStore(house.settings.state_dir)
    days = house.settings.retention.uploads

    async def forget() -> None:
        import asyncio

        await asyncio.to_thread(uploads.delete_older, house.clock.now() - timedelta(days=days))

    return [*build_periodic_jobs(house), PeriodicJob("uploads", HOUR_SECONDS, forget)]


@contextlib.asynccontextmanager
async def open_service(
    settings: Settings, passed: Mapping[str, int], lag: EventLoopLag
) -> AsyncIterator[RuntimeService]:
    """Open the doors around the house; close them in the opposite order."""
    from daemon import scheduler
    from daemon.app import Application
    from daemon.cli.banner import print_banner
    from daemon.http.health import DaemonHealth
    from daemon.http.server import serve_control_socket, serve_public

    vitals = DaemonHealth(lag.seconds)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serve_public(settings, vitals, passed.get("http")))
        house = await stack.enter_async_context(Application.open(settings))
        vitals.services = house
        await stack.enter_async_context(vitals.event_counts.counting(house.bus))
        await stack.enter_async_context(scheduler.run_scheduler(_build_jobs(house)))
        await stack.enter_async_context(serve_control_socket(settings.control_socket, vitals))
        await print_banner(house, vitals.addresses)
        yield _DaemonService(vitals)
