"""What is known of the backups, where its file is broken: said, told, and read anew from copies."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from daemon.alerts.conditions import DaemonState, find_unqueried_conditions
from daemon.backup.errors import BackupFailed
from daemon.backup.keys import KEY_FILE
from daemon.backup.requests import (
    MakeCopyRequest,
    MakeKeyRequest,
    RefreshRequest,
    ask_backup,
)
from daemon.backup.service import BackupService
from daemon.backup.status import (
    BackupFailure,
    BackupStatus,
    SealedCopy,
    find_last_copy,
    list_concerns,
    read_status,
    write_status,
)
from daemon.cli.doctor_checks import check_backups
from daemon.errors import Conflict
from daemon.settings import BackupSettings, DaemonSettings, Settings
from statemachines.vocabulary import AlertCode
from storage.column_formats import utc_now
from storage.state_folder import StateFolder
from tests.helpers.backups import Installation
from tests.helpers.clock import FakeClock
from tests.helpers.services.database import open_database

COPIES = ("leadmaster-20260302T150000Z.age", "leadmaster-20260301T150000Z.age")
AHEAD = "leadmaster-20990601T000000Z.age"
NO_MOMENTS = ("leadmaster-20261301T000000Z.age", "leadmaster-20990230T000000Z.age")
OTHER_FILES = ("leadmaster-old.age", "notes.txt")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with a key and two copies, of which nothing is known any more."""
    settings = Settings(daemon=DaemonSettings(state_dir=str(tmp_path / "state")))
    settings.backup_dir.mkdir(parents=True)
    asyncio.run(ask_backup(settings, MakeKeyRequest()))
    for name in (*COPIES, *OTHER_FILES):
        (settings.backup_dir / name).write_bytes(b"sealed")
    break_status(settings, "{")
    return settings


def break_status(settings: Settings, content: str | None) -> None:
    """Replace the file of what is known; without content by a folder, which can't be read."""
    path = StateFolder(settings.state_dir).backup_status
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_text(content, encoding="utf-8")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"key_row": "x"}', "\0" * 64])
def test_a_file_that_cannot_be_read_is_no_file_that_is_not_there(
    settings: Settings, content: str | None
) -> None:
    """It is an alert and a failure of the doctor, with the file and the command that heals it."""
    break_status(settings, content)
    status, now = read_status(settings), utc_now()
    concerns = list_concerns(status, now, now)
    [told] = find_unqueried_conditions(DaemonState((), None, concerns, None), now)
    [found] = check_backups(settings)
    assert (told.code, told.sentence) == (AlertCode.BACKUP_FAILED, found.sentence)
    assert str(StateFolder(settings.state_dir).backup_status) in found.sentence
    assert (found.ok, found.command) == (False, "leadmaster backup now")
    assert told.since <= now

    (settings.state_dir / "another").mkdir()
    other = Settings(daemon=DaemonSettings(state_dir=str(settings.state_dir / "another")))
    assert read_status(other) == BackupStatus()
    assert [each.ok for each in check_backups(other)] == [True]


def test_the_first_backup_is_late_a_day_after_its_key() -> None:
    """Whoever made the key has the time to print it; that there is no backup is said at once."""
    made_at = utc_now() - timedelta(days=1)
    status = BackupStatus(recipient="age1", key_made_at=made_at, key_confirmed_at=made_at)

    def find_alerts(now: datetime) -> list[tuple[AlertCode, datetime]]:
        # By the key: a daemon that is started each day would never tell it.
        concerns = list_concerns(status, now, now)
        assert [each.sentence for each in concerns] == ["There is no backup."]
        found = find_unqueried_conditions(DaemonState((), None, concerns, None), now)
        return [(each.code, each.since) for each in found]

    in_time = made_at + timedelta(hours=26)
    assert find_alerts(made_at) == []
    assert find_alerts(in_time) == []
    late = (AlertCode.BACKUP_LATE, made_at)
    assert find_alerts(in_time + timedelta(seconds=1)) == [late]


def test_no_key_is_made_meanwhile(settings: Settings) -> None:
    """Neither where a program asks the backup's, nor by the daemon: a sheet would be void."""
    key = settings.backup_dir / KEY_FILE
    before = key.read_bytes()
    with pytest.raises(Conflict, match=r"backup\.json") as refused:
        asyncio.run(ask_backup(settings, MakeKeyRequest(replace=True)))
    assert refused.value.hint.endswith("leadmaster backup now")
    assert key.read_bytes() == before


def test_no_list_is_empty_meanwhile(settings: Settings, tmp_path: Path) -> None:
    """The command says which file it could not read, and what to do."""
    config = tmp_path / "leadmaster.toml"
    config.write_text(f'[daemon]\nstate_dir = "{settings.state_dir}"\n', encoding="utf-8")
    for option in ((), ("--json",)):
        listed = Installation(config).run("backup", "list", *option)
        assert (listed.status, "backup.json" in listed.err) == (2, True), listed
        assert " backup now" in listed.err


def test_what_is_known_is_read_anew_from_the_copies(settings: Settings) -> None:
    """Each copy is listed again; that nobody knows whether it was tested is not made up."""
    status = asyncio.run(ask_backup(settings, RefreshRequest())).status
    assert (status.unreadable, status.failure) == (None, None)
    assert status.key_made_at is not None
    assert [(each.name, each.tested_at) for each in status.copies] == [(n, None) for n in COPIES]
    assert [f"{each.made_at:%d %H}" for each in status.copies] == ["02 15", "01 15"]
    assert {each.bytes for each in status.copies} == {len(b"sealed")}
    [told, *_] = _list_copy_sentences(status)
    assert told == "None of the backups was tested before now."


def test_a_file_with_a_copy_s_name_delays_no_backup(settings: Settings, tmp_path: Path) -> None:
    """Nor one that was made while the clock was ahead: only what was tested before now counts."""
    (tmp_path / "usb").mkdir()
    settings = msgspec.structs.replace(
        settings, backup=BackupSettings(target=str(tmp_path / "usb"))
    )
    for name in (AHEAD, *NO_MOMENTS):
        (settings.backup_dir / name).touch()

    async def look() -> tuple[BackupStatus, datetime | None]:
        async with open_database(settings.state_dir) as database:
            clock = FakeClock(utc_now())
            service = BackupService(settings, database, clock)
            await service.make_due_copy()
            await clock.leap(600)
            status = service.read_status()
            return status, service.find_next(status)

    status, due = asyncio.run(look())
    assert status.failure is None
    ahead, made = status.copies
    assert (ahead.name, ahead.tested_at, made.tested_at is None) == (AHEAD, None, False)
    assert (tmp_path / "usb" / made.name).exists()
    assert due == made.made_at + timedelta(days=1)


def test_the_last_backup_is_the_last_one_that_was_tested_before_now() -> None:
    """By it a backup is late, whatever lies beside it."""
    now = utc_now()
    made = SealedCopy("made", now - timedelta(hours=27), 1, now - timedelta(hours=27), {}, 0)
    moment = now + timedelta(days=180)
    others = (SealedCopy("a", moment, 1, moment, {}, 0), SealedCopy("b", now, 0, None, {}, 0))
    status = BackupStatus("age1", made.made_at, made.made_at, copies=(*others, made))
    assert find_last_copy(status, now) == made
    [concern] = list_concerns(status, now, now)
    assert (concern.code, concern.since) == ("backup_late", made.made_at)
    assert _list_copy_sentences(status) == [f"The last backup is of {made.made_at:%F %H:%M} UTC."]
    just_made = msgspec.structs.replace(status, copies=(SealedCopy("c", now, 1, now, {}, 0),))
    assert find_last_copy(just_made, now) is not None


def _list_copy_sentences(status: BackupStatus) -> list[str]:
    now = utc_now()
    found = list_concerns(status, now, now)
    return [each.sentence for each in found if each.code in {"backup_late", "backup_none"}]


def test_what_a_person_should_do_is_said_beside_the_command(settings: Settings) -> None:
    """Also where it names no command, which the doctor then takes for the settings' editor."""
    failure = BackupFailure(utc_now(), "The target /usb is not there.", "Mount it.")
    status = BackupStatus("age1", utc_now(), utc_now(), failure=failure)
    write_status(settings, status)
    failed, none = check_backups(settings)
    assert (failed.hint, failed.command) == ("Mount it.", "editor /etc/leadmaster/leadmaster.toml")
    assert (none.hint, none.command) == ("", "leadmaster backup now")


def test_a_key_that_cannot_be_read_fails_each_backup_until_another_is_made(
    settings: Settings,
) -> None:
    """It is told at once, with the command; what was known before is kept."""
    known = asyncio.run(ask_backup(settings, RefreshRequest())).status
    (settings.backup_dir / KEY_FILE).write_text("{", encoding="utf-8")
    for request in (MakeCopyRequest(), MakeKeyRequest()):
        with pytest.raises(BackupFailed, match=r"key\.json"):
            asyncio.run(ask_backup(settings, request))
    status, now = read_status(settings), utc_now()
    assert (status.recipient, status.copies) == (known.recipient, known.copies)
    assert status.failure is not None
    failed = next(each for each in check_backups(settings) if "key.json" in each.sentence)
    assert failed.command == "leadmaster backup key --replace"
    [told] = find_unqueried_conditions(
        DaemonState((), None, [list_concerns(status, now, now)[1]], None), now
    )
    assert told.code == AlertCode.BACKUP_FAILED
    assert asyncio.run(ask_backup(settings, MakeKeyRequest(replace=True))).key is not None
    assert asyncio.run(ask_backup(settings, RefreshRequest())).status.recipient != known.recipient


def test_what_is_known_of_a_copy_is_kept(settings: Settings) -> None:
    """A copy that was put into the folder by hand is listed beside what is known of the others."""
    known = asyncio.run(ask_backup(settings, RefreshRequest())).status
    write_status(settings, BackupStatus(copies=known.copies[1:], last_tested_restore=utc_now()))
    again = asyncio.run(ask_backup(settings, RefreshRequest())).status
    assert again.copies == known.copies
    assert again.last_tested_restore is not None
    stored = json.loads(StateFolder(settings.state_dir).backup_status.read_bytes())
    assert stored["unreadable"] is None
