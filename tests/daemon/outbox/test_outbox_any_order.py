"""Whatever happens in whatever order: every send has its one stored `allow`, and no other."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from daemon.api.transport import hash_content
from daemon.errors import LeadMasterError
from daemon.settings import PacingSettings
from statemachines.message import WIRE_ID_STATES, MessageState
from storage.evidence import EvidenceKind
from storage.receipts import ReceiptRecord, store_receipt
from tests.helpers.clock import FakeClock
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.puppet_channel import NOT_SENT_RESULTS, PuppetChannel, ScriptedSendResult
from tests.helpers.services.messaging import (
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.transport import read_text

pytestmark = pytest.mark.slow

PERMISSIONS = ("opted_in", "opted_in", "relationship", "public_source")
PERSONS = st.integers(0, len(PERMISSIONS) - 1)
TIGHT = PacingSettings(new_chats_later=3, new_chat_gap_minutes=5, messages_per_minute=2)
WAITS = st.sampled_from([1, 30, 80, 400, 3600, 14 * 3600])


def old_form(number: str) -> str:
    """Return the number without its mobile 9: the same line under another name."""
    return number.replace("+549", "+54", 1)


class MessagingStateMachine(RuleBasedStateMachine):
    """A house under arbitrary events, and what must hold after each."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.wire = PuppetChannel(self.clock)
        self.accepted: dict[str, tuple[str, str]] = {}
        self.closed: set[str] = set()  # who is suppressed or not reachable
        self.halted = False
        self.seen = 0  # how many sends were checked

    def run(self, work: Callable[[MessagingServices], Coroutine[Any, Any, object]]) -> None:
        """Do one thing, let everything settle, and compare what left with what was allowed."""
        closed, halted = set(self.closed), self.halted

        async def step() -> None:
            with contextlib.suppress(LeadMasterError):  # a refusal is an answer
                await work(self.house)
            await self.clock.settle()

        self.runner.run(step())
        for sent in self.wire.sends[self.seen :]:
            assert old_form(sent.outgoing.recipient.value) not in closed
            assert not (halted and self.halted)
        self.seen = len(self.wire.sends)

    async def open(self) -> None:
        """Open the house of the folder, as a new process does."""
        self.stack = contextlib.AsyncExitStack()
        self.house = await self.stack.enter_async_context(
            open_messaging_services(
                Path(self.folder.name), clock=self.clock, wire=self.wire, pacing=TIGHT
            )
        )

    @initialize()
    def begin(self) -> None:
        """One session, four people."""

        async def furnish() -> None:
            await self.open()
            await self.house.add_session()
            for number, permission in enumerate(PERMISSIONS):
                await self.house.add_prospect(build_phone(number), permission=permission)

        self.runner.run(furnish())

    @rule(person=PERSONS, old=st.booleans())
    def enqueue(self, person: int, *, old: bool) -> None:
        """Somebody asks for a message, under either form of the number."""
        number = build_phone(person)
        n = len(self.accepted)
        text = f"asunto{n} {n} detalle{n} cierre{n}"

        async def work(services: MessagingServices) -> None:
            asked = old_form(number) if old else number
            self.accepted[await services.enqueue(asked, text)] = asked, text

        self.run(work)

    @rule(yes=st.booleans())
    def decide(self, *, yes: bool) -> None:
        """A person decides on the first message in the review queue."""

        async def work(services: MessagingServices) -> None:
            for message in (await services.review.list_messages())[:1]:
                act = services.review.approve if yes else services.review.reject
                await act(message.id, "eva", "I looked")

        self.run(work)

    @rule(person=PERSONS, request=st.sampled_from(["none", "refused"]))
    def write_to_us(self, person: int, request: str) -> None:
        """They write; a refusal is evidence too."""

        async def work(services: MessagingServices) -> None:
            contact = await services.resolve_contact(old_form(build_phone(person)))
            await services.add_inbound(contact, request)
            if request == "refused":
                await services.add_evidence(contact, EvidenceKind.DECLINED, request)

        self.run(work)

    @rule(person=PERSONS)
    def opt_out(self, person: int) -> None:
        """They are suppressed, under the other form of their number."""
        self.run(lambda services: services.suppress(old_form(build_phone(person))))
        self.closed.add(old_form(build_phone(person)))

    @rule(person=PERSONS)
    def bounce(self, person: int) -> None:
        """Their number turns out wrong."""
        sql = "UPDATE prospects SET validado_tecnicamente = 0 WHERE phone = ?"
        self.run(lambda services: services.execute_sql(sql, build_phone(person)))
        self.closed.add(old_form(build_phone(person)))

    @rule()
    def halt(self) -> None:
        """Somebody presses the red button."""
        self.run(lambda services: services.halt.halt("eva", "an alarm"))
        self.halted = True

    @precondition(lambda self: self.halted)
    @rule()
    def resume(self) -> None:
        """Somebody lifts the halt."""
        self.halted = False
        self.run(lambda services: services.halt.resume("eva", "all clear"))

    @rule(said=st.sampled_from(list(ScriptedSendResult)))
    def prepare_an_answer(self, said: ScriptedSendResult) -> None:
        """The wire will answer like this next."""
        self.wire.results.append(said)

    @rule()
    def fail_or_mend_the_line(self) -> None:
        """The session goes, or comes back."""

        async def work(services: MessagingServices) -> None:
            if self.wire.up:
                await services.bring_line_down()
            else:
                await services.bring_line_up()

        self.run(work)

    @rule(seconds=WAITS)
    def wait(self, seconds: float) -> None:
        """Time passes, second by second or in one leap."""

        async def work(_house: MessagingServices) -> None:
            await (self.clock.advance if seconds < 500 else self.clock.leap)(seconds)

        self.run(work)

    @rule(kind=st.sampled_from(["delivered", "read", "failed"]), number=st.integers(1, 6))
    def receive_a_receipt(self, kind: str, number: int) -> None:
        """The platform speaks of an id, known or not yet."""
        at = self.clock.now()
        receipt = ReceiptRecord(session="main", wire_id=f"wire-{number}", kind=kind, at=at)
        self.run(
            lambda services: services.database.write(lambda tx: store_receipt(tx, receipt, at))
        )

    @rule(confirmed=st.booleans())
    def settle_a_doubt(self, *, confirmed: bool) -> None:
        """A person says what became of the first message in doubt."""
        target = MessageState.FAILED if confirmed else MessageState.CANCELLED

        async def work(services: MessagingServices) -> None:
            for row in (
                await services.query_rows("SELECT id FROM messages WHERE state = 'in_doubt'")
            )[:1]:
                await services.outbox.settle(str(row[0]), target, "eva", "I asked them")

        self.run(work)

    @rule(seen=st.booleans())
    def take_one_by_hand(self, *, seen: bool) -> None:
        """An operator takes a message, and sends it or gives it back."""

        async def work(services: MessagingServices) -> None:
            for message in (await services.manual.list_messages())[:1]:
                await services.manual.take(message.id, "eva")
                if seen:
                    await services.manual.reveal(message.id, "eva")
                    await services.manual.confirm(message.id, "eva")

        self.run(work)

    @rule()
    def crash(self) -> None:
        """The process dies in the middle of whatever it does, and another one begins."""

        async def again(_house: MessagingServices) -> None:
            await self.stack.aclose()
            await self.open()

        self.run(again)

    @invariant()
    def every_send_has_its_one_allow(self) -> None:
        """One permit, one decision, for exactly that text and recipient, and never used twice."""
        allowed = {
            permit: tuple(rest)
            for permit, *rest in self.rows(
                "SELECT p.id, d.message, d.verdict, d.phase, d.recipient, d.body_hash"
                " FROM permits AS p JOIN decisions AS d ON d.id = p.decision"
            )
        }
        used = [sent.permit.id for sent in self.wire.sends]
        assert len(used) == len(set(used))
        for sent in self.wire.sends:
            out = sent.outgoing
            assert self.accepted[out.message] == (out.recipient.value, read_text(out))
            assert allowed[sent.permit.id] == (
                out.message,
                "allow",
                "release",
                out.recipient.value,
                hash_content(out.content),
            )

    @invariant()
    def nothing_goes_twice(self) -> None:
        """But where the first was certainly not sent."""
        may_have_left: set[str] = set()
        for sent in self.wire.sends:
            assert sent.outgoing.message not in may_have_left
            if sent.result not in NOT_SENT_RESULTS:
                may_have_left.add(sent.outgoing.message)

    @invariant()
    def sent_needs_the_wires_id(self) -> None:
        """The id on the row is the one that the wire gave for that very message."""
        given = {
            f"wire-{number}": sent.outgoing.message
            for number, sent in enumerate(self.wire.sends, start=1)
        }
        marks = ", ".join(f"'{state}'" for state in WIRE_ID_STATES)
        for message, wire_id in self.rows(
            f"SELECT id, wire_id FROM messages WHERE state IN ({marks})"
        ):
            assert wire_id == "wire-1" or given[str(wire_id)] == message

    @invariant()
    def nothing_accepted_is_lost(self) -> None:
        """Every message is there, and its history ends where it stands."""
        assert {row[0] for row in self.rows("SELECT id FROM messages")} == set(self.accepted)
        assert (
            self.rows(
                "SELECT id FROM messages AS m WHERE state <> (SELECT state FROM message_history"
                " WHERE message = m.id ORDER BY id DESC LIMIT 1)"
            )
            == []
        )

    @invariant()
    def one_per_contact_is_on_its_way(self) -> None:
        """Over all names and channels."""
        assert (
            self.rows(
                "SELECT contact FROM messages WHERE state IN ('sending', 'taken', 'revealed')"
                " GROUP BY contact HAVING count(*) > 1"
            )
            == []
        )

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Ask the database."""
        if not hasattr(self, "house"):
            return []
        return self.runner.run(self.house.query_rows(sql))

    def teardown(self) -> None:
        """Close what is open."""
        if hasattr(self, "stack"):
            self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()


TestMessaging = MessagingStateMachine.TestCase
TestMessaging.settings = examples(20, stateful_step_count=30)
