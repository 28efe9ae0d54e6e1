"""Passwords: rules for new ones, argon2id hashes, and the throttled check at sign-in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import math
import secrets
import unicodedata
from collections import OrderedDict
from typing import Final

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.auth.errors import PasswordRefused, SignInFailed, SignInThrottled
from storage import audit, users
from storage.db import Database
from storage.tx import Tx
from storage.users import UserRecord

MIN_PASSWORD_LENGTH: Final = 12
STRONG_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""RFC 9106's second choice: 64 MiB, three rounds, about a quarter of a second."""


class Passwords:
    """Hashes and verifies passwords, in a thread, one at a time."""

    def __init__(self, hasher: PasswordHasher = STRONG_HASHER) -> None:
        self._hasher = hasher
        # Each hash takes 64 MiB: many attempts at once must not take all memory.
        self._semaphore = asyncio.Semaphore(1)
        self._dummy_hash = _build_dummy_hash(hasher)

    async def hash(self, password: str, user: str) -> str:
        """Return the hash of a new password; raise :class:`PasswordRefused` for a weak one."""
        plain = _normalise_password(password)
        if len(plain) < MIN_PASSWORD_LENGTH:
            raise PasswordRefused(f"The password is shorter than {MIN_PASSWORD_LENGTH} characters.")
        if plain.casefold() == user.casefold():
            raise PasswordRefused("The password is the user's name.")
        async with self._semaphore:
            return await asyncio.to_thread(self._hasher.hash, plain)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether `hashed` is of this password; False for None."""
        # Without a hash, one of nothing is compared: an unknown user must take as long as a known
        # one, or the time of the answer would show which names exist.
        async with self._semaphore:
            return await asyncio.to_thread(
                self._verify, _normalise_password(password), hashed or self._dummy_hash
            )

    def _verify(self, plain: str, hashed: str) -> bool:
        with contextlib.suppress(VerifyMismatchError):
            return self._hasher.verify(hashed, plain)
        return False


def _normalise_password(password: str) -> str:
    """Return the canonical form of a password; keyboards write `ñ` as one character or as two."""
    return unicodedata.normalize("NFKC", password)


def _build_dummy_hash(hasher: PasswordHasher) -> str:
    """Return a well-formed hash of no known password, without computing one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


MAX_REMEMBERED_KEYS: Final = 4096
"""How many users and how many addresses are remembered; the least recent ones are dropped."""
_FORGET_AFTER_SECONDS: Final = 3600.0
_IPV6_NETWORK_BITS: Final = 64


class ThrottlePolicy(Struct, frozen=True):
    """Free attempts, then waits of 1, 2, 4 … seconds up to the longest."""

    free: int
    longest: float

    def wait(self, attempts: int) -> float:
        """Return the seconds until the next attempt, after so many failures."""
        over = attempts - self.free
        # Bounded before the power: a float overflows at 2 ** 1024.
        return 0.0 if over < 0 else min(2.0 ** min(over, 32), self.longest)


PER_USER: Final = ThrottlePolicy(free=5, longest=60.0)
"""Short waits: somebody who guesses must not lock the user out for long."""
PER_ADDRESS: Final = ThrottlePolicy(free=10, longest=900.0)


class _Attempts(Struct):
    count: int
    next_at: float
    last_at: float


class AttemptLimiter:
    """Counts failed attempts by key, under one policy and in bounded memory."""

    def __init__(
        self, policy: ThrottlePolicy, clock: Clock, remembered: int = MAX_REMEMBERED_KEYS
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._remembered = remembered
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def get_seconds_left(self, key: str) -> float:
        """Return how many seconds this key must wait, or 0."""
        found = self._attempts.get(key)
        return max(0.0, found.next_at - self._clock.monotonic()) if found else 0.0

    def count_failure(self, key: str) -> None:
        """Count a failed attempt of a key."""
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
        """Remove a key's failures."""
        self._attempts.pop(key, None)

    def undo_failure(self, key: str) -> None:
        """Remove the last failure of a key; those before it stay."""
        if found := self._attempts.get(key):
            found.count -= 1
            found.next_at = self._clock.monotonic()

    def __len__(self) -> int:
        return len(self._attempts)


class SignInThrottle:
    """Limits how often passwords may be guessed."""

    def __init__(self, clock: Clock) -> None:
        self.users = AttemptLimiter(PER_USER, clock)
        self.addresses = AttemptLimiter(PER_ADDRESS, clock)

    def admit(self, user: str, address: str) -> None:
        """Count an attempt as failed; raise :class:`SignInThrottled` where it must wait."""
        # Counted before the password is checked: a hundred attempts at once are a hundred.
        network = network_from_address(address)
        if left := max(self.users.get_seconds_left(user), self.addresses.get_seconds_left(network)):
            raise SignInThrottled(math.ceil(left))
        self.users.count_failure(user)
        self.addresses.count_failure(network)

    def reset_after_success(self, user: str, address: str) -> None:
        """Remove a user's failures, and this attempt from those of the address."""
        # Not all of the address: a sign-in to one's own account between guesses at others would
        # make the guesses free.
        self.users.reset_failures(user)
        self.addresses.undo_failure(network_from_address(address))


def network_from_address(address: str) -> str:
    """Return the key of an address: itself, or its /64 network for IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - the version's name
        return str(parsed)
    # A customer of a provider has at least a whole /64, and so any number of addresses.
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK_BITS), strict=False))


log = structlog.get_logger("auth")

UNKNOWN_USER: Final = "nobody"
"""What the audit has in place of an unknown name: people type passwords there by mistake."""


class PasswordCheck:
    """Checks a user's password, throttled and audited."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._throttle = SignInThrottle(clock)

    async def check(self, name: str, password: str, address: str) -> UserRecord:
        """Return the user; raise :class:`SignInFailed` or :class:`SignInThrottled`.

        `address` is the client's IP address.
        """
        try:
            self._throttle.admit(name, address)
        except SignInThrottled as error:
            log.warning("sign_in_throttled", address=address, seconds=error.seconds)
            raise
        user = await self._database.read(lambda reader: users.get_user(reader, name))
        active = user if user and user.disabled_at is None else None
        fits = await self._passwords.verify(password, active.password_hash if active else None)
        if active is None or not fits:
            await self._audit_failure(user.name if user else UNKNOWN_USER, address)
            # One sentence for all causes, so that it does not tell which names exist.
            raise SignInFailed("The user name or the password is wrong.")
        self._throttle.reset_after_success(name, address)
        return active

    async def _audit_failure(self, subject: str, address: str) -> None:
        log.warning("sign_in_failed", user=subject, address=address)
        now = self._clock.now()

        def job(tx: Tx) -> None:
            audit.insert_audit_entry(
                tx, now, UNKNOWN_USER, "fail_sign_in", subject, detail={"address": address}
            )

        await self._database.write(job)
