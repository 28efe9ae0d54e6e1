"""A worker makes one call at a time: what waits for its turn has not left, and may be given up."""

from __future__ import annotations

import asyncio

import pytest

from daemon.api.signals import KeepAlive
from daemon.api.transport import Acknowledged, Refused, Unknown
from tests.daemon.plugins.transport_linked.scripted_line import ANA, ScriptedLine

pytestmark = pytest.mark.slow


async def test_a_send_that_was_given_up_while_it_waited_never_leaves(line: ScriptedLine) -> None:
    """Its message is in doubt by then, and a person may have settled it, or halted everything."""
    await line.open()
    first = asyncio.create_task(line.send("pause 0.5"))
    await line.wait_for(KeepAlive)
    second = asyncio.create_task(line.send("ack second"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({first, second})
    assert isinstance(await line.send("ack third"), Acknowledged)
    assert line.list_sent() == ["pause 0.5", "ack third"]


async def test_a_send_whose_turn_does_not_come_is_refused_for_certain(line: ScriptedLine) -> None:
    """The library may wait 75 seconds for one answer; the next message is tried again later."""
    await line.open(busy_timeout=0.2)
    hanging = asyncio.create_task(line.send("hang"))
    await line.wait_for(KeepAlive)
    refused = await line.send("ack")
    assert isinstance(refused, Refused)
    assert (refused.reason_code, refused.retryable) == ("worker_busy", True)
    assert line.list_sent() == ["hang"]
    await line.transport.close()
    assert isinstance(await hanging, Unknown)


async def test_a_send_that_was_given_up_on_its_way_keeps_the_worker_busy(
    line: ScriptedLine,
) -> None:
    """Its late answer is nobody's, and the next call gets its own."""
    await line.open()
    given_up = asyncio.create_task(line.send("pause 0.3"))
    await line.wait_for(KeepAlive)
    given_up.cancel()
    await asyncio.wait({given_up})
    [checked] = await line.transport.check_numbers([ANA])
    assert checked.phone == ANA
    assert isinstance(await line.send("ack"), Acknowledged)


async def test_a_device_is_unlinked_while_its_worker_hangs(line: ScriptedLine) -> None:
    """Another worker does it; of the send nobody knows."""
    await line.open()
    hanging = asyncio.create_task(line.send("hang"))
    await line.wait_for(KeepAlive)
    await line.transport.logout()
    assert isinstance(await hanging, Unknown)
    assert not (line.folder / "login").exists()
