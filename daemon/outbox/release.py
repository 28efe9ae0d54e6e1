"""The one transaction that lets a message out: decision, permit, budget and state together.

What the gate saw is compared with what is true at the commit. Anything that has
changed meanwhile makes the look stale, and the message is judged again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from daemon import facts
from daemon.api.permit import Permit
from daemon.floor import CONFIRMATION, MANUAL
from daemon.gate import Look
from daemon.outbox.records import keep
from daemon.pacing import Pacing
from statemachines.message import MessageState
from storage import contacts, decisions, halts, messages, prospects, queue, suppressions
from storage.messages import MessageRecord
from storage.tx import Tx


class Stale(Exception):
    """The look no longer fits what is true; nothing was changed."""

    def __init__(self, reason_code: str) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code


@dataclass(frozen=True, slots=True)
class Release:
    """A message on its way out: the look that allowed it, and its signed permit."""

    look: Look
    decision: str
    permit: Permit

    def commit(
        self,
        tx: Tx,
        pacing: Pacing,
        target: MessageState,
        *,
        who: str,
        sentence: str,
        **columns: object,
    ) -> MessageRecord:
        """Redeem the permit and move the message to ``target``; raise :class:`Stale` instead.

        ``target`` is ``sending``, or ``taken`` by hand.
        """
        look = self.look
        by_hand = look.message.channel == MANUAL
        if reason := next(_stale(tx, look), "") or _paced(tx, look, pacing, by_hand=by_hand):
            raise Stale(reason)
        self._redeem(tx)
        self._book(tx, pacing, by_hand=by_hand)
        return messages.move(
            tx,
            look.message.id,
            target,
            at=look.at,
            reason_code="allowed",
            sentence=sentence,
            who=who,
            decision=self.decision,
            permit=self.permit.id,
            kind=look.facts["message.kind"],
            first_contact=int(look.first_contact),
            faults=0,
            **columns,
        )

    def _book(self, tx: Tx, pacing: Pacing, *, by_hand: bool) -> None:
        """Take the message's place in its session's pace."""
        pacing.book(
            tx,
            self.look.around.session,
            self.look.message.id,
            self.look.at,
            first_contact=self.look.first_contact,
            by_hand=by_hand,
        )

    def _redeem(self, tx: Tx) -> None:
        """Store the decision and spend the permit; a second time the tables refuse both."""
        keep(tx, self.look, self.decision)
        decisions.redeem(
            tx,
            permit=self.permit.id,
            message=self.permit.message,
            decision=self.decision,
            document=msgspec.json.encode(self.permit).decode(),
            at=self.look.at,
            expires_at=self.permit.expires_at,
        )


def _stale(tx: Tx, look: Look) -> Iterator[str]:
    """Yield why a look no longer holds. The floor is looked at once more here."""
    seen, now = look.message, messages.must(tx, look.message.id)
    if (now.state, now.channel, now.contact) != (MessageState.CLEARED, seen.channel, seen.contact):
        yield "message_moved"
    if halts.current(tx):
        yield "halted"
    if not (seen.not_before or look.at) <= look.at < seen.not_after:
        yield "not_its_time"
    if contacts.revision(tx, seen.contact) != look.around.revision:
        yield "contact_changed"
    if suppressions.is_suppressed(tx, seen.contact) and now.kind != CONFIRMATION:
        yield "suppressed"
    prospect = prospects.of_contact(tx, seen.contact)
    if prospect is None or facts.validado_of(prospect, look.at) is not True:
        yield "not_validated"
    if contacts.of_alias(tx, seen.recipient) != seen.contact:
        yield "recipient_is_somebody_else"
    if queue.contact_is_busy(tx, seen.contact, but=seen.id):
        yield "contact_busy"
    if look.facts["message.approved"] and not _approved(tx, seen, look.at):
        yield "approval_over"


def _approved(tx: Tx, message: MessageRecord, at: datetime) -> bool:
    return decisions.is_approved(
        tx,
        message=message.id,
        body_hash=message.body_hash,
        recipient=message.recipient,
        channel=message.channel,
        at=at,
    )


def _paced(tx: Tx, look: Look, pacing: Pacing, *, by_hand: bool) -> str:
    slot = pacing.slot(
        tx, look.around.session, look.at, first_contact=look.first_contact, by_hand=by_hand
    )
    return "" if slot.is_open(look.at) else slot.reason_code
