"""What the script lets happen to a line: bans, cuts, silence, and messages out of the blue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from daemon.api.signals import (
    ConnectionRefused,
    Disconnected,
    KeepAliveRestored,
    OwnMessage,
    SendingReopened,
    SendingRestricted,
    Signal,
    StreamErrorUnknown,
    TransportDied,
)
from daemon.plugins.transport_simulated.link import Link
from daemon.plugins.transport_simulated.script import Deed, LineEvent

TOO_MANY_UNKNOWN_PEOPLE = 101
REFUSALS = {
    Deed.SERVER_ERROR: 503,
    Deed.BAN: 402,
    Deed.BLOCK: 403,
    Deed.LOG_OUT: 401,
    Deed.REPLACE: 440,
    Deed.OUTDATE: 405,
    Deed.REFUSE: 400,
}
LOGIN_ENDS = frozenset({Deed.BLOCK, Deed.LOG_OUT})


@dataclass(frozen=True, slots=True)
class Happenings:
    """The script's ``line``, each event once in a session's life."""

    link: Link

    def schedule(self) -> None:
        """Put every event that did not happen yet on the agenda."""
        ready = self.link.told.at("ready")
        for index, event in enumerate(self.link.script.line):
            mine = event.session in {None, self.link.context.session.name}
            if ready and mine and self.link.told.at(f"line:{index}") is None:
                due = ready + timedelta(seconds=event.at)
                self.link.agenda.at(due, partial(self._happen, f"line:{index}", event))

    def _happen(self, key: str, event: LineEvent) -> None:
        now = self.link.context.clock.now()
        if event.do in {Deed.WRITE, Deed.TYPE}:
            self.link.tell(self._message(key, event, now), key)
            return
        self.link.told.note(key, now)
        if event.do in REFUSALS:
            self._refuse(event, now + timedelta(seconds=event.seconds))
        elif event.do is Deed.SILENCE:
            self.link.hush()
        elif event.do is Deed.RESTORE:
            self.link.wake()
            self.link.emit(KeepAliveRestored())
        elif event.do is Deed.RESTRICT:
            until = now + timedelta(seconds=event.seconds)
            self.link.told.note("restricted_until", until)
            self.link.tell(SendingRestricted("reach_out_timelock", until))
        elif event.do is Deed.REOPEN:
            self.link.told.note("restricted_until", now)
            self.link.tell(SendingReopened())
        else:
            self._end(_broken(event.do))

    def _refuse(self, event: LineEvent, until: datetime) -> None:
        banned = event.do is Deed.BAN
        if banned:
            self.link.told.note("banned_until", until)
        if event.do in LOGIN_ENDS:
            self.link.login.forget()
        code = event.code if event.code and not banned else REFUSALS[event.do]
        ban_code = (event.code or TOO_MANY_UNKNOWN_PEOPLE) if banned else None
        self._end(ConnectionRefused(code, ban_code, until if banned else None))

    def _end(self, signal: Signal) -> None:
        self.link.down()
        self.link.emit(signal)

    def _message(self, key: str, event: LineEvent, now: datetime) -> Signal:
        session = self.link.context.session.name
        wire_id = self.link.world.digest("line", session, key)[:20].upper()
        phone = str(event.contact)
        if event.do is Deed.TYPE:
            return OwnMessage(wire_id, phone, now)
        return self.link.world.inbound(wire_id, phone, event.text, now, from_lid=event.from_lid)


def _broken(deed: Deed) -> Signal:
    return {
        Deed.DISCONNECT: Disconnected("connection reset"),
        Deed.STREAM_ERROR: StreamErrorUnknown(),
        Deed.DIE: TransportDied("killed by the script"),
    }[deed]
