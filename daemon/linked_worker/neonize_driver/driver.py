"""One device through the library: codes, connection, sending, number checks.

What its traps demand: QR codes are taken from the callback, for their event comes after pairing;
the end of pairing from the hook of the login; a connection that is lost ends the process, for the
library would connect again by itself; no call before it is connected.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from daemon.api.identity import (
    Identity,
    IdentityKind,
    NotAContact,
    parse_identity,
    parse_phone_identity,
)
from daemon.api.numbers import list_phone_spellings
from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    QrExhausted,
    QrIssued,
    RefusalKind,
    SendingRestricted,
    Signal,
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
from daemon.linked_worker.driver import DriverEnvironment
from daemon.linked_worker.neonize_driver.contact_list import read_contact_list
from daemon.linked_worker.neonize_driver.events import (
    EventTranslator,
    format_jid,
    read_failure,
    translate_login_status,
)
from daemon.linked_worker.neonize_driver.frame_trace import TRACE_FILE, FrameTrace
from daemon.linked_worker.neonize_driver.history import HistoryReplay
from daemon.linked_worker.neonize_driver.library import (
    LIBRARY,
    REQUIRED_VERSION,
    LoadedLibrary,
    load_library,
)
from daemon.linked_worker.signal_spool import SPOOLED_SIGNALS
from daemon.linked_worker.storage_check import DATABASE_FILE
from daemon.worker_protocol import describe_defect

DRIVER_VERSION: Final = "1"
LOGIN_FILE: Final = "linked.login"
"""Is kept beside the library's database as long as a device is linked."""
_DEVICE_NAME: Final = "LeadMaster"
_CLIENT_ID: Final = "session"
_MAX_HAPPENED: Final = 1000
_LAST_SIGNALS: Final = (ConnectionRefused, Disconnected, PairingFailed, QrExhausted)
"""After these the connection is over."""
_DATABASE_OPTIONS: Final = (
    "?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_x="
)
"""Behind the name of the file: the library opens it as it is, and appends options of its own."""
_CODES: Final = 6
_FIRST_CODE_SECONDS, _NEXT_CODE_SECONDS = 60.0, 20.0
_PAIRING_SECONDS: Final = _FIRST_CODE_SECONDS + (_CODES - 1) * _NEXT_CODE_SECONDS
"""WhatsApp closes the connection of a pairing when its QR codes are used up, shown or not; how long
it would take a typed code is not known."""
_KEEP_ALIVE_SECONDS: Final = 5.0
"""Frames are reported as a sign of life, not more often than this."""
_LOGOUT_CONNECT_SECONDS: Final = 5.0
_LOGOUT_SYNC_SECONDS: Final = 1.5
_FINISH: Final = "finish"
_HISTORY: Final = "HistorySync"
_FINISH_SECONDS: Final = 1.0
_FRAME_LOGGER: Final = "whatsmeow.Client.Recv"
_SENT_LOGGER: Final = "whatsmeow.Client.Send"
_TIMELOCK: Final = 463
_LID_SERVER, _PHONE_SERVER = "lid", "s.whatsapp.net"
_UNREADABLE_EVENT: Final = "required field"
"""In an error of the library: it could not pass on an event, as with an unknown code."""
_FAILURE_SECONDS: Final = 1.0
"""Its log, in which the failure is, is written by another thread."""
_PASSKEY_REQUEST: Final = re.compile(r'<notification [^>]*type="passkey_prologue_request"')
"""The library has no event of it in Python."""
_SERVER_ERROR: Final = re.compile(r"server returned error (\d+)")
_NOT_SENT: Final = (
    "not connected",
    "not logged in",
    "failed to get device list",
    "failed to fetch prekeys",
    "no LID found",
    "no signal session established",
)
"""What the library says before anything went to the wire."""


def open_driver(environment: DriverEnvironment) -> NeonizeDriver:
    """Load the library; raise :class:`DriverUnavailable` where it can't be."""
    return NeonizeDriver(environment, load_library())


class NeonizeDriver:
    """The driver. Events of the library are turned into signals by one thread, in their order."""

    name = LIBRARY
    version = DRIVER_VERSION
    library_version = REQUIRED_VERSION

    def __init__(self, environment: DriverEnvironment, library: LoadedLibrary) -> None:
        self._report = environment.report
        self._end = environment.end
        self._database = environment.folder / DATABASE_FILE
        self._login = environment.folder / LOGIN_FILE
        self._trace = FrameTrace(environment.folder / TRACE_FILE) if environment.traced else None
        self._library = library
        self._translator = EventTranslator(self._find_phone)
        self._history = HistoryReplay(environment.report_past, environment.end)
        self._happened: queue.Queue[tuple[str, Any]] = queue.Queue(_MAX_HAPPENED)
        self._connected = threading.Event()
        self._synced = threading.Event()
        self._codes = 0
        self._pairing_phone: str | None = None
        self._is_stranger = False
        """Another number was linked than the one that was given: its messages are none of ours."""
        self._leaving = self._ending = False
        self._last_sign = 0.0
        self._failed = threading.Event()
        self._passkey_asked = threading.Event()
        self._failure = ""
        self._client: Any = None

    def has_login(self) -> bool:
        """Return whether a device was linked; whether its login counts still, the platform says."""
        return self._login.exists()

    def connect(self, pairing_phone: str | None = None) -> None:
        """Begin, in a thread of its own; when that ends, the connection is over for good."""
        if self._client is not None:
            return
        self._pairing_phone = pairing_phone
        self._client = self._build_client()
        self._listen_to_frames()
        self._history.start()
        threading.Thread(target=self._run_events, daemon=True).start()
        threading.Thread(target=self._run_client, daemon=True).start()

    def send_text(self, phone: str, text: str) -> SendResult:
        """Send, and wait for the server's answer; the library gives up after 75 s."""
        if not self._connected.is_set():
            return Refused("not_connected", "The device is not connected yet.", retryable=True)
        # A message of its own: from a bare text the library would make mentions and previews.
        message = self._library.client.Message(conversation=text)
        address = self._choose_address(phone)
        recipient = self._library.client.build_jid(address.removeprefix("+"))
        try:
            response = self._client.send_message(recipient, message)
        except self._library.client.SendMessageError as error:
            return self._explain_send_error(str(error))
        else:
            return Acknowledged(response.ID, datetime.now(UTC))
        finally:
            # Whatever the answer was: the receipt that settles it comes under the hidden id.
            self._learn_lid(address)

    def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Ask the platform; what it does not answer is unknown."""
        answers: dict[str, Any] = {}
        if self._connected.is_set():
            with contextlib.suppress(self._library.client.IsOnWhatsAppError):
                for each in self._client.is_on_whatsapp(*phones):
                    answers[_normalize_query(each.Query)] = each
        return [self._build_number_answer(phone, answers.get(phone)) for phone in phones]

    def list_contacts(self) -> Sequence[KnownContact]:
        """Return the contacts in the library's own store, each with number and hidden id."""
        if not self._connected.is_set():
            return []
        entries = self._client.contact.get_all_contacts()
        return read_contact_list(entries, self._find_other_identity)

    def logout(self) -> None:
        """Unlink the device at the platform where that can be reached, and delete the login."""
        if self.has_login():
            self._leaving = True  # what the platform says of that is no news
            self.connect()
            if self._connected.wait(_LOGOUT_CONNECT_SECONDS):
                # What waited at WhatsApp for this device comes first: it goes with the device.
                self._synced.wait(_LOGOUT_SYNC_SECONDS)
                with contextlib.suppress(self._library.client.LogoutError):
                    self._client.logout()
        self.finish(_LOGOUT_SYNC_SECONDS)
        self._delete_login()

    def finish(self, seconds: float) -> None:
        """Report what is in the queue of events, as far as it takes no longer than that."""
        if self._client is None:
            return
        done = threading.Event()
        with contextlib.suppress(queue.Full):
            self._happened.put((_FINISH, done), timeout=seconds)
            done.wait(seconds)

    def _delete_login(self) -> None:
        self._login.unlink(missing_ok=True)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._database}{suffix}").unlink(missing_ok=True)

    # The library's threads.

    def _build_client(self) -> Any:  # noqa: ANN401 - the library has no types
        """Return a client whose hooks are ours; that of the login has a private name."""
        library = self._library.client
        hooks = {"_NewClient__onLoginStatus": self._build_login_hook()}
        client_type = type("LinkedClient", (library.NewClient,), hooks)
        # A name that the owner of the phone recognises in the list of linked devices.
        properties = library.DeviceProps(os=_DEVICE_NAME, platformType=library.DeviceProps.DESKTOP)
        client = client_type(
            f"{self._database}{_DATABASE_OPTIONS}", props=properties, uuid=_CLIENT_ID
        )
        client.event.qr(lambda _, code: self._happen("code", code.decode()))
        for kind in self._library.events.EVENT_TO_INT:
            if kind.__name__ in self._translator.handlers or kind.__name__ == _HISTORY:
                client.event(kind)(self._build_event_handler(kind.__name__))
        return client

    def _build_login_hook(self) -> Callable[[Any, int, int], None]:
        def hook(_client: Any, _identifier: int, status: int) -> None:  # noqa: ANN401
            self._happen("login", ctypes.string_at(status).decode(errors="replace"))

        return hook

    def _build_event_handler(self, name: str) -> Callable[[Any, Any], None]:
        return lambda _client, event: self._happen(name, event)

    def _happen(self, name: str, event: Any) -> None:  # noqa: ANN401
        self._happened.put((name, event))

    def _run_client(self) -> None:
        try:
            self._client.connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is over
            if _UNREADABLE_EVENT in str(error) and self._failed.wait(_FAILURE_SECONDS):
                self._happen("failure", self._failure)
                return
            if not self._connected.is_set():
                self._happen("unreachable", None)  # no network: that is no crash
                return
            self._end(f"the library raised {type(error).__name__}")
        self._end("the library's connection ended")

    def _run_events(self) -> None:
        """Turn events into signals; a defect ends the process, which would be deaf from then on."""
        try:
            while True:
                name, event = self._happened.get()
                if name == _FINISH:
                    event.set()
                    continue
                if name == _HISTORY:
                    self._replay_history(event.Data)
                    continue
                for signal in map(self._explain_pairing_failure, self._translate(name, event)):
                    if _is_logout(signal):
                        # Before it is reported: the daemon then ends this process, and the next
                        # one would log in with what is left, to be refused once more.
                        self._delete_login()
                    if self._is_news(signal):
                        self._report(signal)
                    self._follow(signal)
        except Exception as error:  # noqa: BLE001 - as above
            self._end(f"an event could not be read: {describe_defect(error)}")

    def _replay_history(self, history: Any) -> None:  # noqa: ANN401
        """Report the phone's past, once it is known whose phone it is."""
        if not self._is_stranger:
            self._history.add(history)

    def _is_news(self, signal: Signal) -> bool:
        """Return whether the daemon is to know of a signal."""
        if isinstance(signal, SPOOLED_SIGNALS):
            return not self._is_stranger
        # Of a device that is leaving or at its end, only what people wrote is news.
        return not self._leaving and not self._ending

    def _translate(self, name: str, event: Any) -> Iterator[Signal]:  # noqa: ANN401
        if name == "code":
            yield from self._translate_code(event)
        elif name == "login":
            yield from translate_login_status(event)
        elif name == "frame":
            yield KeepAlive()
        elif name == "unreachable":
            yield Disconnected("WhatsApp could not be reached")
        elif name == "failure":
            yield read_failure(event)
        elif name == "passkey":
            yield PairingFailed(passkey_requested=True)
        elif name == "Disconnected" and self._failed.is_set():
            yield read_failure(self._failure)  # 500 or 503: the library would try again by itself
        else:
            if name == "Connected":
                yield from self._report_login()
            yield from self._translator.handlers[name](event)

    def _explain_pairing_failure(self, signal: Signal) -> Signal:
        """Return a failure of the pairing with its cause, which only the library's log has."""
        if signal == PairingFailed() and self._passkey_asked.wait(_FAILURE_SECONDS):
            return PairingFailed(passkey_requested=True)
        return signal

    def _translate_code(self, code: str) -> Iterator[Signal]:
        """Report a QR code; or ask for one code to be typed, which only now can be asked for."""
        self._codes += 1
        if self._pairing_phone is None:
            yield self._build_code(code)
        elif self._codes == 1:
            yield self._request_pairing_code(self._pairing_phone)

    def _request_pairing_code(self, phone: str) -> Signal:
        until = time.monotonic() + _PAIRING_SECONDS
        library = self._library.client
        try:
            # WhatsApp gives a code to the name of a browser alone. In the phone's list of linked
            # devices the device has its own.
            code = self._client.PairPhone(
                phone.removeprefix("+"),
                show_push_notification=True,
                client_type=library.ClientType.CHROME,
            )
        except library.PairPhoneError:
            return PairingFailed(code_refused=True)
        return PairingCodeIssued(code, until - time.monotonic())

    def _build_code(self, code: str) -> QrIssued:
        seconds = _FIRST_CODE_SECONDS if self._codes == 1 else _NEXT_CODE_SECONDS
        return QrIssued(code, self._codes, max(_CODES, self._codes), seconds)

    def _report_login(self) -> Iterator[Signal]:
        """Tell whose login it is, where it was not linked just now."""
        if not self._codes and (user := self._client.get_me().JID.User):
            yield Paired(f"+{user}")

    def _follow(self, signal: Signal) -> None:
        """Do what a signal means for the driver itself."""
        if self._ending:
            return
        if isinstance(signal, Paired):
            self._login.touch(mode=0o600)
            given = list_phone_spellings(self._pairing_phone or signal.phone)
            self._is_stranger = signal.phone not in given
        elif isinstance(signal, Connected):
            self._connected.set()
        elif isinstance(signal, Synced):
            self._synced.set()
        if isinstance(signal, _LAST_SIGNALS) and not self._leaving:
            self._ending = True
            self._connected.clear()
            # Beside this thread, which goes on: the library connects again by itself, and what it
            # takes until the process has ended would be lost.
            threading.Thread(target=self._finish_and_end, daemon=True).start()

    def _finish_and_end(self) -> None:
        self.finish(_FINISH_SECONDS)
        self._end("")

    def _listen_to_frames(self) -> None:
        """Take note of each frame: the library has no event of a keep-alive that was answered."""
        self._library.client.log.setLevel(logging.DEBUG)
        frames = logging.getLogger(_FRAME_LOGGER)
        frames.setLevel(logging.DEBUG)
        frames.propagate = False  # they hold codes and numbers
        frames.addHandler(_FrameHandler(self._on_frame))
        if self._trace is not None:
            self._trace.listen(_FRAME_LOGGER, _SENT_LOGGER)

    def _on_frame(self, frame: str) -> None:
        if frame.startswith("<failure "):
            self._failure = frame
            self._failed.set()
        elif _PASSKEY_REQUEST.match(frame):
            self._passkey_asked.set()
            self._happen("passkey", None)
        now = time.monotonic()
        if self._connected.is_set() and now - self._last_sign >= _KEEP_ALIVE_SECONDS:
            self._last_sign = now
            self._happen("frame", None)

    # Answers.

    def _build_number_answer(self, phone: str, answer: Any) -> NumberAnswer:  # noqa: ANN401
        if answer is None:
            return NumberAnswer(phone, OnWhatsApp.UNKNOWN)
        if not answer.IsIn:
            return NumberAnswer(phone, OnWhatsApp.NO)
        if answer.JID.Server != _LID_SERVER:
            address = format_jid(answer.JID) or None
            return NumberAnswer(phone, OnWhatsApp.YES, address, self._find_lid(phone))
        lid = parse_identity(format_jid(answer.JID))
        known = self._look_up(self._client.get_pn_from_lid, answer.JID)
        address = f"{known.value.removeprefix('+')}@{_PHONE_SERVER}" if known else None
        return NumberAnswer(phone, OnWhatsApp.YES, address, lid)

    def _explain_send_error(self, text: str) -> SendResult:
        """Tell what is certain from what is not: only the server's no, and what came before."""
        if refusal := _SERVER_ERROR.search(text):
            code = int(refusal[1])
            if code == _TIMELOCK:
                self._report(SendingRestricted("reach_out_timelock"))
            return Refused(str(code), f"WhatsApp refused the message with {code}.", code=code)
        if any(each in text for each in _NOT_SENT):
            sentence = "The message was not sent: the library could not prepare it."
            return Refused("not_prepared", sentence, retryable=True)
        return Unknown("no_acknowledgement", "WhatsApp did not answer whether it took the message.")

    def _learn_lid(self, phone: str) -> None:
        """Report the hidden id of a number, where the library knows it."""
        if lid := self._find_lid(phone):
            for signal in self._translator.learn_alias(lid, parse_phone_identity(phone)):
                self._report(signal)

    def _choose_address(self, phone: str) -> str:
        """Return a number as WhatsApp spells it, as far as a check or a message showed it.

        It leaves a digit out of some countries' numbers, and knows nobody by the full one.
        """
        others = sorted(list_phone_spellings(phone) - {phone})
        return next((each for each in (phone, *others) if self._find_lid(each)), phone)

    def _find_lid(self, phone: str) -> Identity | None:
        """Return the hidden id of a number (E.164) from the library's own store."""
        jid = self._library.client.build_jid(phone.removeprefix("+"))
        return self._look_up(self._client.get_lid_from_pn, jid)

    def _find_other_identity(self, identity: Identity) -> Identity | None:
        """Return the hidden id of a number, or the number of a hidden id, where it is known."""
        if identity.kind is IdentityKind.PHONE:
            return self._find_lid(identity.value)
        return self._find_phone(identity) if identity.kind is IdentityKind.LID else None

    def _find_phone(self, lid: Identity) -> Identity | None:
        """Return the number of a hidden id from the library's own store."""
        user, _, server = lid.value.partition("@")
        jid = self._library.client.build_jid(user, server)
        return self._look_up(self._client.get_pn_from_lid, jid)

    def _look_up(self, query: Callable[[Any], Any], jid: Any) -> Identity | None:  # noqa: ANN401
        try:
            return parse_identity(format_jid(query(jid)))
        except (self._library.client.GetJIDFromStoreError, NotAContact):
            return None


class _FrameHandler(logging.Handler):
    """Calls a function for each frame, with its text."""

    def __init__(self, on_frame: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._on_frame = on_frame

    def emit(self, record: logging.LogRecord) -> None:
        """Take one."""
        self._on_frame(record.getMessage())


def _is_logout(signal: Signal) -> bool:
    return isinstance(signal, ConnectionRefused) and signal.kind is RefusalKind.LOGGED_OUT


def _normalize_query(query: str) -> str:
    """Return the number that was asked for, in E.164."""
    return "+" + query.partition("@")[0].removeprefix("+")
