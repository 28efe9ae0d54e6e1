"""What is known of a campaign while it is a name on messages; and what looking costs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from sqlite3 import Connection, Row

from storage import evaluation_context, messages
from storage.connections import connect_for_reading
from storage.first_contacts import FirstContactShare
from storage.tx import Parameters, Reader, Rows
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    GATE_WITHOUT_VETOES,
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import get_facts, write_gate_rules


async def test_a_campaign_counts_what_left_and_tells_whether_a_person_sends_each(
    services: MessagingServices,
) -> None:
    """Another campaign's and those that wait do not count; by hand nothing is automatic."""
    await services.add_session("hand", channel="manual")
    await services.enqueue_and_settle(ANA, campaign="otoño")
    await services.add_prospect(BETO)
    await services.enqueue_and_settle(BETO, campaign="invierno")
    await services.enqueue(BETO, "Más tarde", campaign="otoño", session="hand")
    given = await get_facts(services, campaign="otoño")
    assert (given["campaign.sent"], given["campaign.automatic"]) == (1, True)
    given = await get_facts(services, campaign="verano", session="hand")
    assert (given["campaign.sent"], given["campaign.automatic"]) == (0, False)
    given = await get_facts(services)
    assert (given["campaign.sent"], given["campaign.automatic"]) == (None, None)


SMALL_CAMPAIGN = """\
vetoes:
  - id: enough
    reason: "One is enough of this campaign"
    when: {campaign.sent|gte: 1}
    if_missing: skip
  - id: by_hand
    reason: "Campaigns are for people to send"
    when: {campaign.automatic: true, campaign.name: a_mano}
    if_missing: skip
"""


async def test_a_rule_on_a_campaign_decides_its_messages_alone(tmp_path: Path) -> None:
    """The second of a campaign is blocked, and an automatic one that must not be."""
    rules = write_gate_rules(tmp_path, GATE_WITHOUT_VETOES + SMALL_CAMPAIGN)
    async with open_messaging_services(tmp_path, rules=rules) as services:
        await services.add_session()
        for number, campaign in enumerate(("otoño", "otoño", "a_mano", "")):
            await services.add_prospect(build_phone(number))
            await services.enqueue_and_settle(
                build_phone(number), f"Hola {number}", campaign=campaign or None
            )
        found = await services.database.read(messages.list_messages)
        assert [each.reason_code for each in reversed(found)] == [
            "acknowledged",
            "enough",
            "by_hand",
            "acknowledged",
        ]


class ExplainingConnection(Reader):
    """A reader that notes how the database goes about each question."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.steps: list[str] = []

    def one(self, sql: str, params: Parameters = ()) -> Row | None:
        """Answer, and note the plan."""
        self._note(sql, params)
        return super().one(sql, params)

    def all(self, sql: str, params: Parameters = ()) -> Rows:
        """Answer, and note the plan."""
        self._note(sql, params)
        return super().all(sql, params)

    def _note(self, sql: str, params: Parameters) -> None:
        self.steps += [row["detail"] for row in super().all(f"EXPLAIN QUERY PLAN {sql}", params)]


async def test_before_a_message_no_table_is_read_from_end_to_end(
    services: MessagingServices,
) -> None:
    """Everything around it is found by an index; only the twenty found are walked through."""
    message = await services.get_message(await services.enqueue_and_settle(campaign="otoño"))
    with contextlib.closing(connect_for_reading(services.database.path)) as connection:
        reader = ExplainingConnection(connection)
        around = evaluation_context.read_evaluation_context(reader, message, services.clock.now())
    assert around.campaign_sent == 1
    assert around.first_contacts.complained == FirstContactShare(0, 1)
    scanned = {step for step in reader.steps if step.startswith("SCAN")}
    assert scanned == {
        "SCAN c",
        "SCAN halts USING INDEX halts_one_open",
        "SCAN do_not_call_registers USING INDEX do_not_call_registers_in_force",
    }
    for index in ("spends_of_first_contacts", "messages_by_campaign", "messages_sold_lately"):
        assert any(index in step for step in reader.steps), index
