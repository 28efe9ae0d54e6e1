"""Messages whose number nobody may check yet: the date they name, and the expiry announced."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from daemon.api.transport import Capabilities, Channel
from daemon.contacts.number_checks import CHECK_BLOCK_SENTENCES, NumberCheckPolicy
from daemon.numbers.budgets import Budgets
from daemon.outbox.check_waits import count_expiring_messages
from daemon.outbox.forecast import WAIT_SENTENCES, SendForecast, forecast_message
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.vocabulary import NumberCheckBlock
from storage import prospects
from storage.review_queries import (
    LANDLINE_SENTENCE,
    STILL_UNKNOWN_SENTENCE,
    UNCHECKED_SENTENCE,
    UncheckedMessage,
    build_number_to_validate,
)
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.services.messaging import (
    ANA,
    BETO,
    UNLIMITED_PACING,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

S = MessageState
DAY = timedelta(days=1)
LINKED_DAYS = 11
CHECK_FROM = MIDDAY + 3 * DAY
"""Fourteen days after the phone of `main` was linked."""
PACING = msgspec.structs.replace(UNLIMITED_PACING, number_check_min_age_days=14)
FROM_FRIDAY = (
    "The session main may check numbers from 2026-03-06 on, 14 days after its phone was linked. "
    "Until then validate the number yourself, or call."
)


@contextlib.asynccontextmanager
async def open_young_services(
    folder: Path, clock: FakeClock | None = None
) -> AsyncIterator[MessagingServices]:
    """Open the services with number checks beside them, as the daemon does."""
    async with (
        open_messaging_services(folder, pacing=PACING, clock=clock) as services,
        services.validation.running(),
    ):
        yield services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A phone that was linked eleven days ago, and a person whose number nobody checked."""
    async with open_young_services(tmp_path) as opened:
        await opened.add_session(linked_days=LINKED_DAYS)
        await add_unchecked(opened)
        yield opened


async def add_unchecked(
    services: MessagingServices, number: str = ANA, line_type: str = "mobile"
) -> str:
    """Enter a person who agreed to be written to, whose number nobody checked."""
    return await services.add_prospect(
        number,
        on_whatsapp="unknown",
        validation=ValidationState.UNCHECKED,
        line_type=line_type,
    )


async def assert_waits_until(
    services: MessagingServices, message: str, at: datetime, sentence: str = FROM_FRIDAY
) -> None:
    """Check that a message waits for its check, and says from when on that is possible."""
    found = await services.get_message(message)
    assert (found.state, found.waits_for) == (S.DEFERRED, "checked")
    assert (found.blocked_by, found.due_at) == (NumberCheckBlock.PHONE_LINKED_RECENTLY, at)
    assert (found.reason_code, found.sentence) == (NumberCheckBlock.PHONE_LINKED_RECENTLY, sentence)


async def assert_no_phone_checks(services: MessagingServices, message: str) -> None:
    """Check that a message waits for its check, and says that no phone can do it."""
    block = NumberCheckBlock.NO_PHONE_CHECKS
    found = await services.get_message(message)
    assert (found.state, found.waits_for, found.due_at) == (S.DEFERRED, "checked", None)
    assert (found.blocked_by, found.sentence) == (block, CHECK_BLOCK_SENTENCES[block])


async def get_forecast(services: MessagingServices, message: str) -> SendForecast | None:
    """Return what is said of when a message goes."""
    found, now = await services.get_message(message), services.clock.now()
    return await services.database.read(
        lambda reader: forecast_message(reader, services.sessions, services.pacing, found, now)
    )


async def count_expiring(services: MessagingServices) -> int:
    """Return how many messages expire within a day because nobody checked their number."""
    now = services.clock.now()
    return (await services.database.read(lambda reader: count_expiring_messages(reader, now))).count


def list_announcements(services: MessagingServices) -> list[str]:
    """Return whose expiry was announced, in order."""
    return [
        event.subject for event in services.published if event.type == "message.expiry_announced"
    ]


async def test_a_message_says_from_when_on_a_phone_may_check_its_number(
    services: MessagingServices,
) -> None:
    """A date by the clock of the session; nobody is asked before, and no wire is touched."""
    message = await services.enqueue_and_settle()
    await assert_waits_until(services, message, CHECK_FROM)
    block = NumberCheckBlock.PHONE_LINKED_RECENTLY
    assert await get_forecast(services, message) == SendForecast(
        block, WAIT_SENTENCES[block], CHECK_FROM
    )
    assert services.wire.lines["main"].checked == []


async def test_at_that_date_the_number_is_checked_and_the_message_goes(
    services: MessagingServices,
) -> None:
    """By itself: nobody has to do anything."""
    message = await services.enqueue_and_settle()
    await services.clock.leap((CHECK_FROM - services.clock.now()).total_seconds() - 1)
    assert await services.get_state(message) is S.DEFERRED
    await services.clock.advance(60)
    assert services.wire.lines["main"].checked == [ANA]
    assert await services.get_state(message) is S.SENT


async def test_a_persons_word_ends_the_wait_at_once(services: MessagingServices) -> None:
    """Whoever called them need not wait for any phone."""
    message = await services.enqueue_and_settle()
    [prospect] = await services.query_rows("SELECT id FROM prospects")
    await services.validation.set_by_hand(
        str(prospect[0]), validated=True, who="eva", reason="I called them"
    )
    await services.clock.advance(60)
    found = await services.get_message(message)
    assert (found.state, found.blocked_by, found.due_at) == (S.SENT, None, None)


async def test_an_older_phone_that_is_linked_meanwhile_checks_it(
    services: MessagingServices,
) -> None:
    """The wait is over as soon as any phone may ask."""
    message = await services.enqueue_and_settle()
    await services.add_session("second", number="+5491144440001", linked_days=20)
    await services.clock.advance(60)
    assert services.wire.lines["second"].checked == [ANA]
    assert await services.get_state(message) is S.SENT


async def test_another_date_is_told_when_the_phones_change(services: MessagingServices) -> None:
    """Unlinked, nobody may check; another young phone brings another date."""
    message = await services.enqueue_and_settle()
    await services.sessions.logout("main", "eva")
    await services.clock.advance(6)
    await assert_no_phone_checks(services, message)
    forecast = await get_forecast(services, message)
    assert forecast is not None
    assert (forecast.code, forecast.at) == (NumberCheckBlock.NO_PHONE_CHECKS, None)
    linked_at = services.clock.now()
    await services.add_session("second", number="+5491144440001", linked_days=0)
    await services.clock.advance(6)
    said = FROM_FRIDAY.replace("main", "second").replace("2026-03-06", "2026-03-17")
    await assert_waits_until(services, message, linked_at + 14 * DAY, said)


async def test_a_line_that_is_down_for_a_moment_changes_nothing(
    services: MessagingServices,
) -> None:
    """It comes back by itself, and its date stays."""
    message = await services.enqueue_and_settle()
    await services.bring_line_down()
    await services.clock.advance(6)
    await assert_waits_until(services, message, CHECK_FROM)
    assert (await services.list_states(message)).count("deferred") == 1


async def test_a_phone_that_may_check_is_no_obstacle(tmp_path: Path) -> None:
    """Where only an answer is missing the message says what it always said."""
    async with open_messaging_services(tmp_path) as services:  # nobody asks for the answer
        await services.add_session()
        await add_unchecked(services)
        found = await services.get_message(await services.enqueue_and_settle())
        assert (found.waits_for, found.blocked_by, found.due_at) == ("checked", None, None)
        assert found.sentence == "The number has not been checked on WhatsApp yet"


async def test_a_channel_that_checks_no_numbers_is_not_counted(tmp_path: Path) -> None:
    """It is ready and was linked long ago; but it did not declare that it can."""
    async with open_messaging_services(tmp_path) as services:
        await services.add_session()
        now = services.clock.now()
        for capable in (True, False):
            channel = Channel(
                "simulated", "a channel", None, Capabilities(number_check=capable), simulated=True
            )
            policy = NumberCheckPolicy(
                Budgets(UNLIMITED_PACING, {"simulated"}), {"simulated": channel}
            )
            obstacle = await services.database.read(partial(policy.find_obstacle, now=now))
            session, _ = await services.database.read(partial(policy.choose_session, now=now))
            assert (obstacle is None, session is not None) == (capable, capable)


async def test_a_message_that_expires_before_the_date_says_so(
    services: MessagingServices,
) -> None:
    """The date alone would be a promise that nobody keeps."""
    until = services.clock.now() + 2 * DAY
    message = await services.enqueue_and_settle(not_after=until)
    assert await get_forecast(services, message) == SendForecast(
        "expires_unchecked", WAIT_SENTENCES["expires_unchecked"], until
    )


async def test_such_numbers_are_to_be_validated_with_date_and_messages(
    services: MessagingServices,
) -> None:
    """Whose message expires first comes first; a number that nothing waits for is not listed."""
    late = [await services.enqueue_and_settle(text=text) for text in ("Hola", "Buen día")]
    await add_unchecked(services, BETO)
    soon = await services.enqueue_and_settle(BETO, not_after=MIDDAY + 5 * DAY)
    await add_unchecked(services, build_phone(1))
    listed = await services.review.list_numbers()
    assert [(each.prospect.phone, each.check_from, each.sentence) for each in listed] == [
        (BETO, CHECK_FROM, FROM_FRIDAY),
        (ANA, CHECK_FROM, FROM_FRIDAY),
    ]
    assert listed[0].messages == (UncheckedMessage(soon, "main", MIDDAY + 5 * DAY),)
    assert [each.id for each in listed[1].messages] == late
    assert listed[1].since == MIDDAY


async def test_a_number_to_validate_says_why(services: MessagingServices) -> None:
    """What no check can tell is told before what no phone may check yet."""
    await add_unchecked(services, BETO, line_type="fixed_line")
    await services.enqueue_and_settle(BETO)
    [landline] = await services.review.list_numbers()
    assert (landline.sentence, landline.check_from) == (LANDLINE_SENTENCE, CHECK_FROM)
    await services.execute_sql("UPDATE prospects SET check_attempts = 3")
    assert {each.sentence for each in await services.review.list_numbers()} == {
        STILL_UNKNOWN_SENTENCE
    }


async def test_a_number_that_nothing_is_known_of_says_that(services: MessagingServices) -> None:
    """Its case may be opened from elsewhere."""
    [row] = await services.query_rows("SELECT id FROM prospects")
    found = await services.database.read(
        lambda reader: build_number_to_validate(
            reader, prospects.require_prospect(reader, str(row[0]))
        )
    )
    assert (found.sentence, found.check_from, found.messages) == (UNCHECKED_SENTENCE, None, ())


async def test_its_expiry_is_announced_a_day_before_and_once(
    services: MessagingServices,
) -> None:
    """With a date and what to do; then it expires, as it said."""
    until = services.clock.now() + 2 * DAY
    message = await services.enqueue_and_settle(not_after=until)
    await services.clock.leap(DAY.total_seconds() - 10)
    assert (list_announcements(services), await count_expiring(services)) == ([], 0)
    await services.clock.advance(20)
    [announced] = [
        event for event in services.published if event.type == "message.expiry_announced"
    ]
    assert announced.subject == message
    assert announced.data["expires_at"] == "2026-03-05T15:00:00Z"
    assert announced.data["session"] == "main"
    assert "Validate the number yourself" in str(announced.data["sentence"])
    assert await count_expiring(services) == 1
    await services.clock.leap(DAY.total_seconds())
    await services.clock.advance(1)
    expired = await services.get_message(message)
    assert (expired.state, expired.reason_code) == (S.EXPIRED, "past_its_window")
    assert expired.sentence == "It expired: nobody checked or validated its number in time."
    assert (list_announcements(services), await count_expiring(services)) == ([message], 0)


async def test_a_message_with_less_than_a_day_is_announced_as_it_waits(
    services: MessagingServices,
) -> None:
    """There is no day before."""
    message = await services.enqueue_and_settle(not_after=services.clock.now() + DAY / 2)
    await services.clock.advance(6)
    assert list_announcements(services) == [message]


async def test_what_can_be_sent_is_not_announced(services: MessagingServices) -> None:
    """Only what expires because nobody checked its number: not what waits for the morning."""
    await services.add_prospect(BETO)
    await services.clock.leap(9 * 3600)
    message = await services.enqueue_and_settle(BETO, not_after=services.clock.now() + DAY)
    assert (await services.get_message(message)).waits_for is None
    await services.clock.advance(6)
    assert (list_announcements(services), await count_expiring(services)) == ([], 0)


async def test_a_restart_announces_nothing_twice(tmp_path: Path) -> None:
    """What was announced is in the row, in the event's own transaction."""
    clock = FakeClock()
    async with open_young_services(tmp_path, clock) as services:
        await services.add_session(linked_days=LINKED_DAYS)
        await add_unchecked(services)
        message = await services.enqueue_and_settle(not_after=clock.now() + DAY)
        await clock.advance(6)
        assert list_announcements(services) == [message]
    async with open_young_services(tmp_path, clock) as services:
        await clock.advance(60)
        assert (list_announcements(services), await count_expiring(services)) == ([], 1)


async def test_a_clock_that_is_set_back_announces_nothing_twice(
    services: MessagingServices,
) -> None:
    """The count follows the clock as it is set; the announcement stays what it was: one."""
    watcher = services.clock_steps
    async with watcher.running():
        message = await services.enqueue_and_settle(not_after=services.clock.now() + DAY)
        await services.clock.advance(60)
        services.clock.set_back(3600)
        await services.clock.advance(60)
        assert (list_announcements(services), await count_expiring(services)) == ([message], 0)
        await services.clock.leap(3600)
        await services.clock.advance(6)
        assert (list_announcements(services), await count_expiring(services)) == ([message], 1)
        await assert_waits_until(services, message, CHECK_FROM)


async def test_a_clock_that_is_set_on_announces_at_once(services: MessagingServices) -> None:
    """A machine that slept looks when it wakes; what expired meanwhile is not announced."""
    until = services.clock.now() + 2 * DAY
    message = await services.enqueue_and_settle(not_after=until)
    gone = await services.enqueue_and_settle(text="Buen día", not_after=until - DAY)
    await services.clock.leap(1.5 * DAY.total_seconds())
    await services.clock.advance(1)
    assert list_announcements(services) == [message]
    assert await services.get_state(gone) is S.EXPIRED
