"""The conformance suite notices: for each of its checks a transport that breaks that promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from daemon.api.conformance import ChannelProbe, ProbeScenario, SampleMessage, WireMessage
from daemon.api.identity import Identity, NotAContact, parse_identity
from daemon.api.permit import Permit, PermitRefused
from daemon.api.signals import (
    Connected,
    Disconnected,
    InboundKind,
    InboundMessage,
    Origin,
    OwnMessage,
    Paired,
    PairingCodeIssued,
    PhoneSeen,
    QrIssued,
    Receipt,
    ReceiptKind,
    Scanned,
    Signal,
    Synced,
    TransportDied,
)
from daemon.api.text import hash_folded_text
from daemon.api.transport import (
    Acknowledged,
    Capabilities,
    Channel,
    KnownContact,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    Pairing,
    Refused,
    SendResult,
    Text,
    Unknown,
    hash_content,
    redeem_permit,
)
from daemon.conformance import (
    CONFORMANCE_CHECKS,
    ConformanceOutcome,
    ConformanceResult,
    TimeLimits,
    check_channel,
)

ANA, REFUSED, UNANSWERED = "+5491155550101", "+5491155550102", "+5491155550103"
LIMITS = TimeLimits(signal=0.6, answer=0.6, close=0.3)
ALL = Capabilities(
    acks=True,
    chooses_id=True,
    number_check=True,
    receipts=True,
    pairing=Pairing.QR_OR_CODE,
    history=True,
    restrictions=True,
)


@dataclass
class Outside:
    """What is outside of the transports of one session: its login, its messages, who hears."""

    scenario: ProbeScenario = ProbeScenario.FRIENDLY
    linked: bool = False
    wire: list[WireMessage] = field(default_factory=list)
    late: list[Receipt] = field(default_factory=list)
    opened: int = 0


class FaithfulTransport:
    """Keeps every promise; each fault below breaks one."""

    def __init__(self, context: OpenContext, outside: Outside) -> None:
        self.context = context
        self.outside = outside
        self.closed = asyncio.Event()
        self.up = False
        self.queue: asyncio.Queue[Signal | None] = asyncio.Queue()
        outside.opened += 1

    def tell(self, *signals: Signal | None) -> None:
        """Put signals on the stream; None ends it."""
        for signal in signals:
            self.queue.put_nowait(signal)

    async def signals(self) -> AsyncIterator[Signal]:
        """Yield what is told, until the end."""
        while (signal := await self.queue.get()) is not None:
            yield signal

    async def connect(self) -> None:
        """Link where there is no login, connect, and play the scenario."""
        if not self.outside.linked:
            phone = self.context.session.pairing_phone
            self.tell(self.show_code(phone), Scanned(), Paired(phone or ANA))
            self.outside.linked = True
        self.up = True
        self.tell(Connected(), Synced(), *self.outside.late)
        self.outside.late.clear()
        if self.outside.scenario is ProbeScenario.MESSAGES:
            for sample in FaithfulProbe.samples:
                self.tell(*self.read_sample(sample))
        elif self.outside.scenario is ProbeScenario.CUT:
            self.lose_connection()
        elif self.outside.scenario is ProbeScenario.DEATH:
            self.die()

    def show_code(self, phone: str | None) -> Signal:
        """Return a code to be typed where the phone's number is known, else one to be scanned."""
        return PairingCodeIssued("ABCD1234", 160) if phone else QrIssued("secret", 1, 6, 60)

    def lose_connection(self) -> None:
        """Tell that the connection was lost."""
        self.up = False
        self.tell(Disconnected())

    def die(self) -> None:
        """Tell of the worker's end."""
        self.up = False
        self.tell(TransportDied(), None)

    def read_sample(self, sample: SampleMessage) -> Sequence[Signal]:
        """Return what is told of a message; nothing of one that is no contact's."""
        try:
            name = parse_identity(sample.address)
        except NotAContact:
            return []
        at = self.context.clock.now() - sample.written_ago
        if sample.own:
            return [OwnMessage(sample.text, name, at, hash_folded_text(sample.text))]
        return [InboundMessage(sample.text, name, sample.text, at, sample.kind, sample.origin)]

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Ask for the permit, look whether it can be sent, and bring it outside."""
        redeem_permit(self.context, permit, outgoing)
        return await self.send_permitted(outgoing)

    async def send_permitted(self, outgoing: Outgoing) -> SendResult:
        """Send what may go."""
        if not self.up or self.closed.is_set():
            return Refused("not_connected", "The line is closed.", retryable=True)
        if not isinstance(outgoing.content, Text):
            return Refused("content_not_supported", "Texts only.")
        if outgoing.recipient.value == REFUSED:
            return Refused("not_allowed", "The platform refused it.")
        self.write(outgoing)
        if outgoing.recipient.value == UNANSWERED:
            await self.closed.wait()
            return Unknown("line_lost", "Nobody knows.")
        self.report(outgoing)
        return Acknowledged(self.choose_id(outgoing), self.context.clock.now())

    def choose_id(self, outgoing: Outgoing) -> str:
        """Return the id under which a message goes."""
        return outgoing.message

    def write(self, outgoing: Outgoing) -> None:
        """Bring a message outside."""
        body = hash_content(outgoing.content)
        self.outside.wire.append(WireMessage(outgoing.recipient.value, body))

    def report(self, outgoing: Outgoing) -> None:
        """Tell the receipts of a message, now or on a later connection."""
        delivered = self.build_receipt(outgoing, ReceiptKind.DELIVERED)
        read = self.build_receipt(outgoing, ReceiptKind.READ)
        if self.outside.scenario is ProbeScenario.RECEIPTS_REVERSED:
            self.tell(read, delivered)
        elif self.outside.scenario is ProbeScenario.RECEIPTS_LATE:
            self.outside.late.append(delivered)
        else:
            self.tell(delivered)

    def build_receipt(self, outgoing: Outgoing, kind: ReceiptKind) -> Receipt:
        """Return a receipt under the acknowledged id."""
        now = self.context.clock.now()
        return Receipt(self.choose_id(outgoing), outgoing.recipient, kind, now)

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Know who is refused."""
        if self.closed.is_set():
            return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]
        return [
            NumberAnswer(phone, OnWhatsApp.NO if phone == REFUSED else OnWhatsApp.YES)
            for phone in phones
        ]

    async def contacts(self) -> Sequence[KnownContact]:
        """Know Ana."""
        return [KnownContact((parse_identity(ANA),), "Ana")]

    async def logout(self) -> None:
        """Forget the login."""
        self.outside.linked = self.up = False

    async def close(self) -> None:
        """End the stream."""
        self.closed.set()
        self.tell(None)


class FaithfulProbe(ChannelProbe):
    """Sees and does everything."""

    own_phone = ANA
    recipient = ANA
    refused_recipient = REFUSED
    unanswered_recipient = UNANSWERED

    def __init__(self, outside: Outside) -> None:
        super().__init__({})
        self.outside = outside

    async def start(self, scenario: ProbeScenario, folder: Path) -> Mapping[str, object]:
        """Begin from nothing."""
        del folder
        vars(self.outside).update(vars(Outside(scenario)))
        return {}

    async def read_wire(self) -> Sequence[WireMessage]:
        """Return what reached the outside."""
        return self.outside.wire


class WithoutPermit(FaithfulTransport):
    """Sends whatever it is given, but for what the permit says of one thing."""

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Never look at the permit."""
        del permit
        return await self.send_permitted(outgoing)


class CheckedBeforeButNotSpent(FaithfulTransport):
    """Looks at the permit, and lets it be used again."""

    async def send(self, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Forget that it was used."""
        try:
            redeem_permit(self.context, permit, outgoing)
        except PermitRefused as refused:
            if refused.reason_code != "permit_used":
                raise
        return await self.send_permitted(outgoing)


class OneIdForAll(FaithfulTransport):
    """Acknowledges everything under one id."""

    def choose_id(self, outgoing: Outgoing) -> str:
        """Choose no id."""
        return outgoing.message[:4]


class ChangedText(FaithfulTransport):
    """Strips white space, as many a client does."""

    def write(self, outgoing: Outgoing) -> None:
        """Bring something else outside."""
        assert isinstance(outgoing.content, Text)
        super().write(replace(outgoing, content=Text(outgoing.content.text.strip())))


class CaptionAsText(FaithfulTransport):
    """Sends what it was not made for."""

    async def send_permitted(self, outgoing: Outgoing) -> SendResult:
        """Send it as if it were a text."""
        self.write(outgoing)
        return Acknowledged(self.choose_id(outgoing), self.context.clock.now())


class RefusedAndSent(FaithfulTransport):
    """Refuses what it has sent."""

    async def send_permitted(self, outgoing: Outgoing) -> SendResult:
        """Send it first."""
        self.write(outgoing)
        return Refused("not_allowed", "The platform refused it.")


class DoubtAsRefusal(FaithfulTransport):
    """Takes silence for a no."""

    async def send_permitted(self, outgoing: Outgoing) -> SendResult:
        """Promise what nobody can know."""
        answer = await super().send_permitted(outgoing)
        return Refused("no_answer", "No answer.") if isinstance(answer, Unknown) else answer


class DeafToCancelling(FaithfulTransport):
    """Goes on with a send that was given up, and begins anew."""

    async def send_permitted(self, outgoing: Outgoing) -> SendResult:
        """Try once more when it is cancelled."""
        try:
            return await super().send_permitted(outgoing)
        except asyncio.CancelledError:
            self.write(outgoing)
            raise


class SendsWhenClosed(FaithfulTransport):
    """Does not know that it was closed."""

    async def close(self) -> None:
        """End the stream, and nothing else."""
        self.tell(None)


class NaiveTimes(FaithfulTransport):
    """Tells a time without a zone."""

    async def connect(self) -> None:
        """Say when the phone was seen."""
        await super().connect()
        self.tell(PhoneSeen(self.context.clock.now().replace(tzinfo=None)))


class GroupsAsPeople(FaithfulTransport):
    """Cuts the server off a name, whatever it is."""

    def read_sample(self, sample: SampleMessage) -> Sequence[Signal]:
        """Take the digits for a number."""
        name = cast("Identity", sample.address.split("@")[0][:13])
        now = self.context.clock.now()
        return [InboundMessage(sample.text, name, sample.text, now)]


class EverythingLive(FaithfulTransport):
    """Takes all messages for new ones."""

    def read_sample(self, sample: SampleMessage) -> Sequence[Signal]:
        """Lose origin and kind."""
        return super().read_sample(replace(sample, origin=Origin.LIVE, kind=InboundKind.TEXT))


class OwnWithoutHash(FaithfulTransport):
    """Tells own messages without what they can be recognised by."""

    def read_sample(self, sample: SampleMessage) -> Sequence[Signal]:
        """Leave the hash out."""
        told = super().read_sample(sample)
        return [
            replace(each, text_hash=None) if isinstance(each, OwnMessage) else each for each in told
        ]


class ForwardReceiptsOnly(FaithfulTransport):
    """Holds delivered back once it has told read."""

    def report(self, outgoing: Outgoing) -> None:
        """Tell the last one."""
        self.tell(self.build_receipt(outgoing, ReceiptKind.READ))


class ForgetsReceipts(FaithfulTransport):
    """Knows nothing of what an earlier connection sent."""

    def report(self, outgoing: Outgoing) -> None:
        """Forget it."""


class UnknownAsNo(FaithfulTransport):
    """Answers no where it can't know."""

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Take silence for a no."""
        no = OnWhatsApp.NO if self.closed.is_set() else OnWhatsApp.YES
        return [NumberAnswer(phone, no) for phone in phones]


class RawContacts(FaithfulTransport):
    """Hands its address book over as it is."""

    async def contacts(self) -> Sequence[KnownContact]:
        """Know a group."""
        return [KnownContact((cast("Identity", "120363041@g.us"),), "Familia")]


class ConnectsAgain(FaithfulTransport):
    """Reconnects by itself."""

    def lose_connection(self) -> None:
        """Go on as if nothing had been."""
        self.tell(Disconnected(), Connected(), Synced())


class DiesInSilence(FaithfulTransport):
    """Does not tell that its worker died."""

    def die(self) -> None:
        """End the stream, and leave it at that."""
        self.tell(None)


class KeepsLogin(FaithfulTransport):
    """Stays linked after a logout."""

    async def logout(self) -> None:
        """Do nothing."""


class CloseOnce(FaithfulTransport):
    """Can be closed once."""

    async def close(self) -> None:
        """Fail the second time."""
        if self.closed.is_set():
            raise RuntimeError
        await super().close()


class CloseNeedsConnection(FaithfulTransport):
    """Waits for the end of a connection that never was."""

    async def close(self) -> None:
        """Hang."""
        if not self.up:
            await asyncio.Event().wait()
        await super().close()


class EndlessStream(FaithfulTransport):
    """Leaves its reader waiting."""

    async def close(self) -> None:
        """Forget the stream."""
        self.closed.set()


class LeavesTask(FaithfulTransport):
    """Leaves a keep-alive running."""

    async def connect(self) -> None:
        """Start a task that nobody owns."""
        await super().connect()
        LEFT_TASKS.append(asyncio.create_task(asyncio.sleep(99), name="keep-alive"))


class QrForAll(FaithfulTransport):
    """Shows a code to be scanned, whatever was asked for."""

    def show_code(self, phone: str | None) -> Signal:
        """Forget the number."""
        del phone
        return super().show_code(None)


class SyncedFirst(FaithfulTransport):
    """Is ready before it is connected."""

    async def connect(self) -> None:
        """Tell it the other way round."""
        self.up = True
        self.tell(Synced(), Connected())


LEFT_TASKS: list[asyncio.Task[None]] = []
FAULTS: dict[str, type[FaithfulTransport]] = {
    "connecting": SyncedFirst,
    "permit_forged": WithoutPermit,
    "permit_for_another_text": WithoutPermit,
    "permit_for_another_recipient": WithoutPermit,
    "permit_for_another_message": WithoutPermit,
    "permit_for_another_session": WithoutPermit,
    "permit_expired": WithoutPermit,
    "permit_not_yet_valid": WithoutPermit,
    "permit_used_twice": CheckedBeforeButNotSpent,
    "permit_used_at_once": CheckedBeforeButNotSpent,
    "acknowledgement": OneIdForAll,
    "no_acknowledgement": FaithfulTransport,
    "text_unchanged": ChangedText,
    "undeclared_content": CaptionAsText,
    "refusal": RefusedAndSent,
    "unknown": DoubtAsRefusal,
    "cancelled_send": DeafToCancelling,
    "closed_line": SendsWhenClosed,
    "signals_readable": NaiveTimes,
    "signals_declared": FaithfulTransport,
    "identities": GroupsAsPeople,
    "origins": EverythingLive,
    "own_messages": OwnWithoutHash,
    "receipts_out_of_order": ForwardReceiptsOnly,
    "receipts_late": ForgetsReceipts,
    "numbers": UnknownAsNo,
    "contacts_readable": RawContacts,
    "lost_connection": ConnectsAgain,
    "death": DiesInSilence,
    "pairing_code": QrForAll,
    "logout": KeepsLogin,
    "close": CloseOnce,
    "close_unconnected": CloseNeedsConnection,
    "stream_end": EndlessStream,
    "leftovers": LeavesTask,
}
"""By check, a transport that breaks its promise."""
UNDECLARED = {
    "no_acknowledgement": replace(ALL, acks=False),
    "signals_declared": replace(ALL, receipts=False),
}
"""Where the fault is what the channel declares."""


def build_channel(
    kind: type[FaithfulTransport], capabilities: Capabilities = ALL
) -> tuple[Channel, FaithfulProbe]:
    """Return a channel of such transports, and the probe that sees past them."""
    outside = Outside()

    async def open_transport(context: OpenContext) -> FaithfulTransport:
        return kind(context, outside)

    return Channel("pigeon", "By pigeon", open_transport, capabilities), FaithfulProbe(outside)


async def run(channel: Channel, probe: ChannelProbe, *only: str) -> list[ConformanceResult]:
    """Run the suite with little patience."""
    return [each async for each in check_channel(channel, probe, only=only, limits=LIMITS)]


async def test_a_faithful_transport_passes_every_check() -> None:
    """But for the one that is about channels without acknowledgements."""
    results = await run(*build_channel(FaithfulTransport))
    assert [each for each in results if each.outcome is not ConformanceOutcome.PASSED] == [
        ConformanceResult(
            "no_acknowledgement",
            "A channel that declares no acknowledgements never answers with one.",
            ConformanceOutcome.NOT_TESTED,
            "the channel declares acknowledgements",
        )
    ]


@pytest.mark.parametrize("check", FAULTS)
async def test_a_transport_that_breaks_a_promise_fails_its_check(check: str) -> None:
    """With a sentence of what it did."""
    (result,) = await run(*build_channel(FAULTS[check], UNDECLARED.get(check, ALL)), check)
    for task in LEFT_TASKS:
        task.cancel()
    assert result.outcome is ConformanceOutcome.FAILED, result
    assert result.why


def test_every_check_has_a_planted_fault() -> None:
    """A check that can't fail shows nothing."""
    assert {"declaration", *FAULTS} == set(CONFORMANCE_CHECKS)
    assert all((check.__doc__ or "").endswith(".") for check in CONFORMANCE_CHECKS.values())


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        (Channel("Pigeon Post", "x", None), "up to 32"),
        (Channel("pigeon", " ", None), "no summary"),
        (Channel("pigeon", "x", None, ALL), "has no connection"),
        (Channel("pigeon", "x", None, cast("Capabilities", {"acks"})), "no Capabilities"),
    ],
)
async def test_a_declaration_that_can_not_be_true_fails(channel: Channel, why: str) -> None:
    """Before anything is opened."""
    (result,) = await run(channel, ChannelProbe({}), "declaration")
    assert result.outcome is ConformanceOutcome.FAILED
    assert why in result.why
