"""A network of its own: what runs in it reaches nothing but what else runs in it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
_OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A network namespace, kept by an open descriptor of this process."""

    descriptor: int

    @property
    def path(self) -> Path:
        """Return a path by which another process can join it."""
        return Path(f"/proc/{os.getpid()}/fd/{self.descriptor}")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Open sockets in this network, in this thread and those that it starts meanwhile."""
        before = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        _join(self.descriptor)
        try:
            yield
        finally:
            _join(before)
            os.close(before)


@contextlib.contextmanager
def create_network_namespace() -> Iterator[NetworkNamespace]:
    """Make a network with nothing in it, not even a loopback interface that is up."""
    opened: list[int] = []

    def open_new_namespace() -> None:
        _call_libc("unshare", _CLONE_NEWNET)
        opened.append(os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))

    # In a thread of its own, which alone moves.
    thread = threading.Thread(target=open_new_namespace)
    thread.start()
    thread.join()
    assert opened, "no network namespace can be made here: it needs root"
    try:
        yield NetworkNamespace(opened[0])
    finally:
        os.close(opened[0])


def _join(descriptor: int) -> None:
    _call_libc("setns", descriptor, _CLONE_NEWNET)


def _call_libc(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
