"""Sending by hand: one person takes one message, opens the chat, sends it and confirms."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.api import numbers
from daemon.api.clock import Clock
from daemon.errors import Conflict, NotAllowed, NotFound, require_reason
from daemon.gate.gate import EvaluationPhase, Gate
from daemon.numbers.breaker import Breaker
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.pacing import Pacing
from daemon.outbox.release import BREAKER_OBSTACLE, Release
from daemon.outbox.staleness import EvaluationStale
from daemon.settings import SendingSettings
from statemachines.message import LEASED_STATES, MessageState
from statemachines.vocabulary import BuiltinChannel
from storage import campaign_people, messages, queue
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord, MessageStateConflict
from storage.tx import Reader, Tx

_STALE_SENTENCES = {
    "halted": "Sending is halted.",
    "not_its_time": "It is not time to send it yet, or it has expired.",
    "contact_busy": "Another message to this contact is being sent, or unconfirmed.",
    "manual_new_chat_budget": "Today's new chats by hand of this number are used up.",
    "no_manual_new_chats": "No new chats by hand are allowed for this number.",
    BREAKER_OBSTACLE: "New chats of this number are stopped.",
    "new_chats_stopped": "New chats of this number are stopped.",
    "number_banned": "WhatsApp banned this number.",
    "reply_only_after_ban": "After a ban, this number only replies for 14 days.",
    "other_number_banned": ("Another number was banned: no number begins new chats for 72 hours."),
}


class ManualSending:
    """Leads a message through sending by hand: taken for a lease, revealed, confirmed or returned.

    The same gate decides on it as on any other, and it counts in the budgets of the number.
    """

    def __init__(
        self,
        database: Database,
        gate: Gate,
        evaluator: MessageEvaluator,
        pacing: Pacing,
        breaker: Breaker,
        clock: Clock,
        settings: SendingSettings,
    ) -> None:
        self._database = database
        self._gate = gate
        self._evaluator = evaluator
        self._pacing = pacing
        self._breaker = breaker
        self._clock = clock
        self._settings = settings

    async def list_messages(self, limit: int = 100) -> list[MessageRecord]:
        """Return the messages to take, taken or in doubt, longest waiting first."""
        return await self._database.read(lambda reader: queue.list_manual_messages(reader, limit))

    async def take(self, message: str, who: str) -> MessageRecord:
        """Take a message for the time of a lease, after the gate has evaluated it again.

        Raises :class:`Conflict` with the gate's reason, or where this operator has one open.
        """
        found = await self._require_takeable(message, who)
        evaluation = await self._gate.evaluate(found, EvaluationPhase.RELEASE)
        if not evaluation.is_allowed:
            after = await self._evaluator.store_evaluation(evaluation)
            raise Conflict(
                after.sentence if after else f"The message {message} has changed meanwhile."
            )
        lease = timedelta(minutes=self._settings.manual_lease_minutes)
        decision = new_id("dec", evaluation.at)
        permit = self._gate.sign_permit(evaluation, decision, lease)
        return await self._commit_lease(Release(evaluation, decision, permit), who, lease)

    async def find_open(self, who: str) -> str | None:
        """Return the message that an operator has taken and not finished, or None."""
        return await self._database.read(lambda reader: queue.find_open_manual_message(reader, who))

    async def _require_takeable(self, message: str, who: str) -> MessageRecord:
        """Return a message that this person may take. Raises NotFound or Conflict."""
        found = await self._require_message(message)
        if (found.state, found.channel) != (MessageState.CLEARED, BuiltinChannel.MANUAL):
            raise Conflict(f"The message {message} is {found.state} on {found.channel}.")
        if open_message := await self.find_open(who):
            raise Conflict(
                f"{who} has {open_message} open.",
                hint="Finish that one first: confirm, cancel or return it.",
            )
        return found

    async def _commit_lease(self, release: Release, who: str, lease: timedelta) -> MessageRecord:
        """Commit the release to a person. Raises Conflict where the evaluation is stale."""

        def job(tx: Tx) -> MessageRecord:
            # Checked again in the transaction: two requests of one operator may run at a time.
            if another := queue.find_open_manual_message(tx, who):
                raise Conflict(f"{who} has {another} open.")
            _require_campaign_runs(tx, release.evaluation.message.id)
            return release.commit(
                tx,
                self._pacing,
                MessageState.TAKEN,
                who=who,
                sentence=f"Taken by {who}.",
                taken_by=who,
                lease_until=release.evaluation.at + lease,
            )

        try:
            return await self._database.write(job)
        except EvaluationStale as stale:
            if stale.reason_code == BREAKER_OBSTACLE:
                await self._breaker.review()
            sentence = _STALE_SENTENCES.get(
                stale.reason_code, "Something changed meanwhile: try again."
            )
            raise Conflict(sentence) from stale

    async def reveal(self, message: str, who: str) -> str:
        """Return the ``wa.me`` link with the text; the message is ``revealed`` then."""
        # Before the link is returned: whoever has seen it may have sent the message.
        after = await self._move_taken(
            message, who, MessageState.REVEALED, "revealed", "The link is open."
        )
        return numbers.build_wa_link(after.recipient, after.text)

    async def confirm(self, message: str, who: str) -> MessageRecord:
        """Mark a message as sent by hand: ``confirmed_by_hand``."""
        # Never `sent`, which only an acknowledgement by WhatsApp's servers proves.
        sentence = f"{who} sent it by hand."
        return await self._move_taken(
            message, who, MessageState.CONFIRMED_BY_HAND, "confirmed", sentence
        )

    async def cancel(self, message: str, who: str, reason: str) -> MessageRecord:
        """Cancel a message that was not sent, with a reason."""
        stated_reason = require_reason(reason, hint="Say why it was not sent.")
        return await self._move_taken(
            message, who, MessageState.CANCELLED, "not_sent", stated_reason
        )

    async def return_message(self, message: str, who: str) -> MessageRecord:
        """Put back a message whose link was not shown; any operator may take it again."""
        return await self._move_taken(
            message, who, MessageState.CLEARED, "returned", "Returned unopened."
        )

    async def _move_taken(
        self, message: str, who: str, target: MessageState, code: str, sentence: str
    ) -> MessageRecord:
        at = self._clock.now()

        def job(tx: Tx) -> MessageRecord:
            self._require_taker(tx, message, who, at)
            if target is MessageState.REVEALED:
                _require_campaign_runs(tx, message)
            return messages.transition_message(
                tx, message, target, at=at, reason_code=code, sentence=sentence, who=who
            )

        try:
            return await self._database.write(job)
        except MessageStateConflict as moved:
            raise Conflict(str(moved)) from moved

    def _require_taker(self, tx: Tx, message: str, who: str, at: datetime) -> None:
        found = messages.get_message(tx, message)
        if found is None:
            raise NotFound(f"There is no message {message}.")
        if found.state not in LEASED_STATES:
            raise Conflict(f"The message {message} is {found.state}; take it first.")
        if found.taken_by != who:
            raise NotAllowed(f"{found.taken_by} has taken this message.")
        if found.lease_until is not None and found.lease_until <= at:
            raise Conflict("The time to send it is over.", hint="Take the message again.")

    async def _require_message(self, message: str) -> MessageRecord:
        found = await self._database.read(lambda reader: messages.get_message(reader, message))
        if found is None:
            raise NotFound(f"There is no message {message}.")
        return found


def _require_campaign_runs(reader: Reader, message: str) -> None:
    """Raise Conflict for a message of a campaign that is paused."""
    if name := campaign_people.find_stopped_campaign(reader, message):
        raise Conflict(
            f"The campaign {name} does not run now.", hint="Somebody has to resume it first."
        )
