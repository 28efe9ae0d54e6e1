"""Whatever happens in whatever order, no number begins more chats than its budgets allow.

Time is told by the seconds that really pass, whatever is done to the wall clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from daemon.api.signals import ConnectionRefused
from daemon.errors import LeadMasterError
from daemon.settings import PacingSettings
from tests.helpers.clock import FakeClock
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import write_gate_rules

pytestmark = pytest.mark.slow

BUDGET, GAP_MINUTES = 3, 15
PACING = PacingSettings(
    new_chats_first_week=BUDGET, new_chats_to_day_30=BUDGET, new_chats_later=BUDGET + 2
)
DAY, STOP_AFTER_BAN = 86_400.0, 72 * 3600.0
OTHER_NUMBER = "+5491144440009"
LOOK = 6.0
"""Within so many seconds the watcher has seen a step of the clock."""


class BudgetStateMachine(RuleBasedStateMachine):
    """A young number, and every event that could widen what it may begin."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.wire = PuppetChannel(self.clock)
        self.people = 0
        self.sessions = ["main"]
        self.begun: list[float] = []
        self.banned_at: float | None = None
        self.seen = 0

    def run(self, work: Callable[[MessagingServices], Coroutine[Any, Any, object]]) -> None:
        """Do one thing, let everything settle, and hold what left against the budgets."""
        set_by = self.clock.now().timestamp() - self.clock.monotonic()

        async def step() -> None:
            with contextlib.suppress(LeadMasterError):  # a refusal is an answer
                await work(self.services)
            await self.clock.settle()

        self.runner.run(step())
        for sent in self.wire.sends[self.seen :]:
            self.check(sent.at.timestamp() - set_by)
        self.seen = len(self.wire.sends)

    def check(self, at: float) -> None:
        """Hold one first contact against the budgets, by the seconds that really passed."""
        assert self.banned_at is None or at >= self.banned_at + STOP_AFTER_BAN
        assert sum(each > at - DAY for each in self.begun) < BUDGET
        assert not self.begun or at - self.begun[-1] >= GAP_MINUTES * 60 - 0.01
        self.begun.append(at)

    async def open(self) -> None:
        """Open the services on the folder, as a new process does."""
        folder = Path(self.folder.name)
        self.stack = contextlib.AsyncExitStack()
        self.services = await self.stack.enter_async_context(
            open_messaging_services(
                folder,
                clock=self.clock,
                wire=self.wire,
                pacing=PACING,
                rules=write_gate_rules(folder),
            )
        )
        await self.stack.enter_async_context(self.services.clock_steps.running())

    @initialize()
    def begin(self) -> None:
        """One session of a number that was linked today, and another number."""

        async def furnish() -> None:
            await self.open()
            await self.services.add_session(linked_days=0)
            await self.services.sessions.create(
                "other", "simulated", "America/Bogota", {"phone": OTHER_NUMBER}
            )
            await self.services.sessions.start("other", "ana")
            await self.clock.settle()

        self.runner.run(furnish())

    @rule(which=st.integers(0, 3))
    def write_to_somebody(self, which: int) -> None:
        """A first contact, through any session of the number."""
        session = self.sessions[which % len(self.sessions)]
        self.people += 1
        number = build_phone(self.people)

        async def work(services: MessagingServices) -> None:
            await services.add_prospect(number)
            await services.enqueue(number, f"asunto{self.people}", session=session)

        self.run(work)

    @rule(seconds=st.sampled_from([60.0, 900.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.run(lambda services: services.clock.advance(seconds))

    @rule(hours=st.sampled_from([5, 20]))
    def sleep(self, hours: int) -> None:
        """The machine sleeps: all that was due meanwhile is late."""
        self.run(lambda services: services.clock.leap(hours * 3600.0))

    @rule(days=st.sampled_from([-3, -1, 1, 8, 40]))
    def set_clock(self, days: int) -> None:
        """Somebody sets the wall clock."""
        self.clock.set_back(-days * DAY)
        self.run(lambda services: services.clock.advance(LOOK))

    @precondition(lambda self: len(self.sessions) < 3)
    @rule()
    def add_session(self) -> None:
        """Another session of the same number."""
        name = f"again{len(self.sessions)}"
        self.sessions.append(name)
        self.run(lambda services: services.add_session(name, linked_days=0))

    @rule()
    def restart(self) -> None:
        """The process is killed, and starts again."""

        async def work(_: MessagingServices) -> None:
            await self.stack.aclose()
            await self.open()

        self.run(work)

    @rule()
    def link_again(self) -> None:
        """The phone is unlinked and linked again."""

        async def work(services: MessagingServices) -> None:
            await services.sessions.logout("main", "ana")
            await services.sessions.start("main", "ana")

        self.run(work)

    @precondition(lambda self: self.banned_at is None)
    @rule()
    def ban_the_other_number(self) -> None:
        """The platform bans a number of the same installation."""
        self.run(self.report_ban)
        self.banned_at = self.clock.monotonic()

    async def report_ban(self, services: MessagingServices) -> None:
        """Report the ban on the line of the other number."""
        services.wire.lines["other"].report(ConnectionRefused.from_code(402, 101))

    def teardown(self) -> None:
        """Close everything."""
        if hasattr(self, "stack"):
            self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()


BudgetStateMachine.TestCase.settings = examples(6, stateful_step_count=15)
test_nothing_widens_a_budget = BudgetStateMachine.TestCase
