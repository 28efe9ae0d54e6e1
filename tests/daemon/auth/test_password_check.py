"""Passwords: argon2id as it should be, rules for new ones, and no word about who is there."""

from __future__ import annotations

import asyncio
import threading
import time
import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from daemon.auth import Role
from daemon.auth.errors import PasswordRefused, SignInFailed, SignInThrottled
from daemon.auth.password_check import STRONG_HASHER, Passwords
from tests.helpers.client.auth import FAST_HASHER, PASSWORD, AuthServices


async def test_hashes_are_argon2id_with_64_mib() -> None:
    """The parameters stand in each hash, and the right password fits it."""
    passwords = Passwords()
    hashed = await passwords.hash(PASSWORD, "ana")
    parameters = extract_parameters(hashed)
    assert (parameters.type, parameters.memory_cost) == (Type.ID, 64 * 1024)
    assert await passwords.verify(PASSWORD, hashed)
    assert not await passwords.verify(PASSWORD + "!", hashed)


@pytest.mark.parametrize("hasher", [STRONG_HASHER, FAST_HASHER])
def test_the_hash_of_nobody_costs_as_much(hasher: PasswordHasher) -> None:
    """What is compared for unknown users has the parameters of everybody's."""
    nobody = Passwords(hasher)._dummy_hash  # noqa: SLF001 - what it is made for can't be timed here
    assert extract_parameters(nobody) == extract_parameters(hasher.hash("x"))


async def test_an_unknown_user_is_compared_like_a_known_one() -> None:
    """Without a hash the comparison takes place all the same, and says no."""
    assert not await Passwords(FAST_HASHER).verify(PASSWORD, None)


@pytest.mark.parametrize("weak", ["", "eleven-char", "administradora", "AdministraDora"])
async def test_weak_passwords_are_refused(weak: str) -> None:
    """Too short, or the user's own name in any letters."""
    with pytest.raises(PasswordRefused):
        await Passwords(FAST_HASHER).hash(weak, "administradora")


async def test_the_same_letters_are_the_same_password() -> None:
    """One keyboard writes `ñ` as one letter, another as two."""
    passwords = Passwords(FAST_HASHER)
    hashed = await passwords.hash(unicodedata.normalize("NFC", "mañana será otro"), "ana")
    assert await passwords.verify(unicodedata.normalize("NFD", "mañana será otro"), hashed)


class Counting(PasswordHasher):
    """A hasher that sees how many work at once, and in which thread."""

    def __init__(self) -> None:
        """Be cheap, and slow enough to meet another."""
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.busy = self.most = 0
        self.threads: set[int] = set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Work for a while."""
        self.busy += 1
        self.most = max(self.most, self.busy)
        self.threads.add(threading.get_ident())
        time.sleep(0.01)
        self.busy -= 1
        return super().hash(password, salt=salt)


async def test_one_at_a_time_and_beside_the_loop() -> None:
    """A crowd at the door takes 64 MiB in all, and the loop goes on."""
    hasher = Counting()
    passwords = Passwords(hasher)
    await asyncio.gather(*(passwords.hash(PASSWORD, "ana") for _ in range(5)))
    assert hasher.most == 1
    assert threading.get_ident() not in hasher.threads


async def test_unknown_disabled_and_wrong_are_one_answer(services: AuthServices) -> None:
    """Nobody learns which names there are."""
    await services.create_user("ana")
    await services.create_user("eva", Role.VIEWER)
    await services.auth.users.disable("eva", "ana")
    await services.auth.users.create_user("link-only", Role.VIEWER, "ana")
    sentences = set()
    for name, password in [
        ("ana", "wrong password"),
        ("eva", PASSWORD),
        ("link-only", PASSWORD),
        ("stranger", PASSWORD),
    ]:
        with pytest.raises(SignInFailed) as caught:
            await services.auth.password_check.check(name, password, "192.0.2.1")
        sentences.add(str(caught.value))
    assert len(sentences) == 1


async def test_failures_are_audited_without_what_was_typed(services: AuthServices) -> None:
    """A known name is kept; of an unknown one nothing: it may be a password in the wrong field."""
    await services.create_user()
    for name in ("ana", "my secret password"):
        with pytest.raises(SignInFailed):
            await services.auth.password_check.check(name, "x", "192.0.2.1")
    assert await services.list_audited_actions("ana") == ["create_user", "fail_sign_in"]
    assert await services.list_audited_actions("nobody") == ["fail_sign_in"]
    assert await services.list_audited_actions("my secret password") == []


async def test_a_right_password_waits_too(services: AuthServices) -> None:
    """Within a wait nothing is looked at; after it the owner gets in and starts afresh."""
    await services.create_user()
    for _ in range(5):
        with pytest.raises(SignInFailed):
            await services.auth.password_check.check("ana", "wrong", "192.0.2.1")
    with pytest.raises(SignInThrottled):
        await services.auth.password_check.check("ana", PASSWORD, "192.0.2.1")
    await services.clock.advance(1)
    assert (await services.auth.password_check.check("ana", PASSWORD, "192.0.2.1")).name == "ana"
    for _ in range(4):
        with pytest.raises(SignInFailed):
            await services.auth.password_check.check("ana", "wrong", "192.0.2.1")


async def test_the_wait_is_said_over_http(services: AuthServices) -> None:
    """429 with Retry-After; the proxy's word for the address is what counts."""
    await services.create_user()
    for _ in range(5):
        await services.public.call("POST", "/v1/sign-in", user="ana", password="wrong")
    reply = await services.public.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)
    assert (reply.status, reply.code, reply.headers["Retry-After"]) == (
        429,
        "sign_in_throttled",
        "1",
    )


async def test_addresses_behind_the_proxy_are_told_apart(services: AuthServices) -> None:
    """One client's failures do not keep another out."""
    await services.create_user()
    one = services.public.with_headers(X_Forwarded_For="192.0.2.1")
    for number in range(10):
        await one.call("POST", "/v1/sign-in", user=f"u{number}", password="wrong")
    refused = await one.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)
    assert refused.code == "sign_in_throttled"
    other = services.public.with_headers(X_Forwarded_For="192.0.2.1, 198.51.100.2")
    reply = await other.call("POST", "/v1/sign-in", user="ana", password=PASSWORD)
    assert reply.status == 200
