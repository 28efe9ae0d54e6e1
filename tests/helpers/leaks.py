"""Finds connections to databases and file descriptors that were opened and not closed."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")
_POLLS: Final = 20
_POLL_SECONDS: Final = 0.05  # seconds

_connections: list[sqlite3.Connection] = []
"""Every connection that this process has made, kept alive: a collected one would be closed.

Python 3.13 warns of a connection that was not closed; earlier versions say nothing.
"""


def _record_connection(event: str, arguments: tuple[object, ...]) -> None:
    if event == "sqlite3.connect/handle":
        _connections.extend(each for each in arguments if isinstance(each, sqlite3.Connection))


# An audit hook sees every connection, whatever code makes it. It can't be removed again.
sys.addaudithook(_record_connection)


@contextlib.contextmanager
def assert_none_left_open() -> Iterator[None]:
    """Fail where a connection or a descriptor that the block opened is open at its end."""
    before, known = list_descriptors(), list_open_connections()
    yield
    forgotten = wait_until_none(
        lambda: [each for each in list_open_connections() if each not in known]
    )
    left = wait_until_none(lambda: [*(list_descriptors().items() - before.items())])
    assert not forgotten, forgotten
    assert not left, left


def wait_until_none(list_left: Callable[[], list[T]]) -> list[T]:
    """Return what is left after a moment, in which other threads may close theirs."""
    for _ in range(_POLLS):
        if not (left := list_left()):
            return left
        time.sleep(_POLL_SECONDS)
    return list_left()


def list_open_connections() -> list[sqlite3.Connection]:
    """Return the open connections of this process, oldest first."""
    _connections[:] = [each for each in _connections if _is_open(each)]
    return list(_connections)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.in_transaction  # noqa: B018 - raises for a closed connection
    except sqlite3.ProgrammingError:
        return False
    return True


def list_open_files(folders: Collection[Path]) -> list[str]:
    """Return the open files of this process below these folders."""
    return [to for to in list_descriptors().values() if any(map(Path(to).is_relative_to, folders))]


def list_descriptors() -> dict[int, str]:
    """Return the open descriptors of this process with their targets."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found[int(entry.name)] = str(entry.readlink())
    return found
