"""What the doctor finds in the database: whether the past is known, and how old registers are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from daemon.cli.doctor_checks import check_history, check_registers
from daemon.cli.doctor_finding import DoctorFinding
from daemon.settings import DaemonSettings, Settings
from storage import do_not_call, history
from storage.column_formats import utc_now
from storage.history import HistoryDeclaration
from storage.tx import Tx
from tests.helpers.services.database import open_database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation in a folder of its own."""
    return Settings(daemon=DaemonSettings(state_dir=str(tmp_path / "state")))


async def write(settings: Settings, *jobs: Callable[[Tx], None]) -> None:
    """Open the database, and write."""
    async with open_database(settings.state_dir) as database:
        for job in jobs:
            await database.write(job)


def insert_register(country: str, dated: date) -> Callable[[Tx], None]:
    """Return the job that stores a register with one number."""

    def job(tx: Tx) -> None:
        at = utc_now()
        register = do_not_call.begin_register(
            tx, country=country, dated=dated, filename="r.csv", who="eva", at=at
        )
        do_not_call.insert_register_numbers(tx, register, ["ab" * 32])
        do_not_call.finish_register(tx, register, at)

    return job


def declare(tx: Tx) -> None:
    """Store that there is no history."""
    history.insert_history_declaration(tx, HistoryDeclaration(utc_now(), "eva", "a new firm"))


async def test_the_doctor_says_that_the_past_is_not_known(settings: Settings) -> None:
    """With the commands that mend it, until it is; without a database it says nothing."""
    assert list(check_history(settings)) == []
    await write(settings)
    [finding] = check_history(settings)
    assert finding.grade == "warn"
    assert finding.command == "leadmaster history import FILE"
    assert "leadmaster history none" in finding.hint
    await write(settings, declare)
    [finding] = check_history(settings)
    assert finding.hint == ""


async def test_the_doctor_warns_of_a_register_older_than_30_days(settings: Settings) -> None:
    """With what waits for a newer one, and the command."""
    await write(settings)
    [none] = check_registers(settings)
    assert "No do-not-call register" in none.sentence
    today = datetime.now(utc_now().tzinfo).date()
    await write(
        settings,
        insert_register("AR", today - timedelta(days=31)),
        insert_register("MX", today - timedelta(days=30)),
    )
    old, fresh = check_registers(settings)
    assert (old.grade, "31 days ago" in old.sentence) == ("warn", True)
    assert "wait for a newer one" in old.sentence
    assert "--country AR" in old.command
    assert fresh == DoctorFinding(
        "register",
        ok=True,
        sentence=f"The do-not-call register of MX is of {today - timedelta(days=30)}, 30 days ago.",
    )
