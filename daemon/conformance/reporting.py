"""Conformance checks of signals and answers: connecting, identities, receipts, number checks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.api.conformance import ProbeScenario, SampleMessage
from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundMessage,
    OwnMessage,
    Paired,
    PairingCodeIssued,
    QrIssued,
    Receipt,
    ReceiptKind,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from daemon.api.text import hash_folded_text
from daemon.api.transport import Acknowledged, OnWhatsApp, Pairing
from daemon.conformance.bench import (
    ConformanceBench,
    ConformanceFailure,
    NotTestable,
    OpenLine,
    limit_time,
)
from daemon.sessions.answer_check import check_contacts, check_number_answers

_MOMENT_SECONDS = 0.3
# Platforms' clocks differ, and some report whole minutes only.
_CLOCK_TOLERANCE = timedelta(minutes=1)
_LOST = (Disconnected, ConnectionRefused, StreamErrorUnknown, TransportDied)


async def check_connecting(bench: ConformanceBench) -> None:
    """`connect()` leads to Connected, and then to Synced."""
    async with bench.connected() as line:
        reported = [type(signal) for signal in line.signals]
        if Connected not in reported or reported.index(Connected) > reported.index(Synced):
            raise ConformanceFailure(f"it reported {line.describe_signals()}")


async def check_signals_readable(bench: ConformanceBench) -> None:
    """Every signal can be read: types, identities, times, texts."""
    async with bench.connected() as line:
        await _let_things_happen(bench, line)
        for rejected in line.rejected:
            # What is undeclared belongs to the next check.
            if rejected.reason_code != "not_declared":
                raise ConformanceFailure(rejected.sentence)


async def check_signals_declared(bench: ConformanceBench) -> None:
    """Nothing is reported that the channel does not declare."""
    async with bench.connected() as line:
        await _let_things_happen(bench, line)
        for rejected in line.rejected:
            if rejected.reason_code == "not_declared":
                raise ConformanceFailure(rejected.sentence)


async def check_identities(bench: ConformanceBench) -> None:
    """A message is reported with its writer, in any form of an identity; a group is no contact."""
    async with bench.connected(ProbeScenario.MESSAGES) as line:
        for sample, inbound in (await _receive_samples(bench, line)).items():
            if sample.identity is None:
                raise ConformanceFailure(f"{sample.address} became a contact")
            if sample.identity not in {inbound.sender, *inbound.aliases}:
                raise ConformanceFailure(
                    f"{sample.address} was reported as {inbound.sender}, and is {sample.identity}"
                )


async def check_origins(bench: ConformanceBench) -> None:
    """A message is reported with its kind, its origin, and when it was written."""
    async with bench.connected(ProbeScenario.MESSAGES) as line:
        for sample, inbound in (await _receive_samples(bench, line)).items():
            if (inbound.kind, inbound.origin) != (sample.kind, sample.origin):
                raise ConformanceFailure(
                    f"a message of kind {sample.kind.value} and origin {sample.origin.value} was"
                    f" reported as {inbound.kind.value}, {inbound.origin.value}"
                )
            written_at = bench.clock.now() - sample.written_ago
            if abs(inbound.written_at - written_at) > _CLOCK_TOLERANCE:
                raise ConformanceFailure(
                    f"a message written at {written_at} was reported as of {inbound.written_at}"
                )


async def check_own_messages(bench: ConformanceBench) -> None:
    """What the owner types on the phone is reported with the hash of its folded text."""
    async with bench.connected(ProbeScenario.MESSAGES) as line:
        own = [sample for sample in bench.probe.samples if sample.own]
        if not own:
            raise NotTestable("no sample of the probe was typed by the owner")
        await line.wait_until(lambda: len(line.list_signals(OwnMessage)) >= len(own))
        reported = {(each.recipient, each.text_hash) for each in line.list_signals(OwnMessage)}
        for sample in own:
            if (sample.identity, hash_folded_text(sample.text)) not in reported:
                raise ConformanceFailure(f"the one to {sample.address} was not reported as it is")


async def check_receipts_out_of_order(bench: ConformanceBench) -> None:
    """Receipts are reported as they come, under the acknowledged id: read may precede delivered."""
    async with bench.connected(ProbeScenario.RECEIPTS_REVERSED) as line:
        wire_id = await _send_for_receipts(bench, line)
        await line.wait_until(lambda: len(_list_receipts(line, wire_id)) > 1)
        kinds = _list_receipts(line, wire_id)
        if kinds != [ReceiptKind.READ, ReceiptKind.DELIVERED]:
            reported = ", ".join(kinds) or "nothing"
            raise ConformanceFailure(f"read, then delivered, were reported as {reported}")


async def check_receipts_late(bench: ConformanceBench) -> None:
    """A receipt that comes on a later connection is reported, under the acknowledged id."""
    async with bench.connected(ProbeScenario.RECEIPTS_LATE) as line:
        wire_id = await _send_for_receipts(bench, line)
        await line.close()
        again = await bench.open_line()
        await again.connect()
        if not await again.wait_until(lambda: _list_receipts(again, wire_id)):
            raise ConformanceFailure("it was not reported")


async def check_numbers(bench: ConformanceBench) -> None:
    """A number check answers each number with yes, no or unknown; undeclared, with unknown."""
    phones = [bench.recipient, *filter(None, [bench.probe.refused_recipient])]
    async with bench.connected() as line:
        answers = await limit_time(
            line.transport.check_numbers(phones), bench.limits.answer, "check_numbers()"
        )
        checked = check_number_answers(answers, phones)
        if not bench.channel.capabilities.number_check:
            if any(each.answer is not OnWhatsApp.UNKNOWN for each in checked):
                raise ConformanceFailure("it declares no number check, and answers yes or no")
        elif [each.phone for each in checked if each in answers] != phones:
            raise ConformanceFailure("a number has no answer, or one that can't be read as it is")
        await _require_no_number_lost(bench, line, phones)


async def check_contacts_readable(bench: ConformanceBench) -> None:
    """Every contact that the account knows can be read."""
    async with bench.connected() as line:
        await _let_things_happen(bench, line)
        answer = await limit_time(line.transport.contacts(), bench.limits.answer, "contacts()")
        if check_contacts(answer) != list(answer):
            raise ConformanceFailure("a contact, or one of its identities, can't be read as it is")


async def check_lost_connection(bench: ConformanceBench) -> None:
    """A lost connection is reported; the transport neither connects again by itself nor sends."""
    async with bench.connected(ProbeScenario.CUT) as line:
        if not await line.wait_until(lambda: _is_lost(line)):
            raise ConformanceFailure("it was not reported")
        # When to connect again is the daemon's decision: it has the backoff, and knows of bans.
        known = len(line.list_signals(Connected))
        await asyncio.sleep(_MOMENT_SECONDS)
        if len(line.list_signals(Connected)) > known:
            raise ConformanceFailure("it connected again by itself")
        if isinstance(await line.send(*bench.issue()), Acknowledged):
            raise ConformanceFailure("send() answered Acknowledged without a connection")


async def check_death(bench: ConformanceBench) -> None:
    """A worker that dies is reported as TransportDied, and the stream ends."""
    async with bench.connected(ProbeScenario.DEATH) as line:
        if not await line.wait_until(lambda: line.list_signals(TransportDied)):
            raise ConformanceFailure("it was not reported")
        if not await line.wait_until(line.has_ended):
            raise ConformanceFailure("the stream went on after TransportDied")


async def check_pairing_code(bench: ConformanceBench) -> None:
    """A phone whose number is given is linked by a code that is typed on it; no QR is shown."""
    if not bench.channel.capabilities.pairing.by_code:
        raise NotTestable("the channel declares no pairing by a code")
    phone = bench.probe.own_phone
    if phone is None:
        raise NotTestable("nobody says whose phone it is; lend a probe with own_phone")
    async with bench.open(pairing_phone=phone) as line:
        await line.connect()
        if line.list_signals(QrIssued) or not line.list_signals(PairingCodeIssued):
            raise ConformanceFailure(f"it reported {line.describe_signals()}")
        if [each.phone for each in line.list_signals(Paired)] != [phone]:
            raise ConformanceFailure("it linked another number than the one that was given")


async def check_logout(bench: ConformanceBench) -> None:
    """After `logout()` the stored login is gone: the next connection shows a code."""
    if bench.channel.capabilities.pairing is Pairing.NONE:
        raise NotTestable("the channel declares no pairing")
    async with bench.connected() as line:
        await limit_time(line.transport.logout(), bench.limits.close, "logout()")
        await line.close()
        again = await bench.open_line(paired=False)
        await limit_time(again.transport.connect(), bench.limits.signal, "connect()")
        if not await again.wait_until(lambda: again.list_signals(QrIssued)):
            raise ConformanceFailure(f"it reported {again.describe_signals()}")


async def _let_things_happen(bench: ConformanceBench, line: OpenLine) -> None:
    """Send a message where there is a recipient, and wait a moment for signals."""
    if bench.probe.recipient is not None:
        await line.send(*bench.issue())
    await asyncio.sleep(_MOMENT_SECONDS)


async def _receive_samples(
    bench: ConformanceBench, line: OpenLine
) -> dict[SampleMessage, InboundMessage]:
    """Return the reported samples with their messages; fail where one of a person is missing."""
    samples = [sample for sample in bench.probe.samples if not sample.own]
    people = {sample.text for sample in samples if sample.identity is not None}

    def list_texts() -> set[str]:
        return {inbound.text for inbound in line.list_signals(InboundMessage)}

    await line.wait_until(lambda: people <= list_texts())
    await asyncio.sleep(_MOMENT_SECONDS)  # a group's message, which must not come, may be the last
    if line.rejected:
        raise ConformanceFailure(line.rejected[0].sentence)
    if missing := people - list_texts():
        addresses = [sample.address for sample in samples if sample.text in missing]
        raise ConformanceFailure(f"nothing was reported of {', '.join(addresses)}")
    reported = {inbound.text: inbound for inbound in line.list_signals(InboundMessage)}
    return {sample: reported[sample.text] for sample in samples if sample.text in reported}


async def _send_for_receipts(bench: ConformanceBench, line: OpenLine) -> str:
    if not bench.channel.capabilities.receipts:
        raise NotTestable("the channel declares no receipts")
    answer = await line.send(*bench.issue())
    if not isinstance(answer, Acknowledged):
        raise NotTestable(f"the message was not acknowledged but {type(answer).__name__}")
    return answer.wire_id


def _list_receipts(line: OpenLine, wire_id: str) -> list[ReceiptKind]:
    return [each.kind for each in line.list_signals(Receipt) if each.wire_id == wire_id]


async def _require_no_number_lost(
    bench: ConformanceBench, line: OpenLine, phones: list[str]
) -> None:
    """Fail where a closed transport answers that a number is not on WhatsApp."""
    await line.close()
    try:
        call = line.transport.check_numbers(phones)
        answers = await limit_time(call, bench.limits.answer, "check_numbers(), after close(),")
    except ConformanceFailure:
        raise
    except Exception:  # noqa: BLE001 - any error is fine where there is no connection
        return
    known = check_number_answers(answers, phones)
    if any(each.answer is OnWhatsApp.NO for each in known):
        raise ConformanceFailure("a closed line answered no, and can't know")


def _is_lost(line: OpenLine) -> bool:
    return line.has_ended() or any(isinstance(signal, _LOST) for signal in line.signals)
