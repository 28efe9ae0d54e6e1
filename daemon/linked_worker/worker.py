"""The worker: reads requests from its socket, calls the driver, and reports its signals.

One thread reads requests, one makes the driver's calls, one at a time, one writes to the socket,
and one has it write heartbeats; signals come from the driver's own threads, which do not wait for
the daemon. Whatever state the library is in, the process ends at once when its socket ends, on
SIGTERM, and when the driver says that its connection is over.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from daemon.api.permit import PermitRefused, PermitVerifier, hash_body
from daemon.api.signals import Signal, TransportDied
from daemon.api.transport import Acknowledged, Refused
from daemon.linked_worker.driver import (
    DriverEnvironment,
    DriverUnavailable,
    LinkedDriver,
    OpenDriver,
)
from daemon.linked_worker.permit_ledger import PermitLedger, SessionLocked, lock_session
from daemon.linked_worker.protocol import (
    MAX_NUMBERS,
    MAX_TEXT_CHARACTERS,
    MAX_WAITING_REQUESTS,
    PROTOCOL_VERSION,
    AcknowledgeSignal,
    CheckedNumber,
    CheckNumbersRequest,
    ConnectRequest,
    ContactsAnswer,
    Done,
    FailedAnswer,
    Hello,
    LinkedAnswer,
    LinkedEvent,
    LinkedRequest,
    ListContactsRequest,
    ListedContact,
    LogoutRequest,
    NotSentAnswer,
    NumbersAnswer,
    PermitRefusedAnswer,
    SendMessageRequest,
    SendUnknownAnswer,
    SentAnswer,
    SignalReport,
    WorkerUnavailable,
    build_protocol,
    encode_signal,
)
from daemon.linked_worker.signal_spool import (
    MAX_SPOOL_BYTES,
    SPOOLED_SIGNALS,
    SignalSpool,
    SpoolUnreadable,
)
from daemon.linked_worker.storage_check import StorageCheck
from daemon.linked_worker.systemd_unit import feed_watchdog
from daemon.worker_protocol import (
    HEARTBEAT_SECONDS,
    Answer,
    Crash,
    End,
    Event,
    Frame,
    FrameWriter,
    Heartbeat,
    Request,
    describe_defect,
)

_CONTACTS_A_FRAME: Final = 500
_MAX_OUTGOING: Final = 20_000
_PAST_AHEAD: Final = 50
"""So many signals may be unstored when a part of the past is reported."""
_FLUSH_SECONDS: Final = 3.0
_FINISH_SECONDS: Final = 0.8
"""Less than the daemon waits for a worker that it closes."""
_SIGNAL_SECONDS: Final = 0.5
"""How long a signal may take to be handled."""
_SPOOL_FULL: Final = "it received more than the daemon stores"
_ORDERLY, _UNAVAILABLE, _CRASHED = 0, 69, 70
"""Exit statuses; the last two as in `sysexits.h`."""


LinkedFrame: TypeAlias = Frame[LinkedAnswer, None, LinkedEvent]


class WorkerSettings(Struct, frozen=True):
    """The session that the worker serves, and what it needs for that.

    ``folder`` is the session's own; ``permit_key`` verifies the gate's signature. ``spool_bytes``
    is how much may be received that the daemon has not stored; ``traced``, whether the frames are
    recorded.
    """

    session: str
    folder: Path
    permit_key: Ed25519PublicKey
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    spool_bytes: int = MAX_SPOOL_BYTES
    traced: bool = False


def run_worker(
    settings: WorkerSettings, open_driver: OpenDriver, channel: socket.socket
) -> NoReturn:
    """Serve until the channel ends; then end the process."""
    # Before the library creates its files: the login in them is as good as the phone.
    os.umask(0o077)
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # os._exit and not sys.exit: a library that hangs must not keep the process alive.
    worker = LinkedWorker(settings, channel)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run(open_driver)


class LinkedWorker:
    """Serves one session; see :func:`run_worker`."""

    def __init__(self, settings: WorkerSettings, channel: socket.socket) -> None:
        self._settings = settings
        self._requests = channel.makefile("rb")
        self._writer: FrameWriter[LinkedAnswer, None, LinkedEvent] = FrameWriter(
            channel.makefile("wb")
        )
        self._protocol = build_protocol()
        self._verifier = PermitVerifier(settings.permit_key)
        self._storage = StorageCheck(settings.folder)
        self._left: list[SignalReport] = []
        """What the last worker received and the daemon has not stored."""
        self._driver: LinkedDriver | None = None
        self._stopping = threading.RLock()
        self._waiting: queue.Queue[Request[LinkedRequest]] = queue.Queue(MAX_WAITING_REQUESTS)
        self._outgoing: queue.Queue[LinkedFrame | threading.Event] = queue.Queue(_MAX_OUTGOING)

    def run(self, open_driver: OpenDriver) -> NoReturn:
        """Open the driver, say hello, and serve."""
        try:
            self._serve(open_driver)
        except BaseException as defect:  # noqa: BLE001 - whatever it is, the daemon must know
            self._crash(defect)
        os._exit(_ORDERLY)

    def _serve(self, open_driver: OpenDriver) -> None:
        self._start_thread(self._write_frames)
        # First of all: opening the driver loads the library, which may take many seconds.
        self._start_thread(self._send_heartbeats)
        try:
            # Two connections with one login would replace each other, again and again.
            self._lock = lock_session(self._settings.folder)
            if fault := self._storage.find_fault():
                self._refuse(fault, retryable=True)
            self._spool = SignalSpool(self._settings.folder, self._settings.spool_bytes)
            self._left = self._spool.list_unstored()
            driver = self._driver = open_driver(
                DriverEnvironment(
                    self._settings.folder,
                    self._report,
                    self._report_past,
                    self._end,
                    self._settings.traced,
                )
            )
        except SessionLocked:
            self._refuse("Another worker still serves this session.", retryable=True)
        except (DriverUnavailable, SpoolUnreadable) as reason:
            self._refuse(str(reason))
        self._ledger = PermitLedger(self._settings.folder)
        hello = Hello(
            PROTOCOL_VERSION,
            driver.name,
            driver.version,
            driver.library_version,
            driver.has_login(),
        )
        self._outgoing.put(Event(hello))
        self._start_thread(lambda: self._make_calls(driver))
        self._start_thread(self._read_requests)
        # Python's handlers run here alone, and a signal that reaches another thread, or comes just
        # before this one blocks, would not wake it.
        while True:
            time.sleep(_SIGNAL_SECONDS)

    def stop(self) -> NoReturn:
        """End the process, once what the library has received is on the disk; bounded."""
        # One thread alone: the socket's end is noticed by two, and by a handler of signals too.
        with self._stopping:
            try:
                if self._driver is not None:
                    self._driver.finish(_FINISH_SECONDS)
            finally:
                os._exit(_ORDERLY)

    def _refuse(self, sentence: str, *, retryable: bool = False) -> NoReturn:
        self._outgoing.put(Event(WorkerUnavailable(sentence, retryable)))
        self._flush()
        os._exit(_UNAVAILABLE)

    # What runs beside each other.

    def _start_thread(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guard, args=(work,), daemon=True).start()

    def _guard(self, work: Callable[[], None]) -> None:
        """Run the work of a thread; report an error and end the process."""
        try:
            work()
        except BaseException as defect:  # noqa: BLE001 - as above
            self._crash(defect)

    def _crash(self, defect: BaseException) -> NoReturn:
        try:
            self._outgoing.put(Crash(describe_defect(defect)), timeout=_FLUSH_SECONDS)
            self._flush()
        finally:
            os._exit(_CRASHED)

    def _write_frames(self) -> None:
        """Write what the other threads put, in its order; alone, it waits for the daemon."""
        try:
            while True:
                frame = self._outgoing.get()
                if isinstance(frame, threading.Event):
                    frame.set()
                else:
                    self._writer.send(frame)
        except OSError:
            self.stop()  # nobody listens any more

    def _flush(self) -> None:
        """Return once everything is written that was put, or after a few seconds."""
        written = threading.Event()
        self._outgoing.put(written, timeout=_FLUSH_SECONDS)
        written.wait(_FLUSH_SECONDS)

    def _send_heartbeats(self) -> None:
        """Say that the process lives; end it where nothing could be stored twice in a row."""
        pause, before = threading.Event(), ""
        while not pause.wait(self._settings.heartbeat_seconds):
            feed_watchdog()
            self._outgoing.put(Heartbeat())
            fault = self._storage.find_fault()
            if fault and fault == before:
                self._end(fault)
            before = fault

    def _read_requests(self) -> None:
        """Queue requests until the daemon has ended."""
        while line := self._requests.readline(self._protocol.max_line_bytes):
            request = self._protocol.decode_request(line)
            if isinstance(request.body, AcknowledgeSignal):
                # At once: behind a send, it would wait for the server's answer to that.
                self._spool.acknowledge(request.body.number)
                continue
            # The daemon asks one thing at a time, so that this never waits long.
            self._waiting.put(request)
        self.stop()

    def _make_calls(self, driver: LinkedDriver) -> None:
        while True:
            request = self._waiting.get()
            if isinstance(request.body, ConnectRequest):
                # Answered first: the daemon reads signals only after that.
                self._answer(request.id, Done())
                self._connect(driver, request.body.pairing_phone)
            else:
                self._answer(request.id, *self._handle(driver, request.body))

    def _answer(self, request: int, *answers: LinkedAnswer) -> None:
        for answer in answers:
            self._outgoing.put(Answer(answer, request))
        self._outgoing.put(End(request))

    # What a driver reports.

    def _connect(self, driver: LinkedDriver, pairing_phone: str | None) -> None:
        """Connect, after what the last worker left was handed over."""
        self._hand_over()
        # A full spool takes nothing more, and what is not received stays with WhatsApp.
        self._spool.wait_for_room()
        driver.connect(pairing_phone)

    def _hand_over(self) -> None:
        """Report what the last worker left, once."""
        left, self._left = self._left, []
        for report in left:
            self._outgoing.put(Event(report))

    def _report(self, reported: Signal) -> None:
        report = encode_signal(reported)
        if not isinstance(reported, SPOOLED_SIGNALS):
            self._outgoing.put(Event(report))
            return
        try:
            report = self._spool.append(report)
        except OSError:
            # The daemon may be able to store it; the rest is better left with WhatsApp.
            self._outgoing.put(Event(report))
            self._end("what it receives can't be written to the disk")
        self._outgoing.put(Event(report))
        if self._spool.is_full:
            self._end(_SPOOL_FULL)

    def _report_past(self, reported: Signal) -> None:
        """Report a part of the past, which would hold up what is live if it came all at once."""
        self._spool.wait_for_fewer(_PAST_AHEAD)
        self._report(reported)

    def _end(self, reason: str) -> NoReturn:
        """End the process; without a reason where the last signal gave it."""
        try:
            if reason:
                died = encode_signal(TransportDied(reason))
                self._outgoing.put(Event(died), timeout=_FLUSH_SECONDS)
            self._flush()
        finally:
            os._exit(_ORDERLY)

    # Requests.

    def _handle(self, driver: LinkedDriver, request: LinkedRequest) -> list[LinkedAnswer]:
        match request:
            case LogoutRequest():
                self._hand_over()
                driver.logout()
            case SendMessageRequest():
                return [self._send(driver, request)]
            case CheckNumbersRequest():
                return [_check_numbers(driver, request)]
            case ListContactsRequest():
                return _list_contacts(driver)
        return [Done()]

    def _send(self, driver: LinkedDriver, request: SendMessageRequest) -> LinkedAnswer:
        """Send a message with its permit."""
        if len(request.text) > MAX_TEXT_CHARACTERS:
            return NotSentAnswer("text_too_long", "The text is longer than WhatsApp allows.")
        try:
            self._verifier.redeem(
                request.permit,
                message=request.message,
                recipient=request.recipient,
                body=hash_body(request.text),
                session=self._settings.session,
                now=datetime.now(UTC),
            )
            # Recorded before the message leaves: after a crash, the permit does not send a second
            # one.
            self._ledger.record(request.permit)
        except PermitRefused as refused:
            return PermitRefusedAnswer(
                refused.reason_code, str(refused), retryable=refused.retryable
            )
        answer = driver.send_text(request.recipient, request.text)
        if isinstance(answer, Acknowledged):
            return SentAnswer(answer.wire_id, answer.at)
        if isinstance(answer, Refused):
            return NotSentAnswer(
                answer.reason_code, answer.sentence, retryable=answer.retryable, code=answer.code
            )
        return SendUnknownAnswer(answer.reason_code, answer.sentence)


def _check_numbers(driver: LinkedDriver, request: CheckNumbersRequest) -> LinkedAnswer:
    if len(request.phones) > MAX_NUMBERS:
        return FailedAnswer(f"At most {MAX_NUMBERS} numbers are checked at once.")
    return NumbersAnswer(
        tuple(
            CheckedNumber(
                each.phone,
                each.answer.value,
                each.alias.value if each.alias else None,
                each.whatsapp_id,
            )
            for each in driver.check_numbers(request.phones)
        )
    )


def _list_contacts(driver: LinkedDriver) -> list[LinkedAnswer]:
    """Return the contacts in parts that fit into a frame."""
    listed = [
        ListedContact(tuple(identity.value for identity in each.identities), each.name)
        for each in driver.list_contacts()
    ]
    return [
        ContactsAnswer(tuple(listed[begin : begin + _CONTACTS_A_FRAME]))
        for begin in range(0, len(listed), _CONTACTS_A_FRAME)
    ]
