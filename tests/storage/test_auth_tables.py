"""The tables of users, tokens and sign-ins: what each question and each change promises."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from storage import tokens, users
from storage.db import Database
from storage.tokens import TokenRecord
from storage.tx import Tx
from tests.helpers.clock import MIDDAY
from tests.helpers.services.database import open_database

LATER = MIDDAY + timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Return a database with the users ana and eva."""
    async with open_database(tmp_path) as opened:
        await opened.write(lambda tx: users.insert_user(tx, "ana", "admin", "hash", MIDDAY))
        await opened.write(lambda tx: users.insert_user(tx, "eva", "viewer", None, MIDDAY))
        yield opened


def token(name: str, user: str = "ana") -> TokenRecord:
    """Return a token's record."""
    return TokenRecord(name, user, "crm", ("rules:read",), "root", MIDDAY, LATER)


async def test_a_name_is_taken_once(database: Database) -> None:
    """A second insert changes nothing and says so."""
    again = await database.write(lambda tx: users.insert_user(tx, "ana", "viewer", None, LATER))
    found = await database.read(lambda reader: users.get_user(reader, "ana"))
    assert (again, found and found.role) == (False, "admin")
    assert [user.name for user in await database.read(users.list_users)] == ["ana", "eva"]


async def test_a_role_is_one_of_three(database: Database) -> None:
    """The table refuses a word that no code knows."""
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(lambda tx: users.set_user_role(tx, "ana", "emperor"))


async def test_a_token_stands_while_row_and_user_do(database: Database) -> None:
    """Another user's name, a revocation or a disabled user end it."""

    def story(tx: Tx) -> list[bool]:
        def stands(user: str = "ana") -> bool:
            return tokens.get_active_token(tx, "t1", user) is not None

        tokens.insert_token(tx, token("t1"))
        seen = [stands(), stands("eva")]
        users.set_user_disabled(tx, "ana", LATER)
        seen.append(stands())
        users.set_user_disabled(tx, "ana", None)
        seen.append(stands())
        seen.append(tokens.revoke_token(tx, "t1", LATER))
        seen.append(tokens.revoke_token(tx, "t1", LATER))
        seen.append(stands())
        return seen

    assert await database.write(story) == [True, False, False, True, True, False, False]


async def test_all_of_a_users_tokens_and_no_others(database: Database) -> None:
    """Revoking one person's leaves another's."""

    def story(tx: Tx) -> tuple[int, int]:
        for record in (token("t1"), token("t2"), token("t3", "eva")):
            tokens.insert_token(tx, record)
        return tokens.revoke_user_tokens(tx, "ana", LATER), tokens.revoke_user_tokens(
            tx, "ana", LATER
        )

    assert await database.write(story) == (2, 0)
    left = await database.read(lambda reader: tokens.get_active_token(reader, "t3", "eva"))
    assert left is not None
    assert left.role == "viewer"


async def test_one_key_signs_at_any_time(database: Database) -> None:
    """The table itself refuses a second; taking over retires the first."""

    def story(tx: Tx) -> list[bool]:
        return [
            tokens.activate_signing_key(tx, "k1", b"1", MIDDAY),
            tokens.activate_signing_key(tx, "k1", b"1", MIDDAY),
            tokens.activate_signing_key(tx, "k2", b"2", LATER),
        ]

    assert await database.write(story) == [True, False, True]
    first, second = await database.read(tokens.list_signing_keys)
    assert (first.kid, first.retired_at) == ("k1", LATER)
    assert (second.kid, second.retired_at) == ("k2", None)
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(
            lambda tx: (
                tx.execute(
                    "INSERT INTO signing_keys (kid, public_key, since) VALUES ('k3', x'03', '')"
                ).rowcount
            )
        )
    assert await database.write(lambda tx: tokens.delete_retired_signing_keys(tx, LATER)) == 1


async def test_a_sign_in_holds_until_either_end(database: Database) -> None:
    """Idle or over: at the very moment it counts no more."""
    ends = MIDDAY + timedelta(hours=3)

    def story(tx: Tx) -> list[bool]:
        def holds(minutes: int) -> bool:
            at = MIDDAY + timedelta(minutes=minutes)
            return users.get_current_sign_in(tx, "s1", at) is not None

        users.insert_sign_in(tx, "s1", "ana", MIDDAY, LATER, ends)
        seen = [holds(59), holds(60)]
        users.record_sign_in_use(tx, "s1", MIDDAY, ends + timedelta(hours=9))
        seen += [holds(179), holds(180)]
        return seen

    assert await database.write(story) == [True, False, True, False]


async def test_signing_out_everywhere_spoils_links_too(database: Database) -> None:
    """A link that is on its way would undo it."""

    def story(tx: Tx) -> tuple[int, str | None]:
        users.insert_sign_in(tx, "s1", "ana", MIDDAY, LATER, LATER)
        users.insert_sign_in_link(tx, "l1", "ana", "root", MIDDAY, LATER)
        return users.delete_user_sign_ins(tx, "ana"), users.redeem_sign_in_link(tx, "l1", MIDDAY)

    assert await database.write(story) == (1, None)
