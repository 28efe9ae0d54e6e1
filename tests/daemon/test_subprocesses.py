"""Child processes end with whoever started them, and start as if nobody had started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import subprocesses
from tests.helpers.client.process import is_alive, poll_until

LINE = 4096
PARENT = """
import asyncio, sys
from daemon import subprocesses

async def main():
    async with subprocesses.run_worker(sys.argv[1:], 4096) as child:
        print((await child.read_line()).decode().strip(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
"""A program that starts one child, passes its first line on, and lives until it is ended."""
SPINS = "import os, re; print(os.getpid(), flush=True); re.match('(a|a)*b', 'a' * 99)"
"""A child that never listens again: the interpreter's lock is held for ever."""
MASKS = "echo $(awk '/Sig(Blk|Ign)/ {print $2}' /proc/self/status)"
UNHEARING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Starts Python as a careless script does with `&`: signals ignored and blocked."""


@contextlib.contextmanager
def parent(*child: str, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run the program that starts a child."""
    command = [sys.executable, *before, "-c", PARENT, *child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line of a program's output."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_child_dies_with_a_parent_that_was_killed() -> None:
    """Even one that spins and hears nothing: the kernel ends it."""
    with parent(sys.executable, "-c", SPINS) as process:
        pid = int(line_of(process))
        assert is_alive(pid)
        process.kill()
        poll_until(lambda: not is_alive(pid), "the end of the orphan")


def test_a_child_whose_parent_has_gone_already_does_not_begin(tmp_path: Path) -> None:
    """Between the start and the leash there is a moment; it is looked at."""
    mark = tmp_path / "begun"
    command = subprocesses.with_parent_death_signal(["touch", str(mark)], signal.SIGKILL)
    place = command.index(str(os.getpid()))
    command[place] = "1" if os.getppid() != 1 else "2"
    assert subprocess.run(command, check=False).returncode == 128 + signal.SIGKILL
    assert not mark.exists()


def test_a_child_inherits_no_deafness() -> None:
    """Whatever its parent ignores or blocks, the child hears."""
    with parent("sh", "-c", MASKS, before=("-c", UNHEARING)) as process:
        blocked, ignored = (int(word, 16) for word in line_of(process).split())
    assert blocked == 0
    # Two numbers are the C library's own, and no program's to set.
    assert not [each for each in signal.valid_signals() if ignored >> (each - 1) & 1]


async def test_a_child_has_no_terminal_and_is_gone_with_all_that_it_started() -> None:
    """It has a session of its own, and its own children end with it."""
    script = "sleep 99 & echo $$ $!; wait"
    async with subprocesses.run_worker(["sh", "-c", script], LINE) as child:
        pids = [int(word) for word in (await child.read_line()).split()]
        assert all(os.getsid(pid) == pids[0] != os.getsid(0) for pid in pids)
    poll_until(lambda: not any(map(is_alive, pids)), "the end of both")


async def test_a_command_that_is_not_there_answers_nothing() -> None:
    """It is as one that died at once."""
    async with subprocesses.run_worker(["/nowhere/at/all"], LINE) as child:
        await child.send_request(b"anybody?\n")
        assert await child.read_line() == b""


def test_a_daemon_beside_the_block_is_asked_to_end(tmp_path: Path) -> None:
    """With SIGTERM; what ignores that is killed."""
    with (tmp_path / "log").open("wb") as log:
        with subprocesses.run_daemon(["sleep", "99"], log, 9) as polite:
            poll_until(lambda: has_become("sleep", polite.pid), "the command")
        assert polite.returncode == -signal.SIGTERM
        deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
        with subprocesses.run_daemon(["sh", "-c", deaf], log, 0.1) as stubborn:
            poll_until(lambda: (tmp_path / "log").read_text() == "deaf\n", "the deaf one's word")
        assert stubborn.returncode == -signal.SIGKILL


def has_become(name: str, pid: int) -> bool:
    """Tell whether the leash is on and the command runs."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == name


def test_a_tool_is_asked_once() -> None:
    """What it said and how it ended comes back; one that takes too long is ended."""
    done = subprocesses.run_command(["sh", "-c", "echo so; echo why >&2; exit 3"], 9)
    assert (done.returncode, done.stdout, done.stderr) == (3, "so\n", "why\n")
    with pytest.raises(subprocess.TimeoutExpired):
        subprocesses.run_command(["sleep", "99"], 0.1)
