"""A bounded queue of jobs, and the task that runs them one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from msgspec import Struct

from daemon.errors import Unavailable

T = TypeVar("T")
log = structlog.get_logger("sessions")

QUEUE_LIMIT = 256


class _MailboxJob(Struct, frozen=True):
    """A job, and the future that its caller waits for; None where nobody waits."""

    work: Callable[[], Awaitable[Any]]
    answer: asyncio.Future[Any] | None = None


class Mailbox:
    """Runs jobs one at a time, in order, in one task.

    The task runs only while it is needed: after each job ``is_idle`` says whether it may end, and
    the next job starts it again. The error of a job is raised to its caller, or logged and counted
    where nobody waits; it never ends the task.
    """

    def __init__(self, name: str, is_idle: Callable[[], bool]) -> None:
        self._name = name
        self._is_idle = is_idle
        self._jobs: asyncio.Queue[_MailboxJob] = asyncio.Queue(QUEUE_LIMIT)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.failures = 0
        """How many jobs failed that nobody waited for."""

    @property
    def is_running(self) -> bool:
        """Return whether the task runs."""
        return self._task is not None

    async def ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Queue ``work`` and return its result; a cancelled caller does not stop it."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        await self._put(_MailboxJob(work, answer))
        return await answer

    async def post(self, work: Callable[[], Awaitable[object]]) -> None:
        """Queue ``work``; waits for a place in the queue, and not for the result."""
        await self._put(_MailboxJob(work))

    async def close(self) -> None:
        """End the task after its present job; jobs still queued fail with ``Unavailable``."""
        self._closed = True
        if self._task is not None:
            if self._jobs.empty():
                # Wakes the task from its wait for a job, so that it sees that it is closed.
                self._jobs.put_nowait(_MailboxJob(_do_nothing))
            await asyncio.wait({self._task})
        self._refuse_all()

    async def _put(self, job: _MailboxJob) -> None:
        if not self._closed:
            await self._jobs.put(job)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._serve(), name=f"session {self._name}")
        # A job that nobody waits for is dropped: after a restart the session goes on from its row.
        elif job.answer is not None:
            raise Unavailable(f"The session {self._name} is closed.")

    async def _serve(self) -> None:
        while not self._closed:
            await self._run_job(await self._jobs.get())
            if self._jobs.empty() and self._can_stop():
                break
        self._task = None
        if self._closed:
            self._refuse_all()

    def _can_stop(self) -> bool:
        try:
            return self._is_idle()
        except Exception:  # the task must live on: jobs that come would wait for ever
            log.exception("session_not_settled", session=self._name)
            return False

    async def _run_job(self, job: _MailboxJob) -> None:
        try:
            result = await job.work()
        except (Exception, asyncio.CancelledError) as error:
            # A job may be cancelled on its own, by a transport that cancels itself: that is its
            # failure.
            if _is_being_cancelled():
                raise
            self._fail(job, error)
        else:
            if job.answer is not None and not job.answer.done():
                job.answer.set_result(result)

    def _fail(self, job: _MailboxJob, error: BaseException) -> None:
        if job.answer is None:
            self.failures += 1
            log.error("session_job_failed", session=self._name, error=type(error).__name__)
        elif not job.answer.done():
            job.answer.set_exception(error)

    def _refuse_all(self) -> None:
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job.answer is not None:
                self._fail(job, Unavailable(f"The session {self._name} is closed."))


def _is_being_cancelled() -> bool:
    """Return whether this task itself was cancelled, which happens when the event loop ends."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _do_nothing() -> None:
    """Do nothing: a job that only wakes the task."""
