"""Conformance checks of sending: permits, content, acknowledgements, refusals, doubt."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from daemon.api.permit import Permit, PermitRefused, PermitSigner, hash_body
from daemon.api.transport import (
    Acknowledged,
    Content,
    Media,
    Outgoing,
    Refused,
    SendResult,
    Template,
    Text,
    Unknown,
)
from daemon.conformance.bench import (
    ConformanceBench,
    ConformanceFailure,
    NotTestable,
    OpenLine,
    limit_time,
)
from daemon.logs.processors import mask_numbers_in_text
from daemon.sessions.answer_check import check_send_result

_ON_ITS_WAY_SECONDS = 0.1


async def check_permit_forged(bench: ConformanceBench) -> None:
    """A permit that the gate did not sign sends nothing."""
    async with bench.connected() as line:
        await _require_refusal(bench, line, *bench.issue(signer=PermitSigner()))
        permit, outgoing = bench.issue()
        await _require_refusal(bench, line, replace(permit, signature=""), outgoing)


async def check_permit_for_another_text(bench: ConformanceBench) -> None:
    """A permit for another text sends nothing."""
    await _require_changed_permit_refused(bench, body=hash_body("another text"))


async def check_permit_for_another_recipient(bench: ConformanceBench) -> None:
    """A permit for another recipient sends nothing."""
    await _require_changed_permit_refused(bench, recipient="+5491155550999")


async def check_permit_for_another_message(bench: ConformanceBench) -> None:
    """A permit for another message sends nothing."""
    await _require_changed_permit_refused(bench, message="msg_another")


async def check_permit_for_another_session(bench: ConformanceBench) -> None:
    """A permit for another session sends nothing."""
    await _require_changed_permit_refused(bench, session="another")


async def check_permit_expired(bench: ConformanceBench) -> None:
    """A permit that has expired sends nothing."""
    expired = bench.clock.now() - timedelta(seconds=1)
    await _require_changed_permit_refused(bench, expires_at=expired)


async def check_permit_not_yet_valid(bench: ConformanceBench) -> None:
    """A permit whose time has not come sends nothing."""
    later = bench.clock.now() + timedelta(hours=1)
    await _require_changed_permit_refused(
        bench, issued_at=later, expires_at=later + timedelta(minutes=10)
    )


async def check_permit_used_twice(bench: ConformanceBench) -> None:
    """A permit that was used sends nothing more."""
    async with bench.connected() as line:
        permit, outgoing = bench.issue()
        _require_result(await line.send(permit, outgoing))
        await _require_refusal(bench, line, permit, outgoing, sent_before=1)


async def check_permit_used_at_once(bench: ConformanceBench) -> None:
    """Two sends at the same time with one permit are one message."""
    async with bench.connected() as line:
        permit, outgoing = bench.issue()
        answers = await asyncio.gather(line.send(permit, outgoing), line.send(permit, outgoing))
        if not any(isinstance(answer, PermitRefused | Refused) for answer in answers):
            raise ConformanceFailure("neither of the two was refused")
        await _require_sent_once_at_most(bench, outgoing)


async def check_acknowledgement(bench: ConformanceBench) -> None:
    """An acknowledgement has an id of its own and an aware time, and the message has left."""
    capabilities = bench.channel.capabilities
    if not capabilities.acks:
        raise NotTestable("the channel declares no acknowledgements")
    async with bench.connected() as line:
        ids = [await _send_acknowledged(bench, line) for _ in range(2)]
    if ids[0] == ids[1]:
        raise ConformanceFailure(f"two messages were acknowledged under one id, {ids[0]!r}")


async def check_no_acknowledgement(bench: ConformanceBench) -> None:
    """A channel that declares no acknowledgements never answers with one."""
    if bench.channel.capabilities.acks:
        raise NotTestable("the channel declares acknowledgements")
    async with bench.connected() as line:
        if isinstance(await line.send(*bench.issue()), Acknowledged):
            raise ConformanceFailure("send() answered Acknowledged")


async def check_text_unchanged(bench: ConformanceBench) -> None:
    """The permitted text leaves unchanged, once, to the permitted recipient."""
    async with bench.connected() as line:
        # With what some libraries change: line breaks, tabs, quotes, a joiner, blanks at the end.
        permit, outgoing = bench.issue(content=Text("Línea 1\n\tlínea 2: «sí» 👍\u200d  "))
        _require_result(await line.send(permit, outgoing))
        wire = await bench.probe.read_wire()
        if wire is None:
            raise NotTestable("no probe can see what reached the outside")
        if len(wire) != 1 or await bench.count_on_wire(outgoing) != 1:
            raise ConformanceFailure(f"of {len(wire)} messages outside, none or more were it")


async def check_undeclared_content(bench: ConformanceBench) -> None:
    """Content that the channel does not declare is refused for certain."""
    capabilities, undeclared = bench.channel.capabilities, list[Content]()
    if not capabilities.templates:
        undeclared.append(Template("conformance", "es_AR", ("one",)))
    if not capabilities.media:
        undeclared.append(Media(bench.folder / "a.png", "image/png", "00" * 32, "A caption"))
    if not undeclared:
        raise NotTestable("the channel declares every kind of content")
    async with bench.connected() as line:
        for content in undeclared:
            permit, outgoing = bench.issue(content=content)
            answer = await line.send(permit, outgoing)
            if not isinstance(answer, Refused):
                raise ConformanceFailure(f"send() answered {_name(answer)} to {content!r}")
            await bench.require_not_sent(outgoing, "although it was refused")


async def check_refusal(bench: ConformanceBench) -> None:
    """A refusal is certain, has a reason code and a sentence, and names no person."""
    if bench.probe.refused_recipient is None:
        raise NotTestable("no probe knows a number that is refused")
    async with bench.connected() as line:
        permit, outgoing = bench.issue(to=bench.probe.refused_recipient)
        answer = await line.send(permit, outgoing)
        if not isinstance(answer, Refused):
            raise ConformanceFailure(f"send() answered {_name(answer)}")
        await bench.require_not_sent(outgoing, "although it was refused")
    if mask_numbers_in_text(f"{answer.sentence} {answer.detail}") != (
        f"{answer.sentence} {answer.detail}"
    ):
        raise ConformanceFailure("its sentence or detail holds a phone number")
    if check_send_result(answer, bench.channel.capabilities, bench.clock.now()) != answer:
        raise ConformanceFailure(f"a field of it can't be used as it is: {answer!r}")


async def check_unknown(bench: ConformanceBench) -> None:
    """A message that left and was not acknowledged when the line closed is unknown."""
    if bench.probe.unanswered_recipient is None:
        raise NotTestable("no probe knows a number that is never acknowledged")
    async with bench.connected() as line:
        permit, outgoing = bench.issue(to=bench.probe.unanswered_recipient)
        sending = asyncio.create_task(line.send(permit, outgoing))
        await asyncio.wait({sending}, timeout=_ON_ITS_WAY_SECONDS)
        await line.close()
        answer = await limit_time(sending, bench.limits.close, "send(), after close(),")
        if not isinstance(answer, Unknown):
            raise ConformanceFailure(f"send() answered {_name(answer)}")


async def check_cancelled_send(bench: ConformanceBench) -> None:
    """A cancelled send ends, has used up its permit, and sends nothing twice."""
    async with bench.connected() as line:
        permit, outgoing = bench.issue(to=bench.probe.unanswered_recipient)
        sending = asyncio.create_task(line.transport.send(permit, outgoing))
        # One turn of the loop: the send has begun, and may be anywhere.
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait({sending}, timeout=bench.limits.close)
        if not sending.done():
            raise ConformanceFailure("send() did not end when it was cancelled")
        await _require_refusal(bench, line, permit, outgoing, sent_before=1)
        _require_result(await line.send(*bench.issue()))


async def check_closed_line(bench: ConformanceBench) -> None:
    """A line that is closed sends nothing."""
    async with bench.connected() as line:
        await line.close()
        permit, outgoing = bench.issue()
        if isinstance(await line.send(permit, outgoing), Acknowledged):
            raise ConformanceFailure("send() answered Acknowledged after close()")
        await bench.require_not_sent(outgoing, "after close()")


async def _require_changed_permit_refused(
    bench: ConformanceBench,
    **otherwise: Any,  # noqa: ANN401 - any field of a permit
) -> None:
    async with bench.connected() as line:
        await _require_refusal(bench, line, *bench.issue(**otherwise))


async def _require_refusal(
    bench: ConformanceBench,
    line: OpenLine,
    permit: Permit,
    outgoing: Outgoing,
    *,
    sent_before: int = 0,
) -> None:
    """Fail unless the permit is refused and nothing (more) leaves."""
    answer = await line.send(permit, outgoing)
    if not isinstance(answer, PermitRefused | Refused):
        raise ConformanceFailure(f"send() answered {_name(answer)} to such a permit")
    if (await bench.count_on_wire(outgoing) or 0) > sent_before:
        raise ConformanceFailure("the message left, although its permit was refused")


async def _require_sent_once_at_most(bench: ConformanceBench, outgoing: Outgoing) -> None:
    count = await bench.count_on_wire(outgoing)
    if count is not None and count > 1:
        raise ConformanceFailure(f"the message left {count} times")


async def _send_acknowledged(bench: ConformanceBench, line: OpenLine) -> str:
    """Send a message and return the id of its acknowledgement; fail for an unusable one."""
    permit, outgoing = bench.issue()
    answer = await line.send(permit, outgoing)
    checked = check_send_result(answer, bench.channel.capabilities, bench.clock.now())
    if not isinstance(checked, Acknowledged):
        why = getattr(checked, "sentence", "") if isinstance(answer, Acknowledged) else ""
        raise ConformanceFailure(f"send() answered {_name(answer)}. {why}".rstrip(". "))
    if bench.channel.capabilities.chooses_id and checked.wire_id != outgoing.message:
        raise ConformanceFailure("it declares that it sends under our id, and reported another")
    if await bench.count_on_wire(outgoing) == 0:
        raise ConformanceFailure("it was acknowledged, and nothing left")
    return checked.wire_id


def _require_result(answer: SendResult | PermitRefused) -> None:
    if isinstance(answer, PermitRefused):
        raise ConformanceFailure(f"a good permit was refused: {answer}")
    if not isinstance(answer, Acknowledged | Refused | Unknown):
        raise ConformanceFailure(f"send() answered {_name(answer)}, which is no SendResult")


def _name(answer: object) -> str:
    return type(answer).__name__
