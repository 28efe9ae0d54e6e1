"""The mailbox by itself: one thing after another, whole, and never taken down."""

from __future__ import annotations

import asyncio

import pytest

from daemon.errors import Unavailable
from daemon.sessions.mailbox import Mailbox


class ControlledJobs:
    """Jobs that wait until a test lets them go, and the order in which they ended."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.done: list[str] = []

    async def wait(self) -> str:
        """End when the test says so."""
        await self.go.wait()
        self.done.append("waited")
        return "waited"

    async def quick(self) -> None:
        """End at once."""
        self.done.append("quick")

    async def bad(self) -> None:
        """Fail."""
        raise LookupError("nothing there")

    async def cancelled(self) -> None:
        """Wait for something that somebody else cancelled."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_job_at_a_time_in_order() -> None:
    """The second waits for the first; both answers go to who asked."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: True)
    first = asyncio.create_task(mailbox.ask(work.wait))
    await settle()
    await mailbox.post(work.quick)
    await settle()
    assert work.done == []
    work.go.set()
    assert await first == "waited"
    await settle()
    assert work.done == ["waited", "quick"]
    assert not mailbox.is_running


async def test_a_caller_who_gives_up_does_not_stop_the_job() -> None:
    """It runs to its end, and the next one is served."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: True)
    for job in (work.wait, work.bad):
        asked = asyncio.create_task(mailbox.ask(job))
        await settle()
        asked.cancel()
    work.go.set()
    await mailbox.ask(work.quick)
    assert work.done == ["waited", "quick"]


async def test_a_job_that_fails_is_told_or_counted() -> None:
    """Told to who asked, counted when nobody did; a cancellation from within is a failure too."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: True)
    with pytest.raises(LookupError):
        await mailbox.ask(work.bad)
    await mailbox.post(work.bad)
    await mailbox.post(work.cancelled)
    await mailbox.ask(work.quick)
    assert mailbox.failures == 2


async def test_a_task_that_can_not_tell_whether_it_may_rest_stays_awake() -> None:
    """A fault there is logged; the next job is served as ever."""

    def confused() -> bool:
        raise LookupError

    work, mailbox = ControlledJobs(), Mailbox("ventas", confused)
    await mailbox.ask(work.quick)
    assert mailbox.is_running
    await mailbox.ask(work.quick)
    await mailbox.close()
    assert work.done == ["quick", "quick"]


async def test_a_task_that_was_killed_is_replaced_with_the_next_job() -> None:
    """Nobody is left waiting for a task that is gone."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: False)
    await mailbox.post(work.wait)
    await settle()
    (task,) = (each for each in asyncio.all_tasks() if each.get_name() == "session ventas")
    task.cancel()
    await settle()
    await mailbox.ask(work.quick)
    assert work.done == ["quick"]
    await mailbox.close()


async def test_closing_refuses_what_waits_and_drops_what_nobody_waits_for() -> None:
    """The job that runs may end; the rest is told that it is too late."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: True)
    running = asyncio.create_task(mailbox.ask(work.wait))
    await settle()
    waiting = asyncio.create_task(mailbox.ask(work.quick))
    await mailbox.post(work.quick)
    await settle()
    closing = asyncio.create_task(mailbox.close())
    await settle()
    work.go.set()
    await closing
    assert await running == "waited"
    with pytest.raises(Unavailable):
        await waiting
    await mailbox.post(work.quick)
    with pytest.raises(Unavailable):
        await mailbox.ask(work.quick)
    assert work.done == ["waited"]
    await mailbox.close()


async def test_who_waited_for_a_place_while_it_closed_is_refused_too() -> None:
    """A full mailbox that closes leaves nobody hanging."""
    work, mailbox = ControlledJobs(), Mailbox("ventas", lambda: True)
    await mailbox.post(work.wait)
    await settle()
    late = [asyncio.create_task(mailbox.ask(work.quick)) for _ in range(300)]
    await settle()
    closing = asyncio.create_task(mailbox.close())
    await settle()
    work.go.set()
    await closing
    answers = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 5)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert work.done == ["waited"]
