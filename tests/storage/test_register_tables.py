"""Do-not-call registers: the newest finished one of a country is in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from storage import contacts, do_not_call
from storage.contacts import Alias, AliasKind
from storage.db import Database
from storage.do_not_call import DoNotCallRegister
from storage.tx import Tx
from tests.helpers.services.database import open_database

AT = datetime(2026, 11, 20, tzinfo=UTC)
ANA, BETO = "aa" * 32, "bb" * 32


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database in which Ana is a contact."""
    async with open_database(tmp_path) as opened:
        alias = Alias("+5491141234567", ANA, AliasKind.PHONE)
        await opened.write(lambda tx: contacts.resolve_contact(tx, [alias], AT))
        yield opened


def add_register(
    tx: Tx, hashes: list[str], dated: date, *, country: str = "AR", finish: bool = True
) -> str:
    """Store a register with these lines; return its id."""
    register = do_not_call.begin_register(
        tx, country=country, dated=dated, filename="r.csv", who="ana", at=AT
    )
    do_not_call.insert_register_numbers(tx, register, hashes)
    if finish:
        do_not_call.finish_register(tx, register, AT)
    return register


async def is_ana_listed(database: Database) -> bool:
    """Return whether Ana's number stands in a register in force."""
    return await database.read(
        lambda r: do_not_call.is_in_register(
            r, contacts.find_contact_by_alias(r, "+5491141234567") or ""
        )
    )


async def get_current(database: Database, country: str = "AR") -> DoNotCallRegister | None:
    """Return the register of a country that is in force."""
    return await database.read(lambda r: do_not_call.get_register_in_force(r, country))


async def test_a_register_that_is_still_read_is_not_in_force(database: Database) -> None:
    """One that was cut short lists nobody, and its numbers go; those of the running one stay."""
    await database.write(lambda tx: add_register(tx, [ANA], date(2026, 11, 1), finish=False))
    running = await database.write(
        lambda tx: add_register(tx, [BETO], date(2026, 11, 2), finish=False)
    )
    assert not await is_ana_listed(database)
    assert await get_current(database) is None
    deleted = await database.write(
        lambda tx: do_not_call.delete_superseded_numbers(tx, 9, keep=running)
    )
    assert deleted == 1
    assert await database.read(lambda r: r.value("SELECT register FROM do_not_call_numbers")) == (
        running
    )


async def test_a_newer_register_takes_the_place_of_the_older(database: Database) -> None:
    """Who left the register is free again, and the old numbers are deleted."""
    await database.write(lambda tx: add_register(tx, [ANA, BETO], date(2026, 10, 1)))
    assert await is_ana_listed(database)
    await database.write(lambda tx: add_register(tx, [BETO, BETO], date(2026, 11, 1)))
    assert not await is_ana_listed(database)
    current = await get_current(database)
    assert current is not None
    assert (current.dated, current.numbers) == (date(2026, 11, 1), 1)
    assert await database.write(lambda tx: do_not_call.delete_superseded_numbers(tx, 1)) == 1
    assert await database.write(lambda tx: do_not_call.delete_superseded_numbers(tx, 9)) == 1
    assert await database.write(lambda tx: do_not_call.delete_superseded_numbers(tx, 9)) == 0


async def test_an_older_register_changes_nothing(database: Database) -> None:
    """One imported late is kept as a record; the newest by its date stays in force."""
    await database.write(lambda tx: add_register(tx, [ANA], date(2026, 11, 1)))
    await database.write(lambda tx: add_register(tx, [], date(2026, 10, 1)))
    assert await is_ana_listed(database)
    current = await get_current(database)
    assert current is not None
    assert current.dated == date(2026, 11, 1)


async def test_each_country_has_a_register_of_its_own(database: Database) -> None:
    """A register of Mexico replaces none of Argentina."""
    await database.write(lambda tx: add_register(tx, [ANA], date(2026, 10, 1)))
    await database.write(lambda tx: add_register(tx, [BETO], date(2026, 11, 1), country="MX"))
    assert await is_ana_listed(database)
    assert {(await get_current(database, each)).dated for each in ("AR", "MX")} == {  # type: ignore[union-attr]
        date(2026, 10, 1),
        date(2026, 11, 1),
    }
