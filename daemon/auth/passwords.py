"""Passwords: the rules for new ones, and argon2id, one at a time and beside the loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from daemon.auth.refusals import PasswordRefused

MIN_PASSWORD_LENGTH: Final = 12
STRONG_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""64 MiB, three rounds: about a quarter of a second."""


class Passwords:
    """Makes hashes and compares with them.

    One at a time: each takes 64 MiB, and a crowd at the door must not take the memory of all else.
    """

    def __init__(self, hasher: PasswordHasher = STRONG_HASHER) -> None:
        self._hasher = hasher
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
        """Whether this is the password; where there is none (None) it takes as long to say no."""
        async with self._semaphore:
            return await asyncio.to_thread(
                self._verify, _normalise_password(password), hashed or self._dummy_hash
            )

    def _verify(self, plain: str, hashed: str) -> bool:
        with contextlib.suppress(VerifyMismatchError):
            return self._hasher.verify(hashed, plain)
        return False


def _normalise_password(password: str) -> str:
    """Return one form for what keyboards write in several: `ñ` is one letter or two."""
    return unicodedata.normalize("NFKC", password)


def _build_dummy_hash(hasher: PasswordHasher) -> str:
    """Return a well-formed hash that nothing is known to fit, without computing one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()
        for length in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
