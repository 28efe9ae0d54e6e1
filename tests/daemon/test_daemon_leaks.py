"""Whatever a daemon tries, is refused or gives up, no connection, socket, pipe or file is left."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from daemon import subprocesses
from daemon.api.transport import CannotOpen
from daemon.backtest.messages import BacktestAnswer, BacktestRequest
from daemon.backtest.process import run_backtest_process
from daemon.cli.client import ControlClient
from daemon.cli.doctor_service import run_checks
from daemon.cli.serve import open_service
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.process import ImportProcess
from daemon.contacts.imports.process import ImportReadRequest as ImportRequest
from daemon.errors import LeadMasterError, StartRefused
from daemon.http import control_socket
from daemon.rulesets.check_process import RuleCheckProcess
from daemon.runtime import EventLoopLag
from daemon.settings import RulesSettings, Settings
from storage.errors import StorageError
from tests.helpers.client.http import build_settings
from tests.helpers.clock import FakeClock
from tests.helpers.leaks import assert_none_left_open
from tests.helpers.transport import open_unread_transport

_MUMBLE = "import time; print('x' * 200_000, end='', flush=True); time.sleep(99)"
MUMBLING = (sys.executable, "-c", _MUMBLE)
"""A child that says much and never ends its line."""


async def lived(settings: Settings) -> None:
    """Open all that `leadmaster run` opens, and close it."""
    async with open_service(settings, {}, EventLoopLag()):
        pass


async def test_a_life_leaves_nothing_open(short_folder: Path) -> None:
    """The first one loads what stays loaded; then what is opened is closed."""
    settings = build_settings(short_folder)
    await lived(settings)
    with assert_none_left_open():
        await lived(settings)


def bad_rules(settings: Settings) -> Settings:
    """Give it a rule file with a slip."""
    path = settings.state_dir / "gate.yaml"
    path.write_text("format: leadmaster/gate@1\nvetoes: 3\n", encoding="utf-8")
    return msgspec.structs.replace(settings, rules=RulesSettings(gate=(str(path),)))


def bad_database(settings: Settings) -> Settings:
    """Put a text in the database's place."""
    (settings.state_dir / "leadmaster.db").write_text("no database " * 99, encoding="utf-8")
    return settings


def bad_key(settings: Settings) -> Settings:
    """Cut the key that signs tokens."""
    for path in settings.state_dir.glob("token.key"):
        path.write_text("no key", encoding="utf-8")
    return settings


def socket_in_the_way(settings: Settings) -> Settings:
    """Put a file where the control socket goes: the last door, when all else is open."""
    settings.control_socket.write_text("precious", encoding="utf-8")
    return settings


def open_to_the_world(settings: Settings) -> Settings:
    """Ask for an address that is not to be had: the first door."""
    daemon = msgspec.structs.replace(settings.daemon, host="192.0.2.7", open_to_network=True)
    return msgspec.structs.replace(settings, daemon=daemon)


@pytest.mark.parametrize(
    "spoil", [bad_rules, bad_database, bad_key, socket_in_the_way, open_to_the_world]
)
async def test_a_refused_start_leaves_nothing_open(
    spoil: Callable[[Settings], Settings], short_folder: Path
) -> None:
    """Whatever was open by then is closed; the doctor, asked why, leaves nothing either."""
    settings = build_settings(short_folder)
    await lived(settings)
    settings = spoil(settings)
    run_checks(settings, ControlClient(settings.control_socket))
    with assert_none_left_open():
        for _ in range(2):
            with pytest.raises((LeadMasterError, StorageError)):
                await lived(settings)
        run_checks(settings, ControlClient(settings.control_socket))


async def test_a_start_that_is_interrupted_anywhere_leaves_nothing_open(
    short_folder: Path,
) -> None:
    """After a millisecond, after two, and so on until it is up."""
    settings = build_settings(short_folder)
    await lived(settings)
    milliseconds, done = 1, False
    while not done:
        with assert_none_left_open():
            life = asyncio.create_task(lived(settings))
            for _ in range(milliseconds):
                await asyncio.sleep(0.001)
            done = life.done()
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
        milliseconds += milliseconds // 4 + 1


@pytest.mark.parametrize("name", ["wire.jsonl", "told.jsonl"])
async def test_a_line_that_can_not_be_opened_leaves_nothing_open(name: str, tmp_path: Path) -> None:
    """It is tried again and again: each time would keep a file open."""
    (tmp_path / "ventas").mkdir()
    (tmp_path / "ventas" / name).write_text('{"a": 1}\nno json\n', encoding="utf-8")
    with assert_none_left_open():
        for _ in range(3):
            with pytest.raises((msgspec.MsgspecError, CannotOpen)):
                async with open_unread_transport(tmp_path, FakeClock()):
                    pass


def test_a_control_socket_that_is_refused_leaves_nothing_open(short_folder: Path) -> None:
    """A name that is too long, a file in its place, a folder that is a file, a living daemon."""
    (short_folder / "file").touch()
    with control_socket.bind_control_socket(short_folder / "taken"):
        taken = [short_folder / name for name in ("x" * 150, "file", "file/inner", "taken")]
        with assert_none_left_open():
            for path in taken:
                with pytest.raises(StartRefused):
                    control_socket.bind_control_socket(path)


async def backtest_given_up() -> None:
    """Ask for a backtest whose process mumbles."""
    request = BacktestRequest(
        "nowhere", datetime(2026, 1, 1, tzinfo=UTC), files=(), engines="reference", examples=1
    )
    answers: AsyncGenerator[BacktestAnswer, None] = run_backtest_process(request, MUMBLING)
    async with contextlib.aclosing(answers):
        await anext(answers)


async def import_given_up() -> None:
    """Read a file in a process that mumbles."""
    request = ImportRequest(
        path="nowhere", source="csv", options=ImportOptions(), region="AR", today=date(2026, 3, 3)
    )
    async with ImportProcess(MUMBLING).open_file(request):
        pass


async def trial_given_up() -> None:
    """Try rules in a process that mumbles."""
    await RuleCheckProcess(60, "reference", MUMBLING).check_files([])


@pytest.mark.parametrize("work", [backtest_given_up, import_given_up, trial_given_up])
async def test_a_child_that_is_given_up_leaves_no_pipe(work: Callable[[], Awaitable[None]]) -> None:
    """Its answers are not all read: the pipe is closed without them, when it is said to be gone."""
    await asyncio.gather(asyncio.to_thread(sum, ()))  # the loop's own thread is there before
    with assert_none_left_open(), pytest.raises(TimeoutError):
        await asyncio.wait_for(work(), 0.2)


async def test_a_child_that_talks_faster_than_anybody_listens_can_be_given_up() -> None:
    """Its pipe is full, and the reading of it is held up: neither keeps us from ending it."""
    command = (sys.executable, "-c", "while True: print('x' * 4096)")
    with assert_none_left_open():
        async with (
            asyncio.timeout(20),
            subprocesses.run_worker(command, max_line_bytes=8192) as child,
        ):
            assert await child.read_line()
            await asyncio.sleep(0.1)
