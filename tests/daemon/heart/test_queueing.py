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
from storage.evidence import EvidenceKind
from tests.helpers.clock import FakeClock
from tests.helpers.heart import ANA, ANA_OLD_FORM, BETO, SmallHouse, small_house
from tests.helpers.wire import Say

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


async def test_the_same_key_and_body_are_the_same_message(house: SmallHouse) -> None:
    """A client that repeats itself sends once."""
    first = await house.post(key="k1")
    assert await house.post(key="k1") == first
    assert len(house.wire.sends) == 1


async def test_the_same_key_at_the_same_time_is_the_same_message(house: SmallHouse) -> None:
    """Two callers who pass the first look together meet again in the transaction."""
    both = await asyncio.gather(house.enqueue(key="k1"), house.enqueue(key="k1"))
    assert both[0] == both[1]
    assert await house.rows("SELECT count(*) FROM messages") == [(1,)]


async def test_the_same_key_for_another_body_is_refused(house: SmallHouse) -> None:
    """A key stands for one message, whether it was sent meanwhile or not."""
    await house.post(key="k1")
    with pytest.raises(IdempotencyConflict):
        await house.enqueue(text="Something else", key="k1")


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
    house: SmallHouse, asked: dict[str, object], error: type[Exception]
) -> None:
    """The sentence names the field; nothing is stored."""
    with pytest.raises(error):
        await house.enqueue(**{"to": ANA, "text": "Hola", **asked})  # type: ignore[arg-type]
    assert await house.rows("SELECT count(*) FROM messages") == [(0,)]


async def test_a_window_that_ends_before_it_begins_is_refused(house: SmallHouse) -> None:
    """It could only expire."""
    now = house.clock.now()
    with pytest.raises(BadRequest, match="not_after"):
        await house.enqueue(not_before=now + timedelta(hours=2), not_after=now)


async def test_it_accepts_no_message_where_no_session_exists(tmp_path: Path) -> None:
    """Somebody would wait for it in vain."""
    async with small_house(tmp_path) as house:
        with pytest.raises(BadRequest, match="no session that could take"):
            await house.enqueue()


async def test_not_before_is_awaited_after_the_gates_first_word(house: SmallHouse) -> None:
    """Cleared at once, so that people know; sent when its time has come."""
    at = house.clock.now() + timedelta(hours=1)
    message = await house.post(not_before=at)
    assert await house.state(message) is S.CLEARED
    await house.clock.advance(3599)
    assert await house.state(message) is S.CLEARED
    await house.clock.advance(6)
    assert await house.state(message) is S.SENT


async def test_past_its_window_a_message_expires(house: SmallHouse) -> None:
    """It never fires late."""
    house.wire.up = False
    message = await house.post(not_after=house.clock.now() + timedelta(minutes=5))
    await house.clock.advance(300)
    assert (await house.path(message))[-1] == "expired"


async def test_a_machine_that_slept_past_the_window_does_not_send_it_late(
    house: SmallHouse,
) -> None:
    """The line is back and the clockwork has not looked yet: still it does not go."""
    house.wire.up = False
    message = await house.post(not_after=house.clock.now() + timedelta(minutes=5))
    house.wire.up = True
    await house.clock.leap(3600)
    assert await house.state(message) is S.EXPIRED
    assert house.wire.sends == []


async def test_a_message_lives_seven_days_unless_told_otherwise(house: SmallHouse) -> None:
    """The default window."""
    message = await house.message(await house.post())
    assert message.not_after == message.created_at + timedelta(days=7)


async def test_an_answer_lives_a_day_unless_told_otherwise(house: SmallHouse) -> None:
    """After their word of today a text of ours is a reply; in a campaign it never is."""
    await house.inbound(await house.contact(ANA))
    reply = await house.message(await house.post(text="Sí, claro"))
    assert reply.not_after == reply.created_at + timedelta(hours=24)
    told = await house.message(
        await house.post(text="El martes", not_after=reply.created_at + timedelta(days=3))
    )
    assert told.not_after == reply.created_at + timedelta(days=3)
    campaign = await house.message(await house.post(text="Rebajas", campaign="otoño"))
    assert campaign.not_after == campaign.created_at + timedelta(days=7)


async def test_one_message_per_contact_is_on_its_way(house: SmallHouse) -> None:
    """The second waits for the first one's answer, then goes."""
    await house.inbound(await house.contact(ANA))
    house.wire.script.append(Say.SILENCE)
    await house.post(text="one")
    second = await house.post(text="another thing")
    assert await house.state(second) is S.CLEARED
    house.wire.script.append(Say.ACK)
    await house.clock.advance(76)
    assert house.wire.texts() == ["one"], "a doubt blocks the contact until somebody settles it"


class Counter:
    """A plugin without an opinion that counts how often the gate looks."""

    looks = 0

    @hookimpl
    async def leadmaster_judge_message(self) -> None:
        """Count."""
        self.looks += 1


async def test_who_waits_for_another_message_costs_the_gate_no_look(tmp_path: Path) -> None:
    """A doubt may last for days; nobody asks about the next message meanwhile."""
    counter = Counter()
    async with small_house(tmp_path, plugins={"counter": counter}) as house:
        await house.session()
        house.outbox.serve("main")
        await house.inbound(await house.prospect())
        house.wire.script.append(Say.UNKNOWN)
        await house.post(text="one")
        await house.post(text="another thing")
        await house.clock.advance(600)
        assert counter.looks == 3


async def test_two_sessions_cannot_race_on_one_contact_under_two_names(house: SmallHouse) -> None:
    """The alias set counts, not the spelling: one goes, the other waits for it."""
    await house.session("second", number="+5491144440001")
    house.outbox.serve("second")
    await house.inbound(await house.contact(ANA))
    house.wire.usual = Say.SLOW
    one, other = await asyncio.gather(
        house.enqueue(ANA, "one", session="main"),
        house.enqueue(ANA_OLD_FORM, "quite another", session="second"),
    )
    await house.clock.settle()
    assert len(house.wire.sends) == 1
    await house.clock.advance(3)
    assert [await house.state(each) for each in (one, other)] == [S.SENT, S.SENT]
    assert len(house.wire.sends) == 2


async def test_settling_a_doubt_frees_the_contact(house: SmallHouse) -> None:
    """A person says what became of it; the next message goes."""
    await house.inbound(await house.contact(ANA))
    house.wire.script.append(Say.UNKNOWN)
    first = await house.post(text="one")
    second = await house.post(text="another thing")
    assert await house.state(second) is S.CLEARED
    await house.outbox.settle(first, S.FAILED, "eva", "their phone shows nothing")
    await house.clock.settle()
    assert await house.state(second) is S.SENT
    assert [action for (action,) in await house.rows("SELECT action FROM audit")] == [
        "settled_by_hand"
    ]


async def test_nobody_settles_a_doubt_as_sent(house: SmallHouse) -> None:
    """`sent` needs the server's id; only a receipt brings it."""
    house.wire.script.append(Say.UNKNOWN)
    message = await house.post()
    with pytest.raises(BadRequest, match="settles"):
        await house.outbox.settle(message, S.SENT, "eva", "I saw it")
    assert await house.state(message) is S.IN_DOUBT


async def test_settling_needs_a_doubt_a_reason_and_a_message(house: SmallHouse) -> None:
    """Each is refused with its own error; a doubt by wire is not confirmed by hand."""
    message = await house.post()
    with pytest.raises(Conflict):
        await house.outbox.settle(message, S.FAILED, "eva", "why not")
    with pytest.raises(BadRequest):
        await house.outbox.settle(message, S.FAILED, "eva", " ")
    with pytest.raises(NotFound):
        await house.outbox.settle("msg_0", S.FAILED, "eva", "why not")
    house.wire.script.append(Say.UNKNOWN)
    doubtful = await house.post(text="another thing")
    with pytest.raises(Conflict):
        await house.outbox.settle(doubtful, S.CONFIRMED_BY_HAND, "eva", "I did it")


async def test_what_has_not_left_can_be_cancelled(house: SmallHouse) -> None:
    """With a reason, and audited; what is in doubt is not taken back."""
    house.wire.up = False
    message = await house.post()
    await house.outbox.cancel(message, "eva", "changed my mind")
    assert await house.state(message) is S.CANCELLED
    with pytest.raises(Conflict):
        await house.outbox.cancel(message, "eva", "again")


async def test_outside_business_hours_it_waits_until_the_window_opens(house: SmallHouse) -> None:
    """Tuesday 20:00 in Buenos Aires: it goes on Wednesday at 09:30, to the minute."""
    await house.clock.leap(EVENING)
    message = await house.message(await house.post())
    assert message.state is S.DEFERRED
    assert message.due_at == message.created_at + timedelta(hours=13, minutes=30)
    await house.clock.leap(13.5 * 3600 - 60)
    assert await house.state(message.id) is S.DEFERRED
    await house.clock.advance(60)
    assert await house.state(message.id) is S.SENT


async def test_a_number_that_was_not_checked_waits_for_the_check(house: SmallHouse) -> None:
    """Unknown never becomes no: a check is asked for, and its answer brings the message back."""
    beto = await house.prospect(BETO, on_whatsapp="unknown", validation=ValidationState.UNCHECKED)
    message = await house.post(BETO)
    assert (await house.message(message)).waits_for == "checked"
    assert house.check_wishes == 1
    await _checked(house, beto)
    await house.outbox.contact_checked(beto)
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def _checked(house: SmallHouse, contact: str) -> None:
    """Write down what a check does that finds the number."""
    at = house.clock.now()
    found = await house.database.read(lambda reader: prospects.of_contact(reader, contact))
    assert found is not None
    await house.database.write(
        lambda tx: prospects.update(
            tx,
            found.id,
            at=at,
            on_whatsapp="yes",
            validation="validated",
            validado_tecnicamente=1,
            validated_at=at,
        )
    )
    await house.evidence(contact, EvidenceKind.ON_WHATSAPP, "yes")


async def test_after_the_third_unknown_answer_a_person_decides(house: SmallHouse) -> None:
    """It does not wait for ever for a check that can't tell."""
    beto = await house.prospect(BETO, on_whatsapp="unknown", validation=ValidationState.UNCHECKED)
    await house.execute("UPDATE prospects SET check_attempts = 2 WHERE contact = ?", beto)
    message = await house.post(BETO)
    assert await house.state(message) is S.DEFERRED
    await house.execute("UPDATE prospects SET check_attempts = 3 WHERE contact = ?", beto)
    await house.outbox.contact_checked(beto)
    await house.clock.settle()
    after = await house.message(message)
    assert (after.state, after.reason_code) == (S.HELD, "still_unknown")


async def test_a_session_that_may_not_send_makes_its_messages_wait_until_it_may(
    house: SmallHouse,
) -> None:
    """The deferral ends when the session is back, not by a clock."""
    await house.execute("UPDATE sessions SET sending = 'none'")
    message = await house.post()
    assert (await house.message(message)).waits_for == "session"
    await house.execute("UPDATE sessions SET sending = 'all'")
    house.outbox.session_ready("main")
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def test_a_session_that_is_down_keeps_its_cleared_messages(house: SmallHouse) -> None:
    """The predecessor wrote `sent` here."""
    house.wire.up = False
    message = await house.post()
    await house.clock.advance(3600)
    assert await house.state(message) is S.CLEARED
    house.wire.up = True
    house.outbox.session_ready("main")
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def test_rules_that_route_in_circles_end_before_a_person(tmp_path: Path) -> None:
    """A file without the channel's name in its condition would turn for ever."""
    rules_file = tmp_path / "gate.yaml"
    rules_file.write_text(CIRCLES)
    async with small_house(tmp_path / "state", rules=_rules(rules_file)) as house:
        await house.session()
        await house.prospect()
        message = await house.post()
        found = await house.message(message)
        assert (found.state, found.reason_code) == (S.HELD, "routed_in_circles")
        assert found.channel == "manual"


async def test_rules_that_route_to_and_fro_end_before_a_person(tmp_path: Path) -> None:
    """Once to the other channel and back is once too often."""
    rules_file = tmp_path / "gate.yaml"
    rules_file.write_text(TO_AND_FRO)
    async with small_house(tmp_path / "state", rules=_rules(rules_file)) as house:
        await house.session()
        await house.prospect()
        message = await house.post()
        assert await house.path(message) == ["queued", "queued", "held"]


async def test_the_events_of_a_message_tell_its_whole_story(house: SmallHouse) -> None:
    """One event for each move, in order, with what moved it."""
    message = await house.post()
    told = [
        (event.data["previous"], event.data["state"])
        for event in house.published
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
    async with small_house(tmp_path, clock=clock, started=False) as house:
        await house.session()
        await house.prospect()
        message = await house.enqueue()
    async with small_house(tmp_path, clock=clock) as house:
        await clock.settle()
        assert await house.state(message) is S.SENT
