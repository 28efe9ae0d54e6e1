"""Talk to the service manager: sd_notify and the sockets that it hands over, by hand.

Both protocols are a handful of environment variables and one datagram, documented in
sd_notify(3) and sd_listen_fds(3). A daemon that runs without systemd finds nothing in its
environment, and every call here is then a quiet no-op.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PASSED_FD = 3
"""The first descriptor that systemd hands over (SD_LISTEN_FDS_START)."""


@dataclass(frozen=True, slots=True)
class SystemdNotifier:
    """Sends the daemon's state to the service manager.

    Nothing is promised about delivery, and no method raises: a service manager that went away
    must not take the daemon with it.
    """

    address: str | None
    watchdog_seconds: float | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> SystemdNotifier:
        """Build a notifier from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        name = environ.get("NOTIFY_SOCKET", "")
        address = name if name.startswith(("/", "@")) else None
        return cls(address, _parse_watchdog_seconds(environ))

    def ready(self, status: str) -> None:
        """Say that the daemon serves; ends a start, and a reload."""
        self._send("READY=1", f"STATUS={_join_lines(status)}")

    def status(self, text: str) -> None:
        """Set the sentence that `systemctl status` shows."""
        self._send(f"STATUS={_join_lines(text)}")

    def reloading(self, monotonic_usec: int) -> None:
        """Say that a reload began at this reading of CLOCK_MONOTONIC, in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        """Say that the daemon drains and will end."""
        self._send("STOPPING=1")

    def feed_watchdog(self) -> None:
        """Feed the watchdog. Call it only after seeing that the daemon really works."""
        self._send("WATCHDOG=1")

    def watchdog_interval(self) -> float | None:
        """Return the seconds between two feeds: half of the limit, None without a watchdog."""
        return None if self.watchdog_seconds is None else self.watchdog_seconds / 2

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # A leading "@" is how the environment spells the NUL of the abstract namespace.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                # A full queue loses one message; a blocking send would stop the event loop.
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError:
            return


def get_listen_fds(
    environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> dict[str, int]:
    """Return the descriptors that systemd hands over, by name, or an empty dict.

    Names come from FileDescriptorName= in the socket unit; where two sockets share one, or there
    is none, the descriptor's number is the name. They are kept from child processes.
    """
    if environ.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return {}
    count = _parse_number(environ.get("LISTEN_FDS")) or 0
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    passed: dict[str, int] = {}
    for offset, fd in enumerate(range(FIRST_PASSED_FD, FIRST_PASSED_FD + count)):
        os.set_inheritable(fd, False)
        name = names[offset] if offset < len(names) else ""
        passed[name if name and name not in passed else str(fd)] = fd
    return passed


def _parse_watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return systemd's limit in seconds, if it is set and meant for this process."""
    if environ.get("WATCHDOG_PID") not in {None, str(os.getpid())}:
        return None
    limit = _parse_number(environ.get("WATCHDOG_USEC"))
    return limit / 1_000_000 if limit else None


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _join_lines(text: str) -> str:
    """Keep a status to its line: a line break would start a new assignment."""
    return " ".join(text.splitlines())
