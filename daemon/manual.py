"""Sends by hand: one person takes one message, opens the chat, sends, and says so."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.errors import BadRequest, Conflict, NotAllowed, NotFound
from daemon.floor import MANUAL
from daemon.gate import Gate, Phase
from daemon.outbox.desk import Desk
from daemon.outbox.release import Release, Stale
from daemon.pacing import Pacing
from daemon.settings import SendingSettings
from statemachines.message import MessageState
from storage import messages, queue
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord, MovedOn
from storage.tx import Tx

_WHY_NOT = {
    "halted": "Sending is halted.",
    "not_its_time": "Its time has not come yet, or is over.",
    "contact_busy": "Another message to this contact is on its way, or in doubt.",
    "manual_new_chat_budget": "Today's new chats by hand of this number are spent.",
    "no_manual_new_chats": "This number has no budget for new chats by hand.",
}


class Manual:
    """The manual channel. It passes the same gate, and belongs to the session's phone number."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        desk: Desk,
        pacing: Pacing,
        clock: Clock,
        settings: SendingSettings,
    ) -> None:
        self._database = database
        self._gate = gate
        self._desk = desk
        self._pacing = pacing
        self._clock = clock
        self._settings = settings

    async def list(self, limit: int = 100) -> list[MessageRecord]:
        """Return what can be taken and what is taken, longest waiting first."""
        return await self._database.read(lambda reader: queue.by_hand(reader, limit))

    async def take(self, message: str, who: str) -> MessageRecord:
        """Take a message for the time of a lease; the gate is asked again first.

        Raises :class:`Conflict` with the gate's reason, or because this operator has one open.
        """
        found = await self._found(message)
        if (found.state, found.channel) != (MessageState.CLEARED, MANUAL):
            raise Conflict(f"The message {message} is {found.state} on {found.channel}.")
        open_one = await self._database.read(lambda reader: queue.open_of(reader, who))
        if open_one:
            raise Conflict(
                f"{who} has {open_one} open.", hint="Confirm, cancel or return that one first."
            )
        look = await self._gate.look(found, Phase.RELEASE)
        if not look.allows:
            after = await self._desk.write_down(look)
            raise Conflict(after.sentence if after else f"The message {message} has moved.")
        lease = timedelta(minutes=self._settings.manual_lease_minutes)
        decision = new_id("dec", look.at)
        release = Release(look, decision, self._gate.permit(look, decision, lease))

        def job(tx: Tx) -> MessageRecord:
            if another := queue.open_of(tx, who):
                raise Conflict(f"{who} has {another} open.")
            return release.commit(
                tx,
                self._pacing,
                MessageState.TAKEN,
                who=who,
                sentence=f"Taken by {who}.",
                taken_by=who,
                lease_until=look.at + lease,
            )

        try:
            return await self._database.write(job)
        except Stale as stale:
            sentence = _WHY_NOT.get(stale.reason_code, "Something changed meanwhile; try again.")
            raise Conflict(sentence) from stale

    async def reveal(self, message: str, who: str) -> str:
        """Return the ``wa.me`` link with the text; from here on it may have been sent."""
        after = await self._move(
            message, who, MessageState.REVEALED, "revealed", "The link is open."
        )
        return numbers.wa_link(after.recipient, after.text)

    async def confirm(self, message: str, who: str) -> MessageRecord:
        """Say that it was sent by hand; that is ``confirmed_by_hand``, never ``sent``."""
        sentence = f"{who} sent it by hand."
        return await self._move(message, who, MessageState.CONFIRMED_BY_HAND, "confirmed", sentence)

    async def cancel(self, message: str, who: str, reason: str) -> MessageRecord:
        """Say that it was not sent, and why; it is over."""
        if not reason.strip():
            raise BadRequest("A reason is missing.", hint="Say why it was not sent.")
        return await self._move(message, who, MessageState.CANCELLED, "not_sent", reason.strip())

    async def give_back(self, message: str, who: str) -> MessageRecord:
        """Return a message whose link was not shown; anybody may take it again."""
        return await self._move(message, who, MessageState.CLEARED, "returned", "Returned unseen.")

    async def _move(
        self, message: str, who: str, target: MessageState, code: str, sentence: str
    ) -> MessageRecord:
        at = self._clock.now()

        def job(tx: Tx) -> MessageRecord:
            self._check_taker(tx, message, who, at)
            return messages.move(
                tx, message, target, at=at, reason_code=code, sentence=sentence, who=who
            )

        try:
            return await self._database.write(job)
        except MovedOn as moved:
            raise Conflict(str(moved)) from moved

    def _check_taker(self, tx: Tx, message: str, who: str, at: datetime) -> None:
        found = messages.get(tx, message)
        if found is None:
            raise NotFound(f"There is no message {message}.")
        if found.state not in {MessageState.TAKEN, MessageState.REVEALED}:
            raise Conflict(f"The message {message} is {found.state}; take it first.")
        if found.taken_by != who:
            raise NotAllowed(f"{found.taken_by} has taken this message.")
        if found.lease_until is not None and found.lease_until <= at:
            raise Conflict("The lease is over.", hint="Take the message again.")

    async def _found(self, message: str) -> MessageRecord:
        found = await self._database.read(lambda reader: messages.get(reader, message))
        if found is None:
            raise NotFound(f"There is no message {message}.")
        return found
