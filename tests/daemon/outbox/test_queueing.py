"""What waits, and for what: the door, the order, the windows of time, what is on its way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api import hookimpl
from daemon.errors import BadRequest, Conflict, IdempotencyConflict, NotFound, NumberRejected
from daemon.settings import RulesSettings
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import prospects
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import (
    ANA,
    ANA_OLD_FORM,
    BETO,
    MessagingServices,
    open_messaging_services,
)

S = MessageState
EVENING = 8 * 3600  # from noon: 20:00, after the window

CIRCLES = """\
format: leadmaster/gate@1
score: {base: 100, min: 0, max: 100}
thresholds: [{verdict: allow, from: 1}, {verdict: block, from: 0}]
vetoes:
  - {id: by_hand, reason: "By hand", when: {message.length|gte: 1}, route: manual}
"""
TO_AND_FRO = """\
format: leadmaster/gate@1
score: {base: 100, min: 0, max: 100}
thresholds: [{verdict: allow, from: 1}, {verdict: block, from: 0}]
vetoes:
  - {id: by_hand, reason: "By hand", when: {session.channel|ne: manual}, route: manual}
  - {id: by_line, reason: "By line", when: {session.channel: manual}, route: simulated}
"""


def _rules(file: Path) -> RulesSettings:
    return RulesSettings(gate=(str(file),))


async def test_the_same_key_and_body_are_the_same_message(services: MessagingServices) -> None:
    """A client that repeats itself sends once."""
    first = await services.enqueue_and_settle(key="k1")
    assert await services.enqueue_and_settle(key="k1") == first
    assert len(services.wire.sends) == 1


async def test_the_same_key_at_the_same_time_is_the_same_message(
    services: MessagingServices,
) -> None:
    """Two callers who pass the first look together meet again in the transaction."""
    both = await asyncio.gather(services.enqueue(key="k1"), services.enqueue(key="k1"))
    assert both[0] == both[1]
    assert await services.query_rows("SELECT count(*) FROM messages") == [(1,)]


async def test_the_same_key_for_another_body_is_refused(services: MessagingServices) -> None:
    """A key stands for one message, whether it was sent meanwhile or not."""
    await services.enqueue_and_settle(key="k1")
    with pytest.raises(IdempotencyConflict):
        await services.enqueue(text="Something else", key="k1")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"to": "12"}, NumberRejected),
        ({"text": "  "}, BadRequest),
        ({"text": "x" * 4097}, BadRequest),
        ({"session": "nobody"}, BadRequest),
    ],
)
async def test_what_can_never_be_sent_is_refused_at_the_door(
    services: MessagingServices, asked: dict[str, object], error: type[Exception]
) -> None:
    """The sentence names the field; nothing is stored."""
    with pytest.raises(error):
        await services.enqueue(**{"to": ANA, "text": "Hola", **asked})  # type: ignore[arg-type]
    assert await services.query_rows("SELECT count(*) FROM messages") == [(0,)]


async def test_a_window_that_ends_before_it_begins_is_refused(services: MessagingServices) -> None:
    """It could only expire."""
    now = services.clock.now()
    with pytest.raises(BadRequest, match="not_after"):
        await services.enqueue(not_before=now + timedelta(hours=2), not_after=now)


async def test_it_accepts_no_message_where_no_session_exists(tmp_path: Path) -> None:
    """Somebody would wait for it in vain."""
    async with open_messaging_services(tmp_path) as services:
        with pytest.raises(BadRequest, match="no session that could take"):
            await services.enqueue()


async def test_not_before_is_awaited_after_the_gates_first_word(
    services: MessagingServices,
) -> None:
    """Cleared at once, so that people know; sent when its time has come."""
    at = services.clock.now() + timedelta(hours=1)
    message = await services.enqueue_and_settle(not_before=at)
    assert await services.get_state(message) is S.CLEARED
    await services.clock.advance(3599)
    assert await services.get_state(message) is S.CLEARED
    await services.clock.advance(6)
    assert await services.get_state(message) is S.SENT


async def test_past_its_window_a_message_expires(services: MessagingServices) -> None:
    """It never fires late."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle(
        not_after=services.clock.now() + timedelta(minutes=5)
    )
    await services.clock.advance(300)
    assert (await services.list_states(message))[-1] == "expired"


async def test_a_machine_that_slept_past_the_window_does_not_send_it_late(
    services: MessagingServices,
) -> None:
    """The line is back and the clockwork has not looked yet: still it does not go."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle(
        not_after=services.clock.now() + timedelta(minutes=5)
    )
    services.wire.up = True
    await services.clock.leap(3600)
    assert await services.get_state(message) is S.EXPIRED
    assert services.wire.sends == []


async def test_a_message_lives_seven_days_unless_told_otherwise(
    services: MessagingServices,
) -> None:
    """The default window."""
    message = await services.get_message(await services.enqueue_and_settle())
    assert message.not_after == message.created_at + timedelta(days=7)


async def test_an_answer_lives_a_day_unless_told_otherwise(services: MessagingServices) -> None:
    """After their word of today a text of ours is a reply; in a campaign it never is."""
    await services.add_inbound(await services.resolve_contact(ANA))
    reply = await services.get_message(await services.enqueue_and_settle(text="Sí, claro"))
    assert reply.not_after == reply.created_at + timedelta(hours=24)
    told = await services.get_message(
        await services.enqueue_and_settle(
            text="El martes", not_after=reply.created_at + timedelta(days=3)
        )
    )
    assert told.not_after == reply.created_at + timedelta(days=3)
    campaign = await services.get_message(
        await services.enqueue_and_settle(text="Rebajas", campaign="otoño")
    )
    assert campaign.not_after == campaign.created_at + timedelta(days=7)


async def test_one_message_per_contact_is_on_its_way(services: MessagingServices) -> None:
    """The second waits for the first one's answer, then goes."""
    await services.add_inbound(await services.resolve_contact(ANA))
    services.wire.results.append(ScriptedSendResult.SILENCE)
    await services.enqueue_and_settle(text="one")
    second = await services.enqueue_and_settle(text="another thing")
    assert await services.get_state(second) is S.CLEARED
    services.wire.results.append(ScriptedSendResult.ACK)
    await services.clock.advance(76)
    assert services.wire.sent_texts() == ["one"], (
        "a doubt blocks the contact until somebody settles it"
    )


class CountingPlugin:
    """A plugin without an opinion that counts how often the gate looks."""

    looks = 0

    @hookimpl
    async def leadmaster_judge_message(self) -> None:
        """Count."""
        self.looks += 1


async def test_who_waits_for_another_message_costs_the_gate_no_look(tmp_path: Path) -> None:
    """A doubt may last for days; nobody asks about the next message meanwhile."""
    counter = CountingPlugin()
    async with open_messaging_services(tmp_path, plugins={"counter": counter}) as services:
        await services.add_session()
        await services.add_inbound(await services.add_prospect())
        services.wire.results.append(ScriptedSendResult.UNKNOWN)
        await services.enqueue_and_settle(text="one")
        await services.enqueue_and_settle(text="another thing")
        await services.clock.advance(600)
        assert counter.looks == 3


async def test_two_sessions_cannot_race_on_one_contact_under_two_names(
    services: MessagingServices,
) -> None:
    """The alias set counts, not the spelling: one goes, the other waits for it."""
    await services.add_session("second", number="+5491144440001")
    await services.add_inbound(await services.resolve_contact(ANA))
    services.wire.default_result = ScriptedSendResult.SLOW
    one, other = await asyncio.gather(
        services.enqueue(ANA, "one", session="main"),
        services.enqueue(ANA_OLD_FORM, "quite another", session="second"),
    )
    await services.clock.settle()
    assert len(services.wire.sends) == 1
    await services.clock.advance(3)
    assert [await services.get_state(each) for each in (one, other)] == [S.SENT, S.SENT]
    assert len(services.wire.sends) == 2


async def test_settling_a_doubt_frees_the_contact(services: MessagingServices) -> None:
    """A person says what became of it; the next message goes."""
    await services.add_inbound(await services.resolve_contact(ANA))
    services.wire.results.append(ScriptedSendResult.UNKNOWN)
    first = await services.enqueue_and_settle(text="one")
    second = await services.enqueue_and_settle(text="another thing")
    assert await services.get_state(second) is S.CLEARED
    await services.outbox.settle(first, S.FAILED, "eva", "their phone shows nothing")
    await services.clock.settle()
    assert await services.get_state(second) is S.SENT
    assert [
        action
        for (action,) in await services.query_rows("SELECT action FROM audit WHERE who <> 'daemon'")
    ] == ["settled_by_hand"]


async def test_nobody_settles_a_doubt_as_sent(services: MessagingServices) -> None:
    """`sent` needs the server's id; only a receipt brings it."""
    services.wire.results.append(ScriptedSendResult.UNKNOWN)
    message = await services.enqueue_and_settle()
    with pytest.raises(BadRequest, match="can be settled"):
        await services.outbox.settle(message, S.SENT, "eva", "I saw it")
    assert await services.get_state(message) is S.IN_DOUBT


async def test_settling_needs_a_doubt_a_reason_and_a_message(services: MessagingServices) -> None:
    """Each is refused with its own error; a doubt by wire is not confirmed by hand."""
    message = await services.enqueue_and_settle()
    with pytest.raises(Conflict):
        await services.outbox.settle(message, S.FAILED, "eva", "why not")
    with pytest.raises(BadRequest):
        await services.outbox.settle(message, S.FAILED, "eva", " ")
    with pytest.raises(NotFound):
        await services.outbox.settle("msg_0", S.FAILED, "eva", "why not")
    services.wire.results.append(ScriptedSendResult.UNKNOWN)
    doubtful = await services.enqueue_and_settle(text="another thing")
    with pytest.raises(Conflict):
        await services.outbox.settle(doubtful, S.CONFIRMED_BY_HAND, "eva", "I did it")


async def test_what_has_not_left_can_be_cancelled(services: MessagingServices) -> None:
    """With a reason, and audited; what is in doubt is not taken back."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle()
    await services.outbox.cancel(message, "eva", "changed my mind")
    assert await services.get_state(message) is S.CANCELLED
    with pytest.raises(Conflict):
        await services.outbox.cancel(message, "eva", "again")


async def test_outside_business_hours_it_waits_until_the_window_opens(
    services: MessagingServices,
) -> None:
    """Tuesday 20:00 in Buenos Aires: it goes on Wednesday at 09:30, to the minute."""
    await services.clock.leap(EVENING)
    message = await services.get_message(await services.enqueue_and_settle())
    assert message.state is S.DEFERRED
    assert message.due_at == message.created_at + timedelta(hours=13, minutes=30)
    await services.clock.leap(13.5 * 3600 - 60)
    assert await services.get_state(message.id) is S.DEFERRED
    await services.clock.advance(60)
    assert await services.get_state(message.id) is S.SENT


async def test_a_number_that_was_not_checked_waits_for_the_check(
    services: MessagingServices,
) -> None:
    """Unknown never becomes no: a check is asked for, and its answer brings the message back."""
    beto = await services.add_prospect(
        BETO, on_whatsapp="unknown", validation=ValidationState.UNCHECKED
    )
    message = await services.enqueue_and_settle(BETO)
    assert (await services.get_message(message)).waits_for == "checked"
    assert services.published[-1].data["waits_for"] == "checked"
    await _set_validated(services, beto)
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def _set_validated(services: MessagingServices, contact: str) -> None:
    """Let an operator say that the number reaches them."""
    found = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert found is not None
    await services.validation.set_by_hand(found.id, validated=True, who="eva", reason="she called")


async def test_after_the_third_unknown_answer_a_person_decides(services: MessagingServices) -> None:
    """It does not wait for ever for a check that can't tell."""
    beto = await services.add_prospect(
        BETO, on_whatsapp="unknown", validation=ValidationState.UNCHECKED
    )
    asked_twice = "UPDATE prospects SET check_attempts = 2, validation = ? WHERE contact = ?"
    await services.execute_sql(asked_twice, ValidationState.CHECKING, beto)
    message = await services.enqueue_and_settle(BETO)
    assert await services.get_state(message) is S.DEFERRED
    await services.clock.advance(300)
    assert await services.validation.sweep() == 1
    await services.clock.settle()
    after = await services.get_message(message)
    assert (after.state, after.reason_code) == (S.HELD, "still_unknown")


async def test_a_session_that_may_not_send_makes_its_messages_wait_until_it_may(
    services: MessagingServices,
) -> None:
    """The deferral ends when the session is back, not by a clock."""
    await services.update_session(sending="none")
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).waits_for == "session"
    await services.update_session(sending="all")
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_a_session_that_is_down_keeps_its_cleared_messages(
    services: MessagingServices,
) -> None:
    """The predecessor wrote `sent` here."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle()
    await services.clock.advance(3600)
    assert await services.get_state(message) is S.CLEARED
    await services.bring_line_up()
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_rules_that_route_in_circles_end_before_a_person(tmp_path: Path) -> None:
    """A file without the channel's name in its condition would turn for ever."""
    rules_file = tmp_path / "gate.yaml"
    rules_file.write_text(CIRCLES)
    async with open_messaging_services(tmp_path / "state", rules=_rules(rules_file)) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        found = await services.get_message(message)
        assert (found.state, found.reason_code) == (S.HELD, "routed_in_circles")
        assert found.channel == "manual"


async def test_rules_that_route_to_and_fro_end_before_a_person(tmp_path: Path) -> None:
    """Once to the other channel and back is once too often."""
    rules_file = tmp_path / "gate.yaml"
    rules_file.write_text(TO_AND_FRO)
    async with open_messaging_services(tmp_path / "state", rules=_rules(rules_file)) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        assert await services.list_states(message) == ["queued", "queued", "held"]


async def test_the_events_of_a_message_tell_its_whole_story(services: MessagingServices) -> None:
    """One event for each move, in order, with what moved it."""
    message = await services.enqueue_and_settle()
    told = [
        (event.data["previous"], event.data["state"])
        for event in services.published
        if event.subject == message
    ]
    assert told == [
        (None, "queued"),
        ("queued", "cleared"),
        ("cleared", "sending"),
        ("sending", "sent"),
    ]


async def test_the_outbox_begins_again_where_a_crash_left_it(tmp_path: Path) -> None:
    """What was accepted is judged and sent by the next process."""
    clock = FakeClock()
    async with open_messaging_services(tmp_path, clock=clock, started=False) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue()
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await clock.advance(1)
        assert await services.get_state(message) is S.SENT


async def test_requests_at_one_time_share_the_read_of_the_sessions(tmp_path: Path) -> None:
    """Whoever asks while it is being read waits for the next read, which is for all of those."""
    reads = 0
    read_on = asyncio.Event()

    async def count_read(_query: object) -> None:
        nonlocal reads
        reads += 1
        await read_on.wait()

    async with open_messaging_services(tmp_path, started=False) as services:
        await services.add_session()
        services.database.before_read = count_read
        first = asyncio.create_task(services.enqueue(text="Uno"))
        await asyncio.sleep(0)
        others = [asyncio.create_task(services.enqueue(text=f"Otro {n}")) for n in range(20)]
        await asyncio.sleep(0)
        read_on.set()
        stored = {await first, *await asyncio.gather(*others)}
        assert len(stored) == 21
        assert reads == 2
        await services.add_session("nueva", number="+5491144440001")
        message = await services.enqueue(text="Más", session="nueva")
        assert (await services.get_message(message)).session == "nueva"


async def test_a_step_of_the_timer_that_fails_keeps_no_other_from_being_done(
    services: MessagingServices,
) -> None:
    """Another program wrote nonsense into the history of a message in doubt."""
    await services.add_prospect(BETO)
    services.wire.results.append(ScriptedSendResult.UNKNOWN)
    doubtful = await services.enqueue_and_settle(BETO)
    assert await services.get_state(doubtful) is S.IN_DOUBT
    await services.execute_sql("DROP TRIGGER message_history_stay_as_they_are")
    await services.execute_sql("UPDATE message_history SET at = 'noon' WHERE message = ?", doubtful)
    soon = services.clock.now() + timedelta(seconds=5)
    waiting = await services.enqueue_and_settle(text="¿Seguís buscando?", not_before=soon)
    assert await services.get_state(waiting) is S.CLEARED
    await services.clock.advance(10)
    assert await services.get_state(waiting) is S.SENT
