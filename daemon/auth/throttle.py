"""How soon the next attempt to sign in is looked at: waits that grow, per user and per address."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from daemon.api.clock import Clock
from daemon.auth.refusals import SignInThrottled

MAX_REMEMBERED_KEYS: Final = 4096
"""How many users and how many addresses are remembered; the longest idle go first."""
_FORGET_AFTER_SECONDS: Final = 3600.0
_IPV6_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class ThrottlePolicy:
    """So many free attempts, then waits of 1, 2, 4 … seconds up to the longest."""

    free: int
    longest: float

    def wait(self, attempts: int) -> float:
        """Return the seconds until the next attempt, after so many that failed."""
        over = attempts - self.free
        return 0.0 if over < 0 else min(2.0 ** min(over, 32), self.longest)


PER_USER: Final = ThrottlePolicy(free=5, longest=60.0)
"""Short waits: whoever guesses at a name must not keep its owner out for long."""
PER_ADDRESS: Final = ThrottlePolicy(free=10, longest=900.0)


@dataclass(slots=True)
class _Attempts:
    count: int
    next_at: float
    last_at: float


class AttemptLimiter:
    """The attempts of many keys under one policy, in bounded memory."""

    def __init__(
        self, policy: ThrottlePolicy, clock: Clock, remembered: int = MAX_REMEMBERED_KEYS
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._remembered = remembered
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def get_seconds_left(self, key: str) -> float:
        """Return how many seconds this key must wait; 0 when it need not."""
        found = self._attempts.get(key)
        return max(0.0, found.next_at - self._clock.monotonic()) if found else 0.0

    def count_failure(self, key: str) -> None:
        """Count an attempt as failed, before anybody knows."""
        now = self._clock.monotonic()
        found = self._attempts.pop(key, None)
        if found is None or now - found.last_at > _FORGET_AFTER_SECONDS:
            found = _Attempts(0, now, now)
        found.count += 1
        found.last_at, found.next_at = now, now + self._policy.wait(found.count)
        self._attempts[key] = found
        if len(self._attempts) > self._remembered:
            self._attempts.popitem(last=False)

    def reset_failures(self, key: str) -> None:
        """Forget a key's attempts."""
        self._attempts.pop(key, None)

    def undo_failure(self, key: str) -> None:
        """Count the last attempt as none; those before it stay."""
        if found := self._attempts.get(key):
            found.count -= 1
            found.next_at = self._clock.monotonic()

    def __len__(self) -> int:
        return len(self._attempts)


class SignInThrottle:
    """Guards the door against guessing."""

    def __init__(self, clock: Clock) -> None:
        self.users = AttemptLimiter(PER_USER, clock)
        self.addresses = AttemptLimiter(PER_ADDRESS, clock)

    def admit(self, user: str, address: str) -> None:
        """Count an attempt before it is looked at; raise :class:`Throttled` where it must wait.

        Counting first means that a hundred attempts at once are a hundred attempts.
        """
        network = network_from_address(address)
        if left := max(self.users.get_seconds_left(user), self.addresses.get_seconds_left(network)):
            raise SignInThrottled(math.ceil(left))
        self.users.count_failure(user)
        self.addresses.count_failure(network)

    def reset_after_success(self, user: str, address: str) -> None:
        """Forget a user's failures once they came in.

        Of the address only this attempt is taken back: else one account of one's own would buy
        any number of guesses at others.
        """
        self.users.reset_failures(user)
        self.addresses.undo_failure(network_from_address(address))


def network_from_address(address: str) -> str:
    """Return whom an address stands for: of IPv6 a whole network, which one customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - the version's name
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))
