"""`leadmaster run`: the house, its doors and its periodic jobs, under the runtime."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from daemon.cli.context import Here, pass_here
from daemon.cli.screen import explain

if TYPE_CHECKING:
    from daemon.app import House
    from daemon.http.vitals import Vitals
    from daemon.runtime import LoopLag, Runtime, Service
    from daemon.scheduler import Job
    from daemon.settings import Settings

REFUSED: Final = 2
STUBBORN_SECONDS: Final = 2.0
FAULT: Final = 3
_PRIVATE: Final = 0o077
"""The umask of a daemon: whatever it makes, it makes for itself alone."""


@click.command()
@click.option("--verbose", is_flag=True, help="Log what matters to developers too.")
@pass_here
def run(here: Here, *, verbose: bool) -> int:
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

    os.umask(_PRIVATE)
    logs.configure(level=logging.DEBUG if verbose else logging.INFO)
    try:
        return asyncio.run(_to_the_end(Runtime(here.settings(), service)))
    except LeadMasterError as error:
        return _refused(error.code, str(error), error.hint)
    except StorageError as error:
        return _refused(error.code, error.sentence, error.hint)
    except Exception:  # noqa: BLE001 - logged whole, and told to the service manager
        structlog.get_logger("runtime").exception("fault")
        explain("fault", "The daemon failed; the log above says where.", "Please report it.")
        return FAULT


async def _to_the_end(runtime: Runtime) -> int:
    """Live, and then end even where a plugin's task ignores that it was told to."""
    import asyncio

    import structlog

    status = await runtime.run()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, stubborn = await asyncio.wait(others, timeout=STUBBORN_SECONDS)
        if stubborn:
            names = sorted(task.get_name() for task in stubborn)
            structlog.get_logger("runtime").error("tasks_left_behind", tasks=names)
            sys.stdout.flush()
            os._exit(status)
    return status


def _refused(code: str, sentence: str, hint: str) -> int:
    sys.stdout.flush()
    explain(code, sentence, hint)
    return REFUSED


class _Served:
    """The open daemon as the runtime sees it."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals
        self.stalls = vitals.stalls

    async def status(self) -> str:
        """Say how many sessions are ready, and where the doors are."""
        house = self._vitals.house
        if house is None:
            return "starting"
        views = house.sessions.views()
        ready = sum(view.state == "ready" for view in views)
        halted = ", sending is halted" if await house.halt.state() else ""
        doors = ", ".join(self._vitals.doors.values())
        return f"{ready} of {len(views)} sessions ready{halted}; {doors}"

    def reload(self) -> None:
        """Try the rules' folder again."""
        if self._vitals.house is not None:
            self._vitals.house.rule_watch.ask()

    def closing(self) -> None:
        """Turn `/ready` to 503 before anything ends."""
        self._vitals.closing = True


def _jobs(house: House) -> list[Job]:
    """Return the rooms' jobs, and the one of the doors: uploads are kept for some days only."""
    from daemon.http.uploads import Uploads
    from daemon.scheduler import HOUR, Job, jobs_of

    uploads = Uploads(house.settings.state_dir)
    days = house.settings.retention.uploads

    async def forget() -> None:
        import asyncio

        await asyncio.to_thread(uploads.forget, house.clock.now() - timedelta(days=days))

    return [*jobs_of(house), Job("uploads", HOUR, forget)]


@contextlib.asynccontextmanager
async def service(
    settings: Settings, passed: Mapping[str, int], lag: LoopLag
) -> AsyncIterator[Service]:
    """Open the doors around the house; close them in the opposite order."""
    from daemon import scheduler
    from daemon.app import House
    from daemon.cli.greeting import greet
    from daemon.http.doors import control_door, public_door
    from daemon.http.vitals import Vitals

    vitals = Vitals(lag.seconds)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(public_door(settings, vitals, passed.get("http")))
        house = await stack.enter_async_context(House.open(settings))
        vitals.house = house
        await stack.enter_async_context(vitals.tally.listening(house.bus))
        await stack.enter_async_context(scheduler.running(_jobs(house)))
        await stack.enter_async_context(control_door(settings.control_socket, vitals))
        await greet(house, vitals.doors)
        yield _Served(vitals)
