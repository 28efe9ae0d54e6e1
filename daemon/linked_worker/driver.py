"""The interface of a driver: what the worker needs of a library of linked devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from daemon.api.signals import Signal
from daemon.api.transport import KnownContact, NumberAnswer, SendResult

_DRIVER_MODULES: Final = {"neonize": "daemon.linked_worker.neonize_driver"}


class DriverUnavailable(Exception):
    """A driver's library can't be used here; the message says why, and what to do."""


class DriverEnvironment(Struct, frozen=True):
    """What a driver is opened with.

    ``folder`` is the session's own. ``report`` may be called from any thread, and ``report_past``
    by one that may wait: it returns once the daemon has stored most of what was reported before.
    ``end`` ends the process; call it when the connection has ended, with the reason or, where the
    last signal gave it, with an empty text. With ``traced``, what the platform and the device say
    to each other is recorded, without anything that somebody wrote.
    """

    folder: Path
    report: Callable[[Signal], None]
    report_past: Callable[[Signal], None]
    end: Callable[[str], None]
    traced: bool = False


class LinkedDriver(Protocol):
    """One device of one session. The worker makes one call at a time, from one thread.

    A driver never connects again by itself: it reports that the connection is lost, and ends.
    """

    @property
    def name(self) -> str:
        """The name of the driver."""
        ...

    @property
    def version(self) -> str:
        """The version of the driver itself."""
        ...

    @property
    def library_version(self) -> str:
        """The version of its library."""
        ...

    def has_login(self) -> bool:
        """Return whether a login is stored."""
        ...

    def connect(self, pairing_phone: str | None = None) -> None:
        """Begin to connect, or to show codes where no login is stored; return at once.

        With ``pairing_phone`` (E.164) that is one code, to be typed on the phone of this number.
        """
        ...

    def send_text(self, phone: str, text: str) -> SendResult:
        """Send a text to a number (E.164) and return the server's answer."""
        ...

    def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return yes, no or unknown for each number (E.164)."""
        ...

    def list_contacts(self) -> Sequence[KnownContact]:
        """Return the contacts of the account."""
        ...

    def logout(self) -> None:
        """Unlink the device, as far as it is connected, and delete the stored login."""
        ...

    def finish(self, seconds: float) -> None:
        """Report what was received until now; return once it is, or after so many seconds.

        Called from any thread, before the process ends: a library acknowledges at once what it
        has received, and nobody sends that again.
        """
        ...


OpenDriver: TypeAlias = Callable[[DriverEnvironment], LinkedDriver]


def list_drivers() -> list[str]:
    """Return the names of the drivers."""
    return sorted(_DRIVER_MODULES)


def load_driver(name: str) -> OpenDriver:
    """Return a driver by its name; its library is loaded when it is opened."""
    open_driver: OpenDriver = import_module(_DRIVER_MODULES[name]).open_driver
    return open_driver
