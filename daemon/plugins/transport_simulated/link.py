"""The connection of a simulated line: codes, login, keep-alive, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    KeepAlive,
    Paired,
    PairingFailed,
    PhoneSeen,
    QrExhausted,
    QrIssued,
    Scanned,
    Signal,
    Synced,
)
from daemon.api.transport import OpenContext
from daemon.plugins.transport_simulated.agenda import Agenda
from daemon.plugins.transport_simulated.script import Deed, Pairing, Script
from daemon.plugins.transport_simulated.wire import Login, Sent, Told, Wire
from daemon.plugins.transport_simulated.world import World

CODES = 6
FIRST_CODE_SECONDS = 60
NEXT_CODE_SECONDS = 20
KEEPALIVE_SECONDS = 20.0


class Emit(Protocol):
    """Puts a signal on the stream; ``key`` names what must be told at least once."""

    def __call__(self, signal: Signal, key: str | None = None) -> None:
        """Put it on the stream, now."""
        ...


@dataclass(slots=True)
class Link:
    """From no connection to a synced one and down again; ``up`` says whether messages can go."""

    _: KW_ONLY
    context: OpenContext
    script: Script
    world: World
    login: Login
    wire: Wire
    told: Told
    agenda: Agenda
    emit: Emit
    on_down: Callable[[], None]
    on_synced: Callable[[], None]
    up: bool = False
    silent: bool = False
    _held: list[tuple[Signal, str | None]] = field(default_factory=list)

    def begin(self) -> None:
        """Log in, or show the first code."""
        step = self._log_in if self.login.phone() else self._show_codes
        self.agenda.after(self.script.step, step)

    def down(self) -> None:
        """Break the connection: nothing that was due happens, no answer comes any more."""
        self.up = self.silent = False
        self._held.clear()
        self.agenda.clear()
        self.on_down()

    def log_out(self) -> None:
        """Forget the login and break the connection."""
        self.login.forget()
        self.down()

    def follow(self, sent: Sent) -> None:
        """Let happen what a sent message leads to, as far as it was not told yet."""
        for news in self.world.news_of(sent):
            if self.told.at(news.key) is None:
                self.agenda.at(news.due, partial(self.tell, news.signal, news.key))

    def restricted_until(self) -> datetime | None:
        """Return until when new chats are closed, or None when they are not."""
        until = self.told.at("restricted_until")
        return until if until and until > self.context.clock.now() else None

    def restricts(self, phone: str) -> bool:
        """Return whether new chats are closed and this contact never wrote to us."""
        return self.restricted_until() is not None and not self._wrote(phone)

    def _wrote(self, phone: str) -> bool:
        replies = [f"{sent.wire_id}:reply" for sent in self.wire.sent if sent.recipient == phone]
        own_accord = [
            f"line:{index}"
            for index, event in enumerate(self.script.line)
            if event.do is Deed.WRITE and event.contact == phone
        ]
        return any(self.told.at(key) for key in replies + own_accord)

    def hush(self) -> None:
        """Go deaf: the connection stays up and nothing comes through."""
        self.silent = True

    def wake(self) -> None:
        """Hear again; what was held up comes at once."""
        self.silent = False
        held, self._held = self._held, []
        for signal, key in held:
            self.emit(signal, key)

    def tell(self, signal: Signal, key: str | None = None) -> None:
        """Report something, now or when the connection is not deaf any more."""
        if self.silent:
            self._held.append((signal, key))
        else:
            self.emit(signal, key)

    # Pairing.

    def _show_codes(self) -> None:
        begins = 0.0
        for index in range(1, CODES + 1):
            valid = FIRST_CODE_SECONDS if index == 1 else NEXT_CODE_SECONDS
            self.agenda.after(begins, partial(self.emit, self._code(index, valid)))
            begins += valid
        self.agenda.after(begins, partial(self.emit, QrExhausted()))
        if self.script.scan_after is not None and self.script.scan_after < begins:
            self.agenda.after(self.script.scan_after, self._scan)

    def _code(self, index: int, valid: float) -> QrIssued:
        session = self.context.session.name
        moment = self.context.clock.now().isoformat()
        secret = self.world.digest("code", session, moment, str(index))
        code = f"https://wa.me/settings/linked_devices#2@{secret},simulated"
        return QrIssued(code, index, CODES, valid)

    def _scan(self) -> None:
        self.agenda.clear()
        self.emit(Scanned())
        self.agenda.after(self.script.step, self._pair)

    def _pair(self) -> None:
        if self.script.pairing is not Pairing.ACCEPT:
            self.emit(PairingFailed(self.script.pairing is Pairing.PASSKEY))
            return
        session = self.context.session
        phone = session.options.get("phone") or self.world.own_phone(session.name)
        self.login.store(str(phone))
        self.emit(Paired(str(phone)))
        self.agenda.after(self.script.step, self._connect)

    # Logging in, and staying.

    def _log_in(self) -> None:
        phone = self.login.phone()
        if phone and not self.context.session.paired:
            self.emit(Paired(phone))  # the daemon died between our login and its own row
        self._connect()

    def _connect(self) -> None:
        now, banned_until = self.context.clock.now(), self.told.at("banned_until")
        if banned_until and banned_until > now:
            self.emit(ConnectionRefused(402, None, banned_until))
            return
        self.up = True
        self.emit(Connected())
        for sent in self.wire.sent:
            self.follow(sent)
        self.agenda.after(KEEPALIVE_SECONDS, self._keep_alive)
        self.agenda.after(self.script.step, self._sync)

    def _sync(self) -> None:
        now = self.context.clock.now()
        self.emit(Synced())
        self.emit(PhoneSeen(now))
        if self.told.at("ready") is None:
            self.told.note("ready", now)
        self.on_synced()

    def _keep_alive(self) -> None:
        if not self.silent:
            self.emit(KeepAlive())
        self.agenda.after(KEEPALIVE_SECONDS, self._keep_alive)
