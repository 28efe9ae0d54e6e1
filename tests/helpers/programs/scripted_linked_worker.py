"""The worker of a linked device, with a driver that does what each message says.

A text is one of: `ack`, `refuse`, `unknown`, `raise`, `hang`, `pause SECONDS`, `exit`, `grow`,
`end REASON`, `signals N` (as many are reported), `inbound N` (so many people write), `past N` (so
much is replayed of the past). Without a login, connecting shows a code, which is scanned when there
is a file `scanned` in the folder; the connection is lost when there is one `cut`. With `late N` so
many people wrote, which is reported at the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import (
    Connected,
    Disconnected,
    InboundMessage,
    KeepAlive,
    Paired,
    PairingCodeIssued,
    QrIssued,
    Scanned,
    Synced,
)
from daemon.api.transport import (
    Acknowledged,
    KnownContact,
    NumberAnswer,
    OnWhatsApp,
    Refused,
    SendResult,
    Unknown,
)
from daemon.linked_worker.__main__ import add_session_options, build_settings, open_channel
from daemon.linked_worker.driver import DriverEnvironment, DriverUnavailable
from daemon.linked_worker.worker import run_worker

LOGIN_FILE = "login"
GROWN_BYTES = 300 << 20


class ScriptedDriver:
    """A driver that does what a text says, and writes each text into the file `sent`."""

    name = "scripted"
    version = "7"
    library_version = "0.0"

    def __init__(self, environment: DriverEnvironment) -> None:
        self._environment = environment
        self._grown = b""
        self._held_back = 0

    def has_login(self) -> bool:
        """Return whether the login's file exists."""
        return (self._environment.folder / LOGIN_FILE).exists()

    def connect(self, pairing_phone: str | None = None) -> None:
        """Connect at once, or show a code, which ends like the number that was given."""
        if self.has_login():
            self._report_connected()
        elif pairing_phone:
            self._environment.report(PairingCodeIssued(f"ABCD{pairing_phone[-4:]}", 160.0))
        else:
            self._environment.report(QrIssued("secret", 1, 6, 60.0))
            self._do_later("scanned", self._link)

    def _link(self) -> None:
        (self._environment.folder / LOGIN_FILE).touch()
        self._environment.report(Scanned())
        self._environment.report(Paired("+5491155550001"))
        self._report_connected()

    def _report_connected(self) -> None:
        self._environment.report(Connected())
        self._environment.report(Synced())
        self._do_later("cut", self._lose_connection)

    def _lose_connection(self) -> None:
        self._environment.report(Disconnected())
        self._environment.end("")

    def _do_later(self, file: str, act: Callable[[], None]) -> None:
        """Act as soon as there is such a file in the folder."""

        def wait() -> None:
            while not (self._environment.folder / file).exists():
                time.sleep(0.02)
            act()

        threading.Thread(target=wait, daemon=True).start()

    def send_text(self, phone: str, text: str) -> SendResult:
        """Do what the text says."""
        with (self._environment.folder / "sent").open("a", encoding="utf-8") as sent:
            sent.write(f"{phone} {text}\n")
        order, _, rest = text.partition(" ")
        match order:
            case "ack":
                return Acknowledged("WIRE1", datetime.now(UTC))
            case "refuse":
                return Refused("463", "WhatsApp refused it.", code=463)
            case "hang":
                self._environment.report(KeepAlive())
                threading.Event().wait()
            case "pause":
                self._environment.report(KeepAlive())
                threading.Event().wait(float(rest))
            case "exit":
                os._exit(3)
            case "end":
                self._environment.end(rest)
            case "raise":
                raise LookupError(text)
            case "grow":
                self._grown = os.urandom(GROWN_BYTES)
            case "signals" | "inbound" | "late" | "past":
                self._report_many(order, int(rest))
            case _:
                pass
        return Unknown("no_acknowledgement", "Nobody answered.")

    def _report_many(self, order: str, count: int) -> None:
        if order == "late":
            self._held_back = count
            return
        if order == "past":
            threading.Thread(target=self._report_past, args=(count,), daemon=True).start()
            return
        for number in range(count):
            self._environment.report(build_inbound(number) if order == "inbound" else KeepAlive())

    def _report_past(self, count: int) -> None:
        for number in range(count):
            self._environment.report_past(build_inbound(number))

    def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Answer the first number only."""
        return [NumberAnswer(phones[0], OnWhatsApp.YES)]

    def list_contacts(self) -> Sequence[KnownContact]:
        """Return no contact."""
        return []

    def finish(self, _seconds: float) -> None:
        """Report what `late N` had held back."""
        held_back, self._held_back = self._held_back, 0
        self._report_many("inbound", held_back)

    def logout(self) -> None:
        """Delete the login."""
        (self._environment.folder / LOGIN_FILE).unlink(missing_ok=True)


def build_inbound(number: int) -> InboundMessage:
    """Return a message of somebody's."""
    sender = Identity(IdentityKind.PHONE, f"+54911555503{number:02}")
    return InboundMessage(f"WIRE{number}", sender, f"hola {number}", datetime.now(UTC))


def open_scripted_driver(environment: DriverEnvironment) -> ScriptedDriver:
    """Return the driver; a file `unavailable` in the folder is why there is none."""
    unavailable = environment.folder / "unavailable"
    if unavailable.exists():
        raise DriverUnavailable(unavailable.read_text(encoding="utf-8"))
    return ScriptedDriver(environment)


def main() -> None:
    """Serve as the real worker does.

    `HEARTBEAT` in the environment is its seconds, `SPOOL_BYTES` how much its spool may hold.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver")
    add_session_options(parser)
    options = parser.parse_args()
    options.heartbeat = float(os.environ.get("HEARTBEAT", options.heartbeat))
    sys.stdout.write("a library prints what it likes\n")
    settings = build_settings(options)
    spool_bytes = int(os.environ.get("SPOOL_BYTES", settings.spool_bytes))
    run_worker(replace(settings, spool_bytes=spool_bytes), open_scripted_driver, open_channel())


if __name__ == "__main__":
    main()
