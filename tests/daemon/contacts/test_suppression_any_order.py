"""Suppression holds whatever the order in which names are learned and stops are said."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.message import CANCELLABLE_STATES
from storage import messages
from storage.suppressions import SuppressionSource
from tests.helpers.hypothesis_profiles import examples
from tests.helpers.services.contacts import (
    ANA,
    ANA_OLD_FORM,
    LID,
    InboundServices,
    build_inbound_services,
    open_contact_services,
)
from tests.helpers.services.database import lose_suppressions

pytestmark = pytest.mark.slow


class SuppressionStep(Enum):
    """One thing that may happen around one person with a number and a hidden id."""

    MESSAGE_QUEUED = auto()
    WROTE_FROM_HIDDEN_ID = auto()
    WROTE_WITH_BOTH_NAMES = auto()
    SAID_STOP_FROM_NUMBER = auto()
    SAID_STOP_FROM_HIDDEN_ID = auto()
    OPERATOR_SUPPRESSED_NUMBER = auto()
    PAIR_LEARNED = auto()
    RESTARTED_WITHOUT_TABLE = auto()


STOPS = {SuppressionStep.SAID_STOP_FROM_NUMBER, SuppressionStep.OPERATOR_SUPPRESSED_NUMBER}


@dataclass
class SuppressionModel:
    """What must be true, by the simplest reckoning."""

    number_known: bool = False
    hidden_id_known: bool = False
    joined: bool = False
    number_stopped: bool = False
    hidden_id_stopped: bool = False

    def take(self, step: SuppressionStep) -> None:
        """Follow one step."""
        S = SuppressionStep  # noqa: N806 - an abbreviation for this table
        self.number_known |= step in {
            S.MESSAGE_QUEUED,
            S.WROTE_WITH_BOTH_NAMES,
            S.SAID_STOP_FROM_NUMBER,
        }
        self.hidden_id_known |= step in {
            S.WROTE_FROM_HIDDEN_ID,
            S.WROTE_WITH_BOTH_NAMES,
            S.SAID_STOP_FROM_HIDDEN_ID,
        }
        told = step is S.PAIR_LEARNED and (self.number_known or self.hidden_id_known)
        self.joined |= told or step is S.WROTE_WITH_BOTH_NAMES
        self.number_stopped |= step in {S.SAID_STOP_FROM_NUMBER, S.OPERATOR_SUPPRESSED_NUMBER}
        self.hidden_id_stopped |= step is S.SAID_STOP_FROM_HIDDEN_ID
        if self.joined:
            self.number_known = self.hidden_id_known = True
            either = self.number_stopped or self.hidden_id_stopped
            self.number_stopped = self.hidden_id_stopped = either


async def take(inbound: InboundServices, step: SuppressionStep) -> None:
    """Let one step happen to the real rooms."""
    match step:
        case SuppressionStep.MESSAGE_QUEUED:
            await inbound.people.queue_message(ANA)
        case SuppressionStep.WROTE_FROM_HIDDEN_ID:
            await inbound.receive_text("hola", sender=LID)
        case SuppressionStep.WROTE_WITH_BOTH_NAMES:
            await inbound.receive_text("hola", sender=LID, phone=ANA)
        case SuppressionStep.SAID_STOP_FROM_NUMBER:
            await inbound.receive_text("STOP", sender=ANA_OLD_FORM)
        case SuppressionStep.SAID_STOP_FROM_HIDDEN_ID:
            await inbound.receive_text("STOP", sender=LID)
        case SuppressionStep.OPERATOR_SUPPRESSED_NUMBER:
            await inbound.people.suppression.suppress(
                ANA, source=SuppressionSource.OPERATOR, reason="phoned us", who="eva"
            )
        case SuppressionStep.PAIR_LEARNED:
            await inbound.learn_alias()
        case SuppressionStep.RESTARTED_WITHOUT_TABLE:
            await inbound.people.database.write(lose_suppressions)
            await inbound.people.suppression.replay_journal()


async def live(steps: list[SuppressionStep]) -> list[SuppressionStep]:
    """Walk the steps and compare after each one; return those after which the two still agree."""
    agreed = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_contact_services(Path(folder)) as people:
            inbound, model = build_inbound_services(people), SuppressionModel()
            for step in steps:
                before = model.number_stopped
                await take(inbound, step)
                model.take(step)
                check = people.suppression.check
                assert bool(await check(ANA)) is model.number_stopped, step
                assert bool(await check(ANA_OLD_FORM)) is model.number_stopped, step
                assert bool(await check(LID)) is model.hidden_id_stopped, step
                if step in STOPS or model.number_stopped > before:
                    assert await waiting(inbound) == 0, step
                agreed.append(step)
    return agreed


async def waiting(inbound: InboundServices) -> int:
    """Return how many messages could still go out."""
    found = await inbound.people.database.read(
        lambda r: messages.list_messages(r, states=CANCELLABLE_STATES)
    )
    return len(found)


@examples(40)
@given(st.lists(st.sampled_from(SuppressionStep), min_size=1, max_size=8))
def test_a_stop_reaches_every_name_in_any_order(steps: list[SuppressionStep]) -> None:
    """Names joined before or after it, by the platform or by a message, over a lost table."""
    assert asyncio.run(live(steps)) == steps
