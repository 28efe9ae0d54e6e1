"""What becomes of a message on a simulated line: permits, acknowledgements, refusals, receipts."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.api.identity import IdentityKind, parse_identity
from daemon.api.permit import Permit, PermitRefused, PermitSigner, hash_body
from daemon.api.signals import (
    AliasLearned,
    InboundMessage,
    Receipt,
    ReceiptKind,
    SendingRestricted,
    TransportDied,
)
from daemon.api.transport import Acknowledged, OnWhatsApp, Outgoing, Refused, Text, Unknown
from tests.helpers.clock import FakeClock
from tests.helpers.transport import (
    ANA,
    BRUNO,
    PermitFactory,
    SimulatedTransportSession,
    open_test_transport,
    open_unread_transport,
)


def wire(folder: Path) -> list[dict[str, str]]:
    """Read what reached the contacts."""
    lines = (folder / "ventas" / "wire.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def receipts(line: SimulatedTransportSession) -> list[ReceiptKind]:
    """Return the kinds of the receipts, in order."""
    return [receipt.kind for receipt in line.signals_of(Receipt)]


async def test_a_message_is_on_the_wire_before_it_is_acknowledged(tmp_path: Path) -> None:
    """The record is on the disk, without the text, while the answer is still on its way."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: {"ack_delay": 5}}}) as line:
        await line.connect_until_ready()
        permit, outgoing = line.permits.issue(ANA, "un secreto")
        sending = asyncio.create_task(line.transport.send(permit, outgoing))
        await clock.settle()
        (record,) = wire(tmp_path)
        assert not sending.done()
        await clock.advance(5)
        result = await sending
    assert isinstance(result, Acknowledged)
    assert record == {
        "wire_id": result.wire_id,
        "message": permit.message,
        "recipient": ANA,
        "body": hash_body("un secreto"),
        "permit": permit.id,
        "at": record["at"],
    }


async def test_delivered_read_and_reply_follow(tmp_path: Path) -> None:
    """Receipts and the answer come at their moments, and the hidden id is learnt on sending."""
    clock = FakeClock()
    behaviour = {
        "ack_delay": 0.1,
        "deliver_after": 2,
        "read_after": 3,
        "reply": {"after": 4, "text": "BAJA", "from_lid": True},
    }
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: behaviour}}) as line:
        await line.connect_until_ready()
        await line.send(ANA)
        assert receipts(line) == []
        await clock.advance(2)
        assert receipts(line) == [ReceiptKind.DELIVERED]
        await clock.advance(3)
        assert receipts(line) == [ReceiptKind.DELIVERED, ReceiptKind.READ]
        assert not line.signals_of(InboundMessage)
        await clock.advance(1)
        (reply,) = line.signals_of(InboundMessage)
        (learned,) = line.signals_of(AliasLearned)
    assert reply.sender == learned.alias
    assert reply.sender.kind is IdentityKind.LID
    assert (reply.aliases, learned.phone) == ((parse_identity(ANA),), parse_identity(ANA))
    assert reply.text == "BAJA"


async def test_a_refusal_says_all_that_a_platform_says(tmp_path: Path) -> None:
    """Its word, number and sentence, and how long to wait."""
    clock = FakeClock()
    behaviour = {
        "refuse": "pair_limit",
        "retryable": True,
        "refusal_code": 131056,
        "refusal_detail": "pair rate limit hit",
        "retry_after": 90,
    }
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: behaviour}}) as line:
        await line.connect_until_ready()
        assert await line.send(ANA) == Refused(
            "pair_limit",
            "The platform refused the message with pair_limit.",
            retryable=True,
            code=131056,
            detail="pair rate limit hit",
            retry_after=timedelta(seconds=90),
        )


async def test_a_reply_may_be_a_voice_message_of_a_program_that_quotes_ours(
    tmp_path: Path,
) -> None:
    """Whatever a real one may be."""
    clock = FakeClock()
    reply = {"text": "", "kind": "voice", "automatic": True, "quotes": True}
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: {"reply": reply}}}) as line:
        await line.connect_until_ready()
        sent = await line.send(ANA)
        await clock.advance(20)
        (inbound,) = line.signals_of(InboundMessage)
        assert isinstance(sent, Acknowledged)
        assert (inbound.kind, inbound.automatic) == ("voice", True)
        assert inbound.quoted_id == sent.wire_id


async def test_a_reply_may_hide_the_number(tmp_path: Path) -> None:
    """Then the hidden id alone says who it is."""
    clock = FakeClock()
    reply = {"text": "STOP", "from_lid": True, "hide_phone": True}
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: {"reply": reply}}}) as line:
        await line.connect_until_ready()
        await line.send(ANA)
        await clock.advance(20)
        assert [each.aliases for each in line.signals_of(InboundMessage)] == [()]


async def test_a_dropped_acknowledgement_is_unknown_after_the_wire_had_it(tmp_path: Path) -> None:
    """Nobody knows after 75 seconds; the contact has it, and its receipt tells its id."""
    clock = FakeClock()
    async with open_test_transport(
        tmp_path, clock, {"contacts": {ANA: {"drop_ack": True}}}
    ) as line:
        await line.connect_until_ready()
        result = await line.send(ANA)
        assert isinstance(result, Unknown)
        assert result.reason_code == "no_acknowledgement"
        assert {receipt.wire_id for receipt in line.signals_of(Receipt)} == {
            wire(tmp_path)[0]["wire_id"]
        }


@pytest.mark.parametrize(
    ("behaviour", "refusal"),
    [
        ({"on_whatsapp": "no"}, ("not_on_whatsapp", False)),
        ({"refuse": "500", "retryable": True}, ("500", True)),
        ({"refuse": "131026"}, ("131026", False)),
        ({"refuse": "463"}, ("463", False)),
    ],
)
async def test_a_refused_message_never_reaches_the_wire(
    tmp_path: Path, behaviour: dict[str, object], refusal: tuple[str, bool]
) -> None:
    """A refusal is certain, and says whether trying again can help."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock, {"contacts": {ANA: behaviour}}) as line:
        await line.connect_until_ready()
        result = await line.send(ANA)
        assert isinstance(result, Refused)
        assert (result.reason_code, result.retryable) == refusal
        assert wire(tmp_path) == []
        assert bool(line.signals_of(SendingRestricted)) == (refusal[0] == "463")


async def test_a_timelock_closes_new_chats_and_leaves_replies_open(tmp_path: Path) -> None:
    """While it lasts, only who wrote to us can be written to."""
    clock = FakeClock()
    script = {
        "line": [{"at": 60, "do": "restrict", "seconds": 600}],
        "contacts": {ANA: {"reply": {"text": "Hola"}}},
    }
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        await line.send(ANA)
        await clock.advance(60)
        assert [each.until for each in line.signals_of(SendingRestricted)] != [None]
        assert isinstance(await line.send(ANA), Acknowledged)
        assert isinstance(await line.send(BRUNO), Refused)
        await clock.advance(600)
        assert isinstance(await line.send(BRUNO), Acknowledged)


async def test_a_line_that_dies_leaves_the_message_in_doubt(tmp_path: Path) -> None:
    """The wire had it, the answer is Unknown, and nothing can be sent any more."""
    clock = FakeClock()
    script = {"line": [{"at": 30, "do": "die"}], "contacts": {ANA: {"ack_delay": 60}}}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        result = await line.send(ANA)
        assert isinstance(result, Unknown)
        assert result.reason_code == "line_lost"
        assert len(wire(tmp_path)) == 1
        assert line.signals_of(TransportDied)
        down = await line.send(BRUNO)
        assert isinstance(down, Refused)
        assert down.retryable


async def test_receipts_resume_after_a_restart(tmp_path: Path) -> None:
    """What was not told when the line went is told by the next one, and only that."""
    clock = FakeClock()
    script = {"contacts": {ANA: {"deliver_after": 1, "read_after": 30}}}
    async with open_test_transport(tmp_path, clock, script) as line:
        await line.connect_until_ready()
        await line.send(ANA)
        await clock.advance(5)
        assert receipts(line) == [ReceiptKind.DELIVERED]
    await clock.advance(60)
    async with open_test_transport(tmp_path, clock, script, paired=True) as again:
        await again.connect_until_ready()
        assert receipts(again) == [ReceiptKind.READ]


async def test_what_the_reader_did_not_finish_is_told_again(tmp_path: Path) -> None:
    """A receipt counts as told once the next signal is asked for: a crash before repeats it."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        await line.send(ANA)
    async with open_unread_transport(tmp_path, clock) as transport:
        await transport.connect()
        await clock.advance(60)
        async for signal in transport.signals():
            if isinstance(signal, Receipt):
                break
    async with open_test_transport(tmp_path, clock, paired=True) as again:
        await again.connect_until_ready()
        assert receipts(again) == [ReceiptKind.DELIVERED, ReceiptKind.READ]


async def test_a_torn_last_line_of_the_wire_is_cut_off(tmp_path: Path) -> None:
    """A record that a power cut tore never reached anybody."""
    clock = FakeClock()
    pen = PermitFactory(clock)
    async with open_test_transport(tmp_path, clock, permits=pen) as line:
        await line.connect_until_ready()
        await line.send(ANA)
    with (tmp_path / "ventas" / "wire.jsonl").open("a") as file:
        file.write('{"wire_id": "3EB')
    async with open_test_transport(tmp_path, clock, permits=pen, paired=True) as again:
        await again.connect_until_ready()
        await again.send(ANA)
    assert len({record["wire_id"] for record in wire(tmp_path)}) == 2


async def test_number_checks_answer_yes_no_and_unknown(tmp_path: Path) -> None:
    """Yes comes with both ids; a line that is down knows nothing."""
    clock = FakeClock()
    contacts = {ANA: {"on_whatsapp": "no"}, BRUNO: {"on_whatsapp": "unknown"}}
    clara = "+5491145550003"
    async with open_test_transport(tmp_path, clock, {"contacts": contacts}) as line:
        down = asyncio.create_task(line.transport.check_numbers([clara]))
        await clock.advance(1)
        assert [each.answer for each in await down] == [OnWhatsApp.UNKNOWN]
        await line.connect_until_ready()
        checking = asyncio.create_task(line.transport.check_numbers([ANA, BRUNO, clara]))
        await clock.advance(1)
        answers = await checking
    assert [each.answer for each in answers] == ["no", "unknown", "yes"]
    assert [each.alias is None for each in answers] == [True, True, False]
    assert answers[2].whatsapp_id == "5491145550003@s.whatsapp.net"


def forged(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Sign with another key."""
    return PermitSigner().sign(permit), outgoing


def unsigned(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Leave the signature out."""
    return replace(permit, signature=""), outgoing


def changed(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Change the permit under its signature."""
    return replace(permit, body=hash_body("otra cosa")), replace(
        outgoing, content=Text("otra cosa")
    )


def other_text(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Send another text."""
    return permit, replace(outgoing, content=Text("otra cosa"))


def other_recipient(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Send to another person."""
    return permit, replace(outgoing, recipient=parse_identity(BRUNO))


def other_message(permit: Permit, outgoing: Outgoing, _: FakeClock) -> tuple[Permit, Outgoing]:
    """Send another message of ours."""
    return permit, replace(outgoing, message="msg_other")


REFUSALS = {
    forged: "permit_forged",
    unsigned: "permit_forged",
    changed: "permit_forged",
    other_text: "permit_body_differs",
    other_recipient: "permit_recipient_differs",
    other_message: "permit_message_differs",
}


@pytest.mark.parametrize("tamper", REFUSALS, ids=lambda each: each.__name__)
async def test_a_permit_is_for_exactly_one_send(tmp_path: Path, tamper: object) -> None:
    """Whatever differs from what the gate signed never reaches the wire."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        permit, outgoing = tamper(*line.permits.issue(), clock)  # type: ignore[operator]
        with pytest.raises(PermitRefused) as refused:
            await line.transport.send(permit, outgoing)
        assert refused.value.reason_code == REFUSALS[tamper]  # type: ignore[index]
        assert wire(tmp_path) == []


async def test_a_permit_of_another_session_or_time_is_refused(tmp_path: Path) -> None:
    """A permit belongs to one session, and ends."""
    clock = FakeClock()
    async with open_test_transport(tmp_path, clock) as line:
        await line.connect_until_ready()
        with pytest.raises(PermitRefused, match="another session"):
            await line.transport.send(*line.permits.issue(session="soporte"))
        permit, outgoing = line.permits.issue()
        await clock.advance(timedelta(minutes=10).total_seconds())
        with pytest.raises(PermitRefused, match="expired"):
            await line.transport.send(permit, outgoing)


async def test_a_used_permit_stays_used_after_a_restart(tmp_path: Path) -> None:
    """The wire itself remembers; a new verifier with the same key changes nothing."""
    clock = FakeClock()
    pen = PermitFactory(clock)
    permit, outgoing = pen.issue()
    for paired in (False, True):
        async with open_test_transport(tmp_path, clock, permits=pen, paired=paired) as line:
            await line.connect_until_ready()
            sending = asyncio.create_task(line.transport.send(permit, outgoing))
            await clock.advance(1)
            if paired:
                with pytest.raises(PermitRefused, match="before"):
                    await sending
            else:
                assert isinstance(await sending, Acknowledged)
                with pytest.raises(PermitRefused, match="used before"):
                    await line.transport.send(permit, outgoing)
    assert len(wire(tmp_path)) == 1
