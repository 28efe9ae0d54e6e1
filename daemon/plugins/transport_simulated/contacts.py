"""Simulated contacts, whose behaviour is derived from the seed and the number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from daemon.api.identity import Identity, IdentityKind, parse_phone_identity
from daemon.api.signals import InboundMessage, Receipt, ReceiptKind, Signal
from daemon.api.transport import NumberAnswer, OnWhatsApp
from daemon.plugins.transport_simulated.disk_state import SentMessage
from daemon.plugins.transport_simulated.script import (
    ContactBehaviour,
    ReceiptOrder,
    ScriptedReply,
    SimulationScript,
)

PACE_SPREAD = 0.25
"""By how much, at most, a contact without a script is slower or faster than the defaults."""

OWN_DIGITS = 8
LID_DIGITS = 14


class ScheduledSignal(Struct, frozen=True):
    """A signal that is due at a moment. ``key`` is the same after every restart."""

    key: str
    due: datetime
    signal: Signal


class SimulatedContacts:
    """The behaviour of contacts. The same seed and script give the same answers, in any order."""

    def __init__(self, script: SimulationScript, seed: int) -> None:
        self._script = script
        self._seed = seed

    def chance(self, *what: str) -> float:
        """Return the number in [0, 1) for these texts and the seed."""
        # 52 bits, as many as a float keeps exactly. No random generator: that would depend on the
        # order.
        return int(self.digest(*what)[:13], 16) / 16**13

    def digest(self, *what: str) -> str:
        """Return the 64 hex digits for these texts and the seed."""
        return hashlib.sha256("|".join((str(self._seed), *what)).encode()).hexdigest()

    def own_phone(self, session: str) -> str:
        """Return the number of the phone that scans the codes of a session."""
        digits = str(int(self.digest("own", session), 16))[:OWN_DIGITS]
        return f"+54911{digits}"

    def lid(self, phone: str) -> Identity:
        """Return the hidden id of the person behind a number."""
        digits = str(int(self.digest("lid", phone), 16))[:LID_DIGITS]
        return Identity(IdentityKind.LID, f"1{digits}@lid")

    def behaviour(self, phone: str) -> ContactBehaviour:
        """Return the behaviour of the person behind a number."""
        return self._script.contacts.get(phone, self._script.defaults)

    def pace(self, phone: str) -> float:
        """Return the factor of this person's delays: 1 for a scripted contact."""
        if phone in self._script.contacts:
            return 1.0
        return 1.0 - PACE_SPREAD + 2 * PACE_SPREAD * self.chance("pace", phone)

    def ack_delay(self, phone: str) -> float:
        """Return the seconds until the server acknowledges a message to ``phone``."""
        return self.behaviour(phone).ack_delay * self.pace(phone)

    def answer_number_check(self, phone: str) -> NumberAnswer:
        """Return the answer to a check of the number."""
        answer = self.behaviour(phone).on_whatsapp
        if answer is not OnWhatsApp.YES:
            return NumberAnswer(phone, answer)
        whatsapp_id = f"{phone.removeprefix('+')}@s.whatsapp.net"
        return NumberAnswer(phone, answer, whatsapp_id, self.lid(phone))

    def list_signals_after(self, sent: SentMessage) -> Iterator[ScheduledSignal]:
        """Yield the signals that follow a sent message, in order of time."""
        phone, wire_id = sent.recipient, sent.wire_id
        behaviour, pace = self.behaviour(phone), self.pace(phone)
        after_ack = sent.at + timedelta(seconds=self.ack_delay(phone))
        if behaviour.fail_after is not None:
            due = after_ack + timedelta(seconds=behaviour.fail_after * pace)
            yield _build_receipt(sent, ReceiptKind.FAILED, due, "undeliverable")
            return
        if self.chance("deliver", phone) >= behaviour.deliver_rate:
            return
        delivered = after_ack + timedelta(seconds=behaviour.deliver_after * pace)
        read = delivered + timedelta(seconds=behaviour.read_after * pace)
        yield from self._list_receipts(sent, delivered, read)
        if behaviour.reply and self.chance("reply", phone) < behaviour.reply_rate:
            due = delivered + timedelta(seconds=behaviour.reply.after * pace)
            yield ScheduledSignal(
                f"{wire_id}:reply", due, self._build_reply(sent, behaviour.reply, due)
            )

    def _list_receipts(
        self, sent: SentMessage, delivered: datetime, read: datetime
    ) -> Iterator[ScheduledSignal]:
        """Yield the receipts of a message, in the order that the script wants."""
        behaviour = self.behaviour(sent.recipient)
        if behaviour.receipts is ReceiptOrder.REVERSED:
            delivered, read = read, delivered
        elif behaviour.receipts is ReceiptOrder.EARLY:
            delivered = read = sent.at
        yield _build_receipt(sent, ReceiptKind.DELIVERED, delivered)
        if self.chance("read", sent.recipient) < behaviour.read_rate:
            yield _build_receipt(sent, ReceiptKind.READ, read)

    def _build_reply(self, sent: SentMessage, reply: ScriptedReply, at: datetime) -> InboundMessage:
        sender, aliases = self.list_names(
            sent.recipient, from_lid=reply.from_lid, hide_phone=reply.hide_phone
        )
        return InboundMessage(
            self.digest("reply", sent.wire_id)[:20].upper(),
            sender,
            reply.text,
            at,
            reply.kind,
            aliases=aliases,
            quoted_id=sent.wire_id if reply.quotes else None,
            automatic=reply.automatic,
        )

    def list_names(
        self, phone: str, *, from_lid: bool, hide_phone: bool = False
    ) -> tuple[Identity, tuple[Identity, ...]]:
        """Return the identity that a contact writes with, and the aliases reported with it."""
        number = parse_phone_identity(phone)
        return self.lid(phone) if from_lid else number, () if hide_phone else (number,)


def _build_receipt(
    sent: SentMessage, kind: ReceiptKind, due: datetime, reason_code: str = ""
) -> ScheduledSignal:
    receipt = Receipt(sent.wire_id, parse_phone_identity(sent.recipient), kind, due, reason_code)
    return ScheduledSignal(f"{sent.wire_id}:{kind}", due, receipt)
