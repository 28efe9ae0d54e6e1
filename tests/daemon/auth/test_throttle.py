"""Waits grow with each failure, per user and per address, in bounded memory."""

from __future__ import annotations

import pytest

from daemon.auth.errors import SignInThrottled
from daemon.auth.password_check import (
    PER_ADDRESS,
    PER_USER,
    AttemptLimiter,
    SignInThrottle,
    ThrottlePolicy,
    network_from_address,
)
from tests.helpers.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


def test_waits_double_up_to_the_longest() -> None:
    """The first attempts are free; what comes then costs 1, 2, 4 … seconds."""
    policy = ThrottlePolicy(free=3, longest=10.0)
    assert [policy.wait(attempts) for attempts in range(1, 9)] == [0, 0, 1, 2, 4, 8, 10, 10]
    assert policy.wait(10**6) == 10


async def test_a_user_waits_longer_each_time(clock: FakeClock) -> None:
    """Guesses at one name from many addresses are slowed by the name."""
    throttle = SignInThrottle(clock)
    waits = []
    for number in range(PER_USER.free + 4):
        throttle.admit("ana", f"192.0.2.{number}")
        waits.append(throttle.users.get_seconds_left("ana"))
        await clock.advance(waits[-1])
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16]


async def test_a_wait_is_told_and_not_prolonged_by_asking(clock: FakeClock) -> None:
    """Attempts in between are not looked at and change nothing."""
    throttle = SignInThrottle(clock)
    for _ in range(PER_USER.free + 1):
        throttle.admit("ana", "192.0.2.1")
        await clock.advance(throttle.users.get_seconds_left("ana") * 0.5)
        if throttle.users.get_seconds_left("ana"):
            break
    for _ in range(20):
        with pytest.raises(SignInThrottled) as caught:
            throttle.admit("ana", "192.0.2.1")
        assert caught.value.seconds == 1
    await clock.advance(0.5)
    throttle.admit("ana", "192.0.2.1")


def test_a_hundred_at_once_are_a_hundred(clock: FakeClock) -> None:
    """Attempts count before they are looked at: parallel ones gain nothing."""
    throttle = SignInThrottle(clock)
    admitted = 0
    for _ in range(100):
        try:
            throttle.admit("ana", "192.0.2.1")
        except SignInThrottled:
            continue
        admitted += 1
    assert admitted == PER_USER.free


def test_an_address_is_slowed_over_all_names(clock: FakeClock) -> None:
    """Whoever tries one password on many names meets the wait of the address."""
    throttle = SignInThrottle(clock)
    for number in range(PER_ADDRESS.free):
        throttle.admit(f"user{number}", "192.0.2.1")
    with pytest.raises(SignInThrottled):
        throttle.admit("another", "192.0.2.1")
    throttle.admit("another", "192.0.2.2")


async def test_ones_own_account_buys_no_guesses_at_others(clock: FakeClock) -> None:
    """A success takes back its own attempt only; the address's failures stay."""
    throttle = SignInThrottle(clock)
    for number in range(PER_ADDRESS.free):
        throttle.admit(f"user{number}", "192.0.2.1")
    await clock.advance(1)
    throttle.admit("mallory", "192.0.2.1")
    throttle.reset_after_success("mallory", "192.0.2.1")
    throttle.admit("ana", "192.0.2.1")
    assert throttle.addresses.get_seconds_left("192.0.2.1") == 2
    assert throttle.users.get_seconds_left("mallory") == 0


async def test_an_hour_of_quiet_is_forgiven(clock: FakeClock) -> None:
    """Old failures do not count against today's slip of the finger."""
    waits = AttemptLimiter(PER_USER, clock)
    for _ in range(20):
        waits.count_failure("ana")
    assert waits.get_seconds_left("ana") == PER_USER.longest
    await clock.advance(3601)
    waits.count_failure("ana")
    assert waits.get_seconds_left("ana") == 0


def test_memory_is_bounded(clock: FakeClock) -> None:
    """A flood of names pushes out the longest idle; nobody can fill the memory."""
    waits = AttemptLimiter(ThrottlePolicy(free=0, longest=60.0), clock, remembered=10)
    for number in range(1000):
        waits.count_failure(f"user{number}")
    assert len(waits) == 10
    assert waits.get_seconds_left("user0") == 0
    assert waits.get_seconds_left("user999") > 0


def test_what_was_pushed_out_can_be_taken_back(clock: FakeClock) -> None:
    """A success whose attempt is forgotten already changes nothing."""
    waits = AttemptLimiter(PER_USER, clock, remembered=1)
    waits.count_failure("ana")
    waits.count_failure("eva")
    waits.undo_failure("ana")
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_customer_is_one_address(address: str, network: str) -> None:
    """Whoever has 2^64 addresses does not get as many free attempts."""
    assert network_from_address(address) == network
