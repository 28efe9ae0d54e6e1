"""Scripted events of a simulated session: bans, disconnects, silence, inbound messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import cast

from msgspec import Struct

from daemon.api.identity import Identity, parse_phone_identity
from daemon.api.signals import (
    ConnectionRefused,
    Disconnected,
    InboundMessage,
    KeepAliveRestored,
    OwnMessage,
    SendingReopened,
    SendingRestricted,
    Signal,
    StreamErrorUnknown,
    TransportDied,
)
from daemon.api.text import hash_folded_text
from daemon.plugins.transport_simulated.connection import SimulatedConnection
from daemon.plugins.transport_simulated.script import ScriptedAction, ScriptedEvent

TOO_MANY_UNKNOWN_PEOPLE = 101
REFUSAL_CODES = {
    ScriptedAction.SERVER_ERROR: 503,
    ScriptedAction.BAN: 402,
    ScriptedAction.BLOCK: 403,
    ScriptedAction.LOG_OUT: 401,
    ScriptedAction.REPLACE: 440,
    ScriptedAction.OUTDATE: 405,
    ScriptedAction.REFUSE: 400,
}
LOGIN_ENDING_ACTIONS = frozenset({ScriptedAction.BLOCK, ScriptedAction.LOG_OUT})


class ScriptedEventScheduler(Struct, frozen=True):
    """Schedules the events of the script's ``line``, each once in a session's whole life."""

    connection: SimulatedConnection

    def schedule(self) -> None:
        """Schedule every event that has not happened yet."""
        ready = self.connection.timestamps.get("ready")
        for index, event in enumerate(self.connection.script.line):
            is_for_session = event.session in {None, self.connection.context.session.name}
            if ready and is_for_session and self.connection.timestamps.get(f"line:{index}") is None:
                due = ready + timedelta(seconds=event.at)
                self.connection.timeline.schedule_at(
                    due, partial(self._run_event, f"line:{index}", event)
                )

    def _run_event(self, key: str, event: ScriptedEvent) -> None:
        now = self.connection.context.clock.now()
        if event.do in {ScriptedAction.WRITE, ScriptedAction.TYPE}:
            message = self._build_message(key, event, now)
            for _ in range(event.times):
                self.connection.emit_or_hold(message, key)
            return
        # Recorded before it takes effect: an event that ends the connection must not happen again
        # after the next one.
        self.connection.timestamps.record(key, now)
        if event.do in REFUSAL_CODES:
            self._refuse(event, now + timedelta(seconds=event.seconds))
        elif event.do is ScriptedAction.SILENCE:
            self.connection.silence()
        elif event.do is ScriptedAction.RESTORE:
            self.connection.end_silence()
            self.connection.emit(KeepAliveRestored())
        elif event.do is ScriptedAction.RESTRICT:
            until = now + timedelta(seconds=event.seconds)
            self.connection.timestamps.record("restricted_until", until)
            self.connection.emit_or_hold(SendingRestricted("reach_out_timelock", until))
        elif event.do is ScriptedAction.REOPEN:
            self.connection.timestamps.record("restricted_until", now)
            self.connection.emit_or_hold(SendingReopened())
        else:
            self._end(_build_disconnect_signal(event.do))

    def _refuse(self, event: ScriptedEvent, until: datetime) -> None:
        banned = event.do is ScriptedAction.BAN
        if banned:
            self.connection.timestamps.record("banned_until", until)
        if event.do in LOGIN_ENDING_ACTIONS:
            self.connection.login.delete()
        code = event.code if event.code and not banned else REFUSAL_CODES[event.do]
        ban_code = (event.code or TOO_MANY_UNKNOWN_PEOPLE) if banned else None
        self._end(ConnectionRefused.from_code(code, ban_code, until if banned else None))

    def _end(self, signal: Signal) -> None:
        self.connection.disconnect()
        self.connection.emit(signal)

    def _build_message(self, key: str, event: ScriptedEvent, now: datetime) -> Signal:
        session = self.connection.context.session.name
        digest = self.connection.contacts.digest("line", session, key)
        wire_id = digest[:20].upper() if event.wire_id is None else event.wire_id
        written_at = now - timedelta(seconds=event.written_ago)
        if event.without_zone:
            written_at = written_at.replace(tzinfo=None)
        name, others = self._list_names(event)
        if event.do is ScriptedAction.TYPE:
            text_hash = hash_folded_text(event.text) if event.text else None
            return OwnMessage(wire_id, name, written_at, text_hash, event.origin)
        return InboundMessage(
            wire_id,
            name,
            event.text,
            written_at,
            event.kind,
            event.origin,
            others,
            event.push_name,
            event.quoted_id,
            event.automatic,
        )

    def _list_names(self, event: ScriptedEvent) -> tuple[Identity, tuple[Identity, ...]]:
        """Return the identity that the channel reports, and the aliases with it."""
        if event.address is None:
            return self.connection.contacts.list_names(str(event.contact), from_lid=event.from_lid)
        number = (parse_phone_identity(event.contact),) if event.contact else ()
        # Raw, as some libraries report identities: the daemon's check must handle that.
        return cast("Identity", event.address), number


def _build_disconnect_signal(action: ScriptedAction) -> Signal:
    return {
        ScriptedAction.DISCONNECT: Disconnected("connection reset"),
        ScriptedAction.STREAM_ERROR: StreamErrorUnknown(),
        ScriptedAction.DIE: TransportDied("killed by the script"),
    }[action]
