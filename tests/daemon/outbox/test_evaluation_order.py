"""Evaluations of several contacts at once, and of one contact's messages one after the other."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.api import hookimpl
from daemon.api.opinions import OpinionRequest
from daemon.events import MessageChanged
from statemachines.message import MessageState
from storage.db import Database
from storage.events import CommittedEvent
from tests.helpers.clock import FakeClock
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.puppet_channel import PuppetChannel
from tests.helpers.services.messaging import build_phone, open_messaging_services
from tests.helpers.services.messaging_scenarios import write_gate_rules

SESSIONS = ("main", "soporte")
AT_ONCE = 6
EVENING = 8 * 3600  # from noon: 20:00, after the window


class Watcher:
    """A plugin that notes which evaluations run at once, and the order in which they begin.

    Each goes on once as many contacts as ``wanted`` are being evaluated.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.enough = asyncio.Event()
        self.running: list[str] = []
        self.most = 0
        self.overlaps: list[str] = []
        self.begun: dict[str, list[str]] = defaultdict(list)

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
        """Wait until enough are here."""
        if request.recipient in self.running:
            self.overlaps.append(request.recipient)
        self.running.append(request.recipient)
        self.begun[request.recipient].append(request.message)
        self.most = max(self.most, len(self.running))
        if len(self.running) >= self.wanted:
            self.enough.set()
        await self.enough.wait()
        self.running.remove(request.recipient)


async def test_several_contacts_at_once_and_each_ones_messages_in_order(tmp_path: Path) -> None:
    """While one evaluation waits, others go on; the second to a person comes after the first."""
    clock, watcher = FakeClock(), Watcher(wanted=4)
    people = [build_phone(number) for number in range(5)]
    async with open_messaging_services(
        tmp_path, clock=clock, plugins={"watcher": watcher}, started=False
    ) as services:
        await services.add_session()
        for phone in people:
            await services.add_prospect(phone)
        await clock.leap(EVENING)
        sent: dict[str, list[str]] = defaultdict(list)
        for text in ("Uno", "Dos", "Tres"):
            for phone in people:
                sent[phone].append(await services.enqueue(phone, f"{text} {phone[-3:]}"))
        await services.outbox.start()
        await clock.settle()
        states = {await services.get_state(each) for own in sent.values() for each in own}
        await services.outbox.stop(0)
    assert watcher.most >= 4
    assert watcher.overlaps == []
    assert watcher.begun == sent
    assert states == {MessageState.DEFERRED}


class Changer:
    """A plugin that changes a fact of the contact while the second message is first judged.

    The first one is judged once all are there.
    """

    def __init__(self) -> None:
        self.database: Database | None = None
        self.asked: list[str] = []
        self.all_there = asyncio.Event()

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
        """Change what the gate has read, as a message that leaves at this moment does."""
        await self.all_there.wait()
        self.asked.append(request.message)
        if len(set(self.asked)) == 2 and self.asked.count(request.message) == 1 and self.database:
            await self.database.write(
                lambda tx: tx.execute("UPDATE contacts SET revision = revision + 1").rowcount
            )


async def test_a_message_whose_facts_changed_is_not_overtaken(tmp_path: Path) -> None:
    """The next one to the same person waits until it was judged again."""
    clock, changer = FakeClock(), Changer()
    wire = PuppetChannel(clock)
    async with open_messaging_services(
        tmp_path,
        clock=clock,
        wire=wire,
        rules=write_gate_rules(tmp_path),
        plugins={"changer": changer},
    ) as services:
        changer.database = services.database
        await services.add_session()
        await services.add_prospect(build_phone(1))
        texts = [f"asunto{number} {number} detalle{number} cierre{number}" for number in range(4)]
        accepted = [await services.enqueue(build_phone(1), text) for text in texts]
        changer.all_there.set()
        await clock.settle()
        await clock.advance(10)
    assert changer.asked.count(accepted[1]) > 1
    assert [each.outgoing.message for each in wire.sends] == accepted


class Dawdler:
    """A plugin that takes some turns of the loop for each opinion, and notes who is judged.

    The first opinion on a message is asked before it waits, the second at its release.
    """

    def __init__(self, turns: list[int]) -> None:
        self.turns = turns
        self.asked = 0
        self.running: dict[str, str] = {}
        self.most = 0
        self.overlaps: list[str] = []
        self.begun: dict[str, list[str]] = defaultdict(list)

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> None:
        """Note a first opinion from its begin to its end."""
        turns = self.turns[self.asked % len(self.turns)]
        self.asked += 1
        if request.message in self.begun[request.recipient]:
            return
        if request.recipient in self.running.values():
            self.overlaps.append(request.recipient)
        self.running[request.message] = request.recipient
        self.begun[request.recipient].append(request.message)
        self.most = max(self.most, len(self.running))
        for _ in range(turns):
            await asyncio.sleep(0)
        del self.running[request.message]


class SendWatch:
    """Notes from the committed events whether a session has two messages on their way."""

    def __init__(self) -> None:
        self.on_their_way: dict[str, set[str]] = defaultdict(set)
        self.doubled: list[str] = []

    def __call__(self, committed: CommittedEvent) -> None:
        """Follow a message into `sending` and out of it."""
        if committed.type != MessageChanged.event_type:
            return
        ours = self.on_their_way[str(committed.data["session"])]
        ours.discard(committed.subject)
        if committed.data["state"] == MessageState.SENDING:
            ours.add(committed.subject)
            if len(ours) > 1:
                self.doubled.append(committed.subject)


async def check_order(folder: Path, plan: list[tuple[int, int]], turns: list[int]) -> None:
    """Enqueue each contact's messages in a task of its own, all beside the evaluation."""
    clock, dawdler, watch = FakeClock(), Dawdler(turns), SendWatch()
    wire = PuppetChannel(clock)
    accepted: dict[tuple[int, int], list[str]] = defaultdict(list)
    async with open_messaging_services(
        folder,
        clock=clock,
        wire=wire,
        rules=write_gate_rules(folder),
        plugins={"dawdler": dawdler},
    ) as services:
        services.reactions.append(watch)
        for number, session in enumerate(SESSIONS):
            await services.add_session(session, number=build_phone(900 + number))
        for person in {person for person, _ in plan}:
            await services.add_prospect(build_phone(person))

        async def write_to(person: int) -> None:
            for number, (who, session) in enumerate(plan):
                if who == person:
                    text = f"asunto{number} {number} detalle{number} cierre{number}"
                    accepted[person, session].append(
                        await services.enqueue(build_phone(person), text, session=SESSIONS[session])
                    )

        async with asyncio.TaskGroup() as group:
            for person in {person for person, _ in plan}:
                group.create_task(write_to(person))
        await clock.settle()
        await clock.advance(10)  # a message whose facts changed meanwhile is judged again
    assert dawdler.overlaps == []
    assert dawdler.most <= AT_ONCE
    assert watch.doubled == []
    assert len(wire.sends) == len(plan)
    for (person, of), own in accepted.items():
        begun = dawdler.begun[build_phone(person)]
        assert [each for each in begun if each in own] == own
        sent = [each.outgoing.message for each in wire.sends if each.session == SESSIONS[of]]
        assert [each for each in sent if each in own] == own


@examples(8)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), min_size=2, max_size=16),
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
)
def test_order_and_single_sends_hold_whatever_takes_long(
    plan: list[tuple[int, int]], turns: list[int]
) -> None:
    """One contact's in order, six contacts at most, one message at a time for each session."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check_order(Path(folder), plan, turns))
