"""The connection of a simulated session: pairing, login, keep-alive, restrictions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Protocol

from msgspec import Struct, field

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    KeepAlive,
    Paired,
    PairingCodeIssued,
    PairingFailed,
    PhoneSeen,
    QrExhausted,
    QrIssued,
    RefusalKind,
    Scanned,
    Signal,
    Synced,
)
from daemon.api.transport import OpenContext
from daemon.plugins.transport_simulated.contacts import SimulatedContacts
from daemon.plugins.transport_simulated.disk_state import (
    SentLog,
    SentMessage,
    StoredLogin,
    TimestampLog,
)
from daemon.plugins.transport_simulated.script import (
    ScriptedAction,
    ScriptedPairing,
    SimulationScript,
)
from daemon.plugins.transport_simulated.timeline import SimulationTimeline

CODE_COUNT = 6
FIRST_CODE_SECONDS = 60
NEXT_CODE_SECONDS = 20
CODE_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"
"""Of a code to be typed: without signs that are taken for one another."""
CODE_LENGTH = 8
KEEPALIVE_SECONDS = 20.0


class EmitSignal(Protocol):
    """Puts a signal on the stream; one with a ``key`` is repeated until it was delivered."""

    def __call__(self, signal: Signal, key: str | None = None) -> None:
        """Put the signal on the stream now."""
        ...


class SimulatedConnection(Struct, kw_only=True):
    """Pairs, logs in, syncs and disconnects; ``is_up`` is whether messages can be sent."""

    context: OpenContext
    script: SimulationScript
    contacts: SimulatedContacts
    login: StoredLogin
    sent_log: SentLog
    timestamps: TimestampLog
    timeline: SimulationTimeline
    emit: EmitSignal
    on_down: Callable[[], None]
    on_synced: Callable[[], None]
    is_up: bool = False
    is_silent: bool = False
    _held: list[tuple[Signal, str | None]] = field(default_factory=list)

    def start(self) -> None:
        """Log in, or show the first code."""
        by_code = self.context.session.pairing_phone is not None
        pair = self._show_pairing_code if by_code else self._show_codes
        step = self._log_in if self.login.get_phone() else pair
        self.timeline.schedule_after(self.script.step, step)

    def disconnect(self) -> None:
        """Break the connection: scheduled events and pending answers are dropped."""
        self.is_up = self.is_silent = False
        self._held.clear()
        self.timeline.clear()
        self.on_down()

    def log_out(self) -> None:
        """Delete the login and break the connection."""
        self.login.delete()
        self.disconnect()

    def schedule_signals_after(self, sent: SentMessage) -> None:
        """Schedule what follows a sent message, except what was reported already."""
        for each in self.contacts.list_signals_after(sent):
            if self.timestamps.get(each.key) is None:
                self.timeline.schedule_at(
                    each.due, partial(self.emit_or_hold, each.signal, each.key)
                )

    def restricted_until(self) -> datetime | None:
        """Return the moment until which new chats are closed, or None."""
        until = self.timestamps.get("restricted_until")
        return until if until and until > self.context.clock.now() else None

    def is_restricted(self, phone: str) -> bool:
        """Return whether new chats are closed, and this contact never wrote to us."""
        return self.restricted_until() is not None and not self._has_written(phone)

    def _has_written(self, phone: str) -> bool:
        replies = [
            f"{sent.wire_id}:reply" for sent in self.sent_log.sent if sent.recipient == phone
        ]
        own_accord = [
            f"line:{index}"
            for index, event in enumerate(self.script.line)
            if event.do is ScriptedAction.WRITE and event.contact == phone
        ]
        return any(self.timestamps.get(key) for key in replies + own_accord)

    def silence(self) -> None:
        """Simulate silence: the connection stays up, and nothing is received."""
        self.is_silent = True

    def end_silence(self) -> None:
        """End the silence; the signals that were held are reported at once."""
        self.is_silent = False
        held, self._held = self._held, []
        for signal, key in held:
            self.emit(signal, key)

    def emit_or_hold(self, signal: Signal, key: str | None = None) -> None:
        """Report a signal now, or after the silence."""
        if self.is_silent:
            self._held.append((signal, key))
        else:
            self.emit(signal, key)

    # Pairing.

    def _show_codes(self) -> None:
        # The rhythm of WhatsApp: the first code lasts 60 s, the others 20 s each.
        begins = 0.0
        for index in range(1, CODE_COUNT + 1):
            valid = FIRST_CODE_SECONDS if index == 1 else NEXT_CODE_SECONDS
            self.timeline.schedule_after(begins, partial(self.emit, self._issue_code(index, valid)))
            begins += valid
        self._wait_for_phone(begins)

    def _show_pairing_code(self) -> None:
        """Show a code to be typed, which is valid for as long as the QR codes would be shown."""
        if self.script.pairing is ScriptedPairing.NO_CODE:
            self.emit(PairingFailed(code_refused=True))
            return
        session, moment = self.context.session.name, self.context.clock.now().isoformat()
        number = int(self.contacts.digest("pairing code", session, moment), 16)
        digits = [number // len(CODE_ALPHABET) ** place for place in range(CODE_LENGTH)]
        code = "".join(CODE_ALPHABET[digit % len(CODE_ALPHABET)] for digit in digits)
        valid = FIRST_CODE_SECONDS + (CODE_COUNT - 1) * NEXT_CODE_SECONDS
        self.emit(PairingCodeIssued(code, valid))
        self._wait_for_phone(valid)

    def _wait_for_phone(self, seconds: float) -> None:
        """Let the codes be used up after so many seconds, unless the phone takes one before."""
        self.timeline.schedule_after(seconds, partial(self.emit, QrExhausted()))
        if self.script.scan_after is not None and self.script.scan_after < seconds:
            self.timeline.schedule_after(self.script.scan_after, self._scan)

    def _issue_code(self, index: int, valid: float) -> QrIssued:
        session = self.context.session.name
        moment = self.context.clock.now().isoformat()
        secret = self.contacts.digest("code", session, moment, str(index))
        code = f"https://wa.me/settings/linked_devices#2@{secret},simulated"
        return QrIssued(code, index, CODE_COUNT, valid)

    def _scan(self) -> None:
        self.timeline.clear()
        self.emit(Scanned())
        self.timeline.schedule_after(self.script.step, self._pair)

    def _pair(self) -> None:
        if self.script.pairing in {ScriptedPairing.REFUSE, ScriptedPairing.PASSKEY}:
            self.emit(PairingFailed(self.script.pairing is ScriptedPairing.PASSKEY))
            return
        session = self.context.session
        phone = session.options.get("phone") or self.contacts.own_phone(session.name)
        if self.script.pairing is not ScriptedPairing.OTHER_NUMBER:
            phone = session.pairing_phone or phone
        self.login.store(str(phone))
        self.emit(Paired(str(phone)))
        self.timeline.schedule_after(self.script.step, self._connect)

    # Logging in, and staying.

    def _log_in(self) -> None:
        phone = self.login.get_phone()
        if phone and not self.context.session.paired:
            self.emit(Paired(phone))  # the daemon ended between our login and its commit
        self._connect()

    def _connect(self) -> None:
        now, banned_until = self.context.clock.now(), self.timestamps.get("banned_until")
        if banned_until and banned_until > now:
            self.emit(ConnectionRefused(RefusalKind.BANNED, 402, until=banned_until))
            return
        self.is_up = True
        self.emit(Connected())
        # What was due while the connection was down is reported now, as a real platform does.
        for sent in self.sent_log.sent:
            self.schedule_signals_after(sent)
        self.timeline.schedule_after(KEEPALIVE_SECONDS, self._keep_alive)
        self.timeline.schedule_after(self.script.step, self._sync)

    def _sync(self) -> None:
        now = self.context.clock.now()
        self.emit(Synced())
        self.emit(PhoneSeen(now))
        if self.timestamps.get("ready") is None:
            self.timestamps.record("ready", now)
        self.on_synced()

    def _keep_alive(self) -> None:
        if not self.is_silent:
            self.emit(KeepAlive())
        self.timeline.schedule_after(KEEPALIVE_SECONDS, self._keep_alive)
