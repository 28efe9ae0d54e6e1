"""All sessions by name: creates, restores, commands and closes them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import available_timezones

from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitVerifier
from daemon.api.signals import AliasLearned, InboundMessage, OwnMessage, Receipt
from daemon.api.transport import (
    CannotOpen,
    Channel,
    KnownContact,
    NumberAnswer,
    Outgoing,
    SendResult,
)
from daemon.bus import EventBus
from daemon.errors import BadRequest, Conflict, NotFound, StartRefused
from daemon.events import SessionPairingCodeShown, SessionQrShown
from daemon.plugin_manager import Plugins
from daemon.sessions.commands import (
    acknowledge_session,
    answer_linking_questions,
    delete_session,
    log_out_session,
    request_pairing_code,
    restart_session,
    restore_session,
    start_session,
    stop_session,
)
from daemon.sessions.connection import SessionUnavailable
from daemon.sessions.dependencies import SessionDependencies
from daemon.sessions.queue_disposal import NOTHING_CHOSEN, QueueDisposal
from daemon.sessions.session import Session
from daemon.sessions.signal_check import RejectedSignal
from daemon.sessions.status import SessionView, build_session_changed, build_session_view
from daemon.sessions.transitions import SHIPPED_SETTINGS
from daemon.settings import SessionSettings, Settings
from statemachines.session import ConnectionState, DesiredState, PhoneState, SendingState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import audit, sessions
from storage.db import Database
from storage.linking_answers import LinkingAnswers
from storage.sessions import SessionRecord
from storage.tx import Tx


async def load_usable_channels(
    plugins: Plugins, settings: Settings, database: Database
) -> Mapping[str, Channel]:
    """Return the channels that may be used; with an injected clock, only simulated ones.

    Raises :class:`StartRefused` where a stored session is on another channel.
    """
    channels = plugins.channels()
    if settings.clock.start is None:
        return channels
    # On a clock that runs ahead, pauses and daily budgets of a real account would shrink to
    # nothing; by hand too, real people would be written to.
    harmless = {name: each for name, each in channels.items() if each.simulated}
    for session in await database.read(sessions.list_sessions):
        if session.channel not in harmless:
            raise StartRefused(
                f"The session {session.name!r} is {session.channel}, and the clock is injected.",
                hint="Remove [clock] start: only simulated sessions may run on an injected clock.",
            )
    return harmless


SESSION_NAME_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")


class Sessions:
    """Every session of the installation.

    ``on_inbound`` and the like store what a connection reports, and are awaited before its next
    signal is read; ``on_rejected`` stores what can be kept of a signal that can't be understood or
    stored. ``channel_options`` are settings by channel, which a session's own options overrule.
    ``installed_channels`` names those too that may not be used with an injected clock.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        database: Database,
        bus: EventBus,
        verifier: PermitVerifier,
        channels: Mapping[str, Channel],
        folder: Path,
        rng: Random,
        on_inbound: Callable[[str, InboundMessage], Awaitable[Any]],
        on_receipt: Callable[[str, Receipt], Awaitable[Any]],
        on_own: Callable[[str, OwnMessage], Awaitable[Any]],
        on_alias: Callable[[str, AliasLearned], Awaitable[Any]],
        on_rejected: Callable[[str, RejectedSignal], Awaitable[Any]],
        channel_options: Mapping[str, Mapping[str, object]] | None = None,
        stagger_seconds: float = 0.2,
        settings: SessionSettings = SHIPPED_SETTINGS,
        installed_channels: Collection[str] = (),
    ) -> None:
        self._stagger, self._installed_channels = stagger_seconds, installed_channels
        self._sessions: dict[str, Session] = {}
        self._dependencies = SessionDependencies(
            clock=clock,
            database=database,
            bus=bus,
            verifier=verifier,
            channels=channels,
            channel_options=channel_options or {},
            folder=folder,
            rng=rng,
            sinks={
                InboundMessage: on_inbound,
                Receipt: on_receipt,
                OwnMessage: on_own,
                AliasLearned: on_alias,
            },
            on_rejected=on_rejected,
            settings=settings,
        )

    # Reading.

    def views(self) -> list[SessionView]:
        """Return every session, in the order of creation."""
        return [build_session_view(session.repository.shown) for session in self._sessions.values()]

    def view(self, name: str) -> SessionView:
        """Return one session; raise :class:`NotFound` for an unknown name."""
        return build_session_view(self._require_session(name).repository.shown)

    def qr(self, name: str) -> SessionQrShown | None:
        """Return the QR code that can be scanned now, or None; raise :class:`NotFound`."""
        return self._require_session(name).qr()

    def pairing_code(self, name: str) -> SessionPairingCodeShown | None:
        """Return the code that can be typed on the phone now, or None; raise :class:`NotFound`."""
        return self._require_session(name).pairing_code()

    def can_send(self, name: str, new_chat: bool) -> bool:  # noqa: FBT001 - the only question
        """Return whether this session could send a message now; False for an unknown one."""
        session = self._sessions.get(name)
        return session is not None and session.can_send(new_chat=new_chat)

    @property
    def refused_signals(self) -> Counter[str]:
        """Return, by session, how many signals were refused."""
        return self._dependencies.refused_signals

    @property
    def failures(self) -> Mapping[str, int]:
        """Return, by session, how many signals and timers ended in an unexpected error."""
        return {name: session.failures for name, session in self._sessions.items()}

    @property
    def running_count(self) -> int:
        """Return how many sessions have a running task; one at rest is only a row."""
        return sum(session.is_running for session in self._sessions.values())

    # Commands of people. Each returns when its effect is stored, and is idempotent.

    async def create(
        self,
        name: str,
        channel: str,
        time_zone: str,
        options: Mapping[str, object] | None = None,
        *,
        who: str = "system",
    ) -> SessionView:
        """Create a session, stopped. Raises :class:`BadRequest` or :class:`Conflict`."""
        options = dict(options or {})
        self._validate_new_session(name, channel, time_zone)
        self._refuse_file_options(channel, options)
        record = await self._dependencies.database.write(
            partial(
                self._insert_session, self._build_record(name, channel, time_zone, options), who
            )
        )
        self._sessions[name] = Session(record, self._dependencies)
        return self.view(name)

    async def start(self, name: str, who: str) -> None:
        """Switch a session on. Raises :class:`Conflict` where a ban must be confirmed first."""
        await self._run_command(start_session, name, who)

    async def stop(self, name: str, who: str) -> None:
        """Switch a session off; sends that are under way get a moment to be answered."""
        await self._run_command(stop_session, name, who)

    async def restart(self, name: str, who: str) -> None:
        """Restart with a new connection and, where no phone is linked, a new QR code."""
        await self._run_command(restart_session, name, who)

    async def request_pairing_code(self, name: str, phone: str, who: str) -> None:
        """Start again, to link the phone of this number (E.164) by a code that is typed on it.

        The code follows as :class:`SessionPairingCodeShown`. Raises what
        :func:`request_pairing_code` raises.
        """
        session = self._require_session(name)
        await session.ask(partial(request_pairing_code, session, phone, who))

    async def answer_linking_questions(
        self,
        name: str,
        number_age: NumberAge,
        banned: ReportedBan,
        banned_on: date | None,
        who: str,
    ) -> LinkingAnswers:
        """Store what a person says about the number of a session; return it, dated.

        Raises :class:`BadRequest` for a day of a ban that nobody had, or that is yet to come.
        """
        session = self._require_session(name)
        if banned_on is not None and (
            banned is not ReportedBan.YES or banned_on > session.now().date()
        ):
            raise BadRequest(
                "The day of the ban can't be right: without a ban there is none, and it is past.",
                hint="Leave it out where you do not know it.",
            )
        answers = LinkingAnswers(session.now(), who, number_age, banned, banned_on)
        await session.ask(partial(answer_linking_questions, session, answers))
        return answers

    async def logout(self, name: str, who: str) -> None:
        """Unlink the phone and switch the session off."""
        await self._run_command(log_out_session, name, who)

    async def acknowledge(self, name: str, who: str) -> None:
        """Confirm a ban, a block or a failure. Raises :class:`Conflict` while a ban lasts."""
        await self._run_command(acknowledge_session, name, who)

    async def delete(self, name: str, who: str, disposal: QueueDisposal = NOTHING_CHOSEN) -> None:
        """Unlink and delete a session; its name stays taken. Idempotent.

        Its unsent messages are cancelled or moved in the same transaction. Raises, before
        anything is done, what :meth:`QueueDisposal.check` raises.
        """
        session = self._sessions.get(name)
        if session is None:
            return
        # Before the device is unlinked, which can't be undone.
        await self._dependencies.database.read(lambda reader: disposal.check(reader, name))
        await session.ask(partial(delete_session, session, disposal, who))
        self._sessions.pop(name, None)
        await session.close()

    # Start and end.

    async def restore(self) -> None:
        """Load every stored session; those that were active connect again, one after the other.

        Raises :class:`StartRefused` for a session whose channel no plugin provides.
        """
        records = await self._dependencies.database.read(sessions.list_sessions)
        for record in records:
            if record.channel not in self._dependencies.channels:
                raise StartRefused(
                    f"The session {record.name} belongs to the channel {record.channel!r}, which"
                    " no plugin provides.",
                    hint="Install or unblock the plugin of that channel.",
                )
        self._sessions = {record.name: Session(record, self._dependencies) for record in records}
        at, stagger = self._dependencies.clock.now(), timedelta(seconds=self._stagger)
        for session in self._sessions.values():
            await session.ask(partial(restore_session, session, at))
            # Staggered, so that a start with many sessions does not connect them all at once.
            at += stagger if session.record.desired == DesiredState.ON else timedelta()

    async def follow_clock(self, by: timedelta, seen: datetime) -> None:
        """Adjust every session to a step of the wall clock, back by ``by``; zero is forward."""
        for session in tuple(self._sessions.values()):
            await session.follow_clock(by, seen)

    async def close(self) -> None:
        """Close every connection, bounded. No state changes: the next start goes on from it."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    # Sending.

    async def send(
        self, name: str, permit: Permit, outgoing: Outgoing, *, new_chat: bool
    ) -> SendResult:
        """Send through a session; ``new_chat``: the recipient never had a message with us.

        Never raises: returns :class:`SessionUnavailable` where the session does not exist or may
        not send. The caller bounds the wait; a message whose call was cancelled may have left.
        """
        session = self._sessions.get(name)
        if session is None:
            sentence = f"There is no session {name} any more; nothing was sent."
            return SessionUnavailable("session_gone", sentence, retryable=True)
        return await session.send(permit, outgoing, new_chat=new_chat)

    async def check_numbers(self, name: str, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return whether numbers (E.164) are on WhatsApp; UNKNOWN where the session can't ask."""
        return await self._require_session(name).check_numbers(phones)

    async def list_contacts(self, name: str) -> Sequence[KnownContact]:
        """Return the contacts of a session's account; empty where its channel can't list them."""
        return await self._require_session(name).list_contacts()

    def _require_session(self, name: str) -> Session:
        if name not in self._sessions:
            raise NotFound(f"There is no session {name!r}.", hint="List them: leadmaster sessions")
        return self._sessions[name]

    async def _run_command(
        self, command: Callable[[Session, str], Awaitable[None]], name: str, who: str
    ) -> None:
        session = self._require_session(name)
        await session.ask(partial(command, session, who))

    def _validate_new_session(self, name: str, channel: str, time_zone: str) -> None:
        if not SESSION_NAME_PATTERN.match(name):
            raise BadRequest(
                f"{name!r} can't be the name of a session.",
                hint="Use up to 32 of a-z, 0-9, - and _, starting with a letter or a digit.",
            )
        if channel not in self._dependencies.channels:
            known = ", ".join(sorted(self._dependencies.channels))
            if channel in self._installed_channels:
                raise BadRequest(
                    f"The channel {channel!r} can't be used, because the clock is injected.",
                    hint=f"Remove [clock] start from the settings, or use one of: {known}.",
                )
            raise BadRequest(f"There is no channel {channel!r}.", hint=f"There are: {known}.")
        if time_zone not in available_timezones():
            raise BadRequest(
                f"{time_zone!r} is not a time zone.", hint="Write it like America/Bogota."
            )

    def _refuse_file_options(self, channel: str, options: Mapping[str, object]) -> None:
        for option in sorted(self._dependencies.channels[channel].settings_only & options.keys()):
            raise BadRequest(
                f"The option {option} names a file, which a session's own options can't do.",
                hint=f"Set it in leadmaster.toml, in the section of the channel: [{channel}].",
            )

    def _build_record(
        self, name: str, channel: str, time_zone: str, options: Mapping[str, object]
    ) -> SessionRecord:
        now = self._dependencies.clock.now()
        by_hand = self._dependencies.channels[channel].open is None
        # By hand nobody pairs a phone: the operator says of which number the budgets count.
        phone = options.get("phone") if by_hand else None
        return SessionRecord(
            name=name,
            channel=channel,
            phone=str(phone) if phone else None,
            time_zone=time_zone,
            options=options,
            desired=DesiredState.OFF,
            connection=ConnectionState.STOPPED,
            phone_state=PhoneState.UNLINKED,
            sending=SendingState.ALL,
            reason_code="created",
            since=now,
            created_at=now,
        )

    def _insert_session(self, new: SessionRecord, who: str, tx: Tx) -> SessionRecord:
        """Store a session with the options that its channel chooses; return it."""
        # Deleted names count too: events and messages name their session, and must stay
        # unambiguous.
        if sessions.is_session_name_used(tx, new.name):
            raise Conflict(
                f"The name {new.name!r} is taken, by a session or by a deleted one"
                " whose messages are kept.",
                hint="Choose another name.",
            )
        record = replace(new, options=self._choose_options(new, tx))
        sessions.insert_session(tx, record)
        at = record.created_at
        audit.insert_audit_entry(tx, at=at, who=who, action="session_created", subject=record.name)
        tx.emit(build_session_changed(record, at))
        return record

    def _choose_options(self, new: SessionRecord, tx: Tx) -> Mapping[str, object]:
        """Return the options of a new session; raise :class:`Conflict` where none can be had."""
        choose = self._dependencies.channels[new.channel].choose_options
        if choose is None:
            return new.options
        settings = self._dependencies.channel_options.get(new.channel, {})
        stored = sessions.list_sessions(tx)
        others = [each.options for each in stored if each.channel == new.channel]
        try:
            return choose(settings, new.options, others)
        except CannotOpen as error:
            raise Conflict(str(error), hint="Then add the session again.") from error
