"""The service manager hears what the daemon says, over a real datagram socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.runtime import SystemdNotifier, get_listen_fds


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand where systemd stands: at the receiving end of NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(2)
        yield receiver


def heard(manager: socket.socket) -> str:
    """Return the next datagram as text."""
    return manager.recv(4096).decode()


def notifier(manager: socket.socket, **extra: str) -> SystemdNotifier:
    """Build the notifier as the daemon does, from an environment."""
    return SystemdNotifier.from_env({"NOTIFY_SOCKET": manager.getsockname(), **extra})


def test_ready_carries_the_status(manager: socket.socket) -> None:
    """Readiness and its sentence arrive in one datagram."""
    notifier(manager).ready("2 sessions, rules 4f1a")
    assert heard(manager) == "READY=1\nSTATUS=2 sessions, rules 4f1a"


def test_a_status_cannot_smuggle_an_assignment(manager: socket.socket) -> None:
    """A line break in a status becomes a space."""
    notifier(manager).status("waiting\nREADY=1")
    assert heard(manager) == "STATUS=waiting READY=1"


def test_reloading_carries_the_monotonic_time(manager: socket.socket) -> None:
    """The service manager matches a reload with its request by this number."""
    notifier(manager).reloading(123_456)
    assert heard(manager) == "RELOADING=1\nMONOTONIC_USEC=123456"


def test_stopping_and_watchdog_are_said(manager: socket.socket) -> None:
    """The two plain messages arrive in order."""
    told = notifier(manager)
    told.feed_watchdog()
    told.stopping()
    assert [heard(manager), heard(manager)] == ["WATCHDOG=1", "STOPPING=1"]


def test_an_abstract_socket_is_reached() -> None:
    """A name that begins with @ lives in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0leadmaster-test-{os.getpid()}")
        receiver.settimeout(2)
        SystemdNotifier.from_env({"NOTIFY_SOCKET": f"@leadmaster-test-{os.getpid()}"}).status(
            "here"
        )
        assert heard(receiver) == "STATUS=here"


def test_no_service_manager_is_no_error() -> None:
    """Without NOTIFY_SOCKET nothing is sent, and nothing raised."""
    silent = SystemdNotifier.from_env({})
    silent.ready("alone")
    assert silent.address is None


@pytest.mark.parametrize("name", ["relative", "vsock:2:9999"])
def test_an_address_of_another_kind_is_left_alone(name: str) -> None:
    """Only a path or an abstract name is spoken to."""
    assert SystemdNotifier.from_env({"NOTIFY_SOCKET": name}).address is None


def test_a_manager_that_went_away_is_no_error(tmp_path: Path) -> None:
    """The daemon goes on when nobody listens any more."""
    gone = tmp_path / "gone"
    SystemdNotifier.from_env({"NOTIFY_SOCKET": str(gone)}).feed_watchdog()
    assert not gone.exists()


def test_a_full_queue_does_not_block(manager: socket.socket) -> None:
    """A manager that does not read costs messages, never the event loop."""
    told = notifier(manager)
    for _ in range(5_000):
        told.feed_watchdog()
    assert heard(manager) == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_per_limit(
    environ: dict[str, str], seconds: float | None
) -> None:
    """The interval is half of the limit, and only when the limit is meant for this process."""
    assert SystemdNotifier.from_env(environ).watchdog_interval() == seconds


def test_sockets_come_by_name() -> None:
    """A listening socket that was handed over is found by its name, and kept from children."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert _handed_over(listener, "http") == f"http 3 port={port} inheritable=False"


def test_sockets_without_a_name_come_by_number() -> None:
    """Two of one name, or one of none, are still told apart."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        seen = _handed_over(listener, "http:http", count=2).splitlines()
        assert [line.split()[0] for line in seen] == ["http", "4"]
        assert _handed_over(listener, "").startswith("3 3 ")


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_PID": "77"}],
)
def test_sockets_of_another_process_are_not_taken(environ: dict[str, str]) -> None:
    """Only a process whose number LISTEN_PID carries may take them."""
    assert get_listen_fds(environ, pid=77) == {}


def _handed_over(listener: socket.socket, names: str, count: int = 1) -> str:
    """Start a process the way systemd does (sockets from descriptor 3 on); return what it found."""
    inner = f"{sys.executable} -c '{_LISTENER}'"
    fd = listener.fileno()
    done = subprocess.run(
        ["bash", "-c", f"exec 3<&{fd} 4<&{fd}; LISTEN_PID=$$ exec {inner}"],
        env=os.environ | {"LISTEN_FDS": str(count), "LISTEN_FDNAMES": names},
        pass_fds=(fd,),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


_LISTENER = """
import os, socket
from daemon.runtime import get_listen_fds
for name, fd in get_listen_fds().items():
    with socket.socket(fileno=fd) as passed:
        port = passed.getsockname()[1]
        print(f"{name} {fd} port={port} inheritable={passed.get_inheritable()}")
"""
