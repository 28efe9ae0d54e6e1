"""`leadmaster backup` on a running daemon: the key, a copy, what is wrong, and `age` without us."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import subprocesses
from daemon.backup.copies import list_copies
from daemon.errors import NotFound
from tests.helpers.backups import Installation, read_private_key
from tests.helpers.client.process import DaemonProcess, poll_until

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[rules]
dir = "{folder}/rules.d"
[backup]
target = "{folder}/usb"
"""
OWN_COMMAND = """#!/bin/sh
# An owner's command: it sees the folder of the sealed copies, and gets nothing else.
cp "$1"/*.age {folder}/taken/
"""


@contextlib.contextmanager
def run_house(folder: Path, more_settings: str = "") -> Iterator[DaemonProcess]:
    """Run a daemon with a real clock, a rule file, and a second folder for its copies."""
    for name in ("usb", "rules.d"):
        (folder / name).mkdir()
    (folder / "rules.d" / "gate.yaml").write_text("format: leadmaster/gate@1\n", encoding="utf-8")
    daemon = DaemonProcess(folder, SETTINGS.format(folder=folder) + more_settings)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with a confirmed key and a copy."""
    with run_house(tmp_path_factory.mktemp("backup")) as daemon:
        installation = Installation(daemon.config)
        installation.make_key(daemon.folder / "sheet")
        installation.succeed("backup", "now")
        yield daemon


@pytest.fixture
def installation(house: DaemonProcess) -> Installation:
    """Its command line."""
    return Installation(house.config)


def list_warnings(house: DaemonProcess) -> set[str]:
    """Return the codes of what `status` says about the backups."""
    warnings = house.client.get("status")["warnings"]
    return {each["code"] for each in warnings if each["code"].startswith("backup")}


def list_findings(installation: Installation) -> list[str]:
    """Return what `doctor` says about the backups."""
    found = installation.run("doctor", "--json").document["findings"]
    return [each["sentence"] for each in found if each["check"] == "backup"]


def test_a_key_a_copy_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    """Until the key is made, printed and confirmed, and a copy is elsewhere, it is said."""
    with run_house(tmp_path) as house:
        installation, sheet = Installation(house.config), tmp_path / "sheet"
        assert list_warnings(house) == {"backup_no_key"}
        assert "no key" in list_findings(installation)[0]
        refused = installation.run("backup", "now")
        assert (refused.status, "backup_key_missing" in refused.err) == (2, True)
        sheet.write_text(installation.succeed("backup", "key"), encoding="utf-8")
        assert "backup_key_unconfirmed" in list_warnings(house)
        wrong = installation.run("backup", "key", "--confirm", text="AAAA")
        assert (wrong.status, "backup_key_wrong" in wrong.err) == (2, True)
        installation.make_key(sheet)

        house.client.post("suppressions", phone="+5491155550101", reason="they asked me")
        made = json.loads(installation.succeed("backup", "now", "--json"))
        assert (made["counts"]["opt_outs"] > 0, made["logins"]) == (True, 0)
        report = house.client.get("backups")
        assert report["status"]["last_tested_restore"] == made["tested_at"]
        assert report["next_at"] > made["made_at"]
        # Both folders are on the disk of the state folder.
        assert list_warnings(house) == {"backup_burns_with_server"}
        assert any("burns with this server" in each for each in list_findings(installation))
        audit = json.dumps(house.client.get("audit"))
        assert all(word in audit for word in ("make_backup", "confirm_backup_key"))


def test_the_real_age_opens_a_copy_without_us(house: DaemonProcess) -> None:
    """Debian's `age` and `tar`: the database is whole, and every file is private."""
    age = shutil.which("age")
    assert age is not None, "Install the package age: make packages"
    [name, *_] = list_copies(house.folder / "usb")
    sealed = house.folder / "usb" / name
    assert b"SQLite" not in sealed.read_bytes()
    key = house.folder / "age.key"
    key.write_text(read_private_key(house.folder / "sheet"), encoding="utf-8")
    opened = house.folder / "opened"
    opened.mkdir()
    plain = subprocess.run(
        [age, "--decrypt", "--identity", str(key), str(sealed)], capture_output=True, check=True
    )
    subprocess.run(["tar", "-xz", "-C", str(opened)], input=plain.stdout, check=True)
    found = {path.relative_to(opened).as_posix() for path in opened.rglob("*") if path.is_file()}
    assert {
        "manifest.json",
        "state/leadmaster.db",
        "state/suppressions.journal",
        "state/suppressions.key",
        "state/token.key",
        "rules/gate.yaml",
        "files/0",
    } <= found
    assert (opened / "files" / "0").read_text() == house.config.read_text()
    modes = {path.stat().st_mode & 0o077 for path in house.state_dir.rglob("*")}
    assert modes | {sealed.stat().st_mode & 0o077} == {0}


def test_a_sealed_copy_is_tested_with_the_key_alone(
    house: DaemonProcess, installation: Installation
) -> None:
    """`doctor --backup` counts what is in it; another key and a damaged file are refused."""
    [name, *_] = list_copies(house.folder / "usb")
    sealed, key = house.folder / "usb" / name, read_private_key(house.folder / "sheet")
    said = installation.succeed("doctor", "--backup", str(sealed), text=key)
    assert "0 contacts" in said
    other = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    for typed, code in ((other, "backup_key_wrong"), (key[:-1], "backup_key_wrong")):
        refused = installation.run("doctor", "--backup", str(sealed), text=typed)
        assert (refused.status, code in refused.err) == (2, True), refused.err
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = house.folder / "damaged.age"
    damaged.write_bytes(content)
    refused = installation.run("backup", "test", str(damaged), text=key)
    assert (refused.status, "backup_unreadable" in refused.err) == (2, True)
    assert not list(house.state_dir.glob("backup-test-*"))


def test_a_copy_is_downloaded_as_it_is_and_audited(house: DaemonProcess) -> None:
    """In parts, the same bytes, under its name alone; what is no copy is never read."""
    [name, *_] = list_copies(house.folder / "usb")
    long = house.state_dir / "copies" / "leadmaster-20250101T000000Z.age"
    long.write_bytes(os.urandom((1 << 20) + 7))
    try:
        assert house.client.download("backups", long.name) == long.read_bytes()
    finally:
        long.unlink()
    content = house.client.download("backups", name)
    assert content == (house.folder / "usb" / name).read_bytes()
    for other in ("key.json", "leadmaster-20010101T000000Z.age", "../state/leadmaster.db"):
        with pytest.raises(NotFound):
            house.client.download("backups", other)
    found = [each["entry"] for each in house.client.get("audit")["items"]]
    downloads = [each["subject"] for each in found if each["action"] == "download_backup"]
    assert downloads == [name, long.name]


def test_a_target_that_is_not_mounted_is_said_and_the_copy_is_kept(
    house: DaemonProcess, installation: Installation
) -> None:
    """It is never made: a folder in its place would be on the server's own disk."""
    usb = house.folder / "usb"
    usb.rename(house.folder / "away")
    refused = installation.run("backup", "now")
    assert "is not there" in refused.err
    assert not usb.exists()
    assert "backup_failed" in list_warnings(house)
    here, there = list_copies(house.state_dir / "copies"), list_copies(house.folder / "away")
    assert here[0] > there[0]
    (house.folder / "away").rename(usb)
    installation.succeed("backup", "now")
    assert "backup_failed" not in list_warnings(house)


def test_the_sealed_journal_follows_an_opt_out(house: DaemonProcess) -> None:
    """Within a minute, though no backup is due."""
    sealed = house.folder / "usb" / "suppressions.journal.age"
    before = sealed.stat().st_mtime_ns
    house.client.post("suppressions", phone="+5491155550102", reason="they asked me")
    poll_until(lambda: sealed.stat().st_mtime_ns > before, "the sealed journal")
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")


def test_copies_are_taken_away_by_a_command_of_the_owner(tmp_path: Path) -> None:
    """It gets the folder of sealed files; where it fails, that is said. Old copies are removed."""
    (tmp_path / "taken").mkdir()
    command = tmp_path / "take"
    command.write_text(OWN_COMMAND.format(folder=tmp_path), encoding="utf-8")
    command.chmod(0o700)
    more = f'command = ["{command}"]\nkeep_days = 1\n'
    with run_house(tmp_path, more) as house:
        installation = Installation(house.config)
        installation.make_key(tmp_path / "sheet")
        old = house.state_dir / "copies" / "leadmaster-20260101T000000Z.age"
        old.write_bytes(b"an old copy")
        installation.succeed("backup", "now")
        assert not old.exists()
        assert list_copies(tmp_path / "taken")[0] == list_copies(tmp_path / "usb")[0]
        assert list_warnings(house) == set()
        command.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
        refused = installation.run("backup", "now")
        assert "ended with status 3" in refused.err
        assert list_warnings(house) == {"backup_failed"}


def test_the_daemon_asks_a_program_that_systemd_starts(short_folder: Path) -> None:
    """A process for each connection, which reads its own settings; the daemon makes no child."""
    door = short_folder / "backup.sock"
    (short_folder / "leadmaster.toml").write_text("", encoding="utf-8")
    environment = {
        "LEADMASTER_CONFIG": str(short_folder / "leadmaster.toml"),
        "LEADMASTER_BACKUP__DIR": str(short_folder / "sealed"),
        "LEADMASTER_BACKUP__SOCKET": str(door),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    setenv = [word for each in environment.items() for word in ("--setenv", "=".join(each))]
    program = [sys.executable, "-m", "daemon.backup.process"]
    with (
        contextlib.ExitStack() as stack,
        subprocesses.run_daemon(
            ["systemd-socket-activate", "--accept", "--inetd", *setenv, "-l", str(door), *program],
            stack.enter_context((short_folder / "door.log").open("wb")),
            10,
        ),
        run_house(short_folder, f'socket = "{door}"\n') as house,
    ):
        poll_until(door.exists, "the door")
        Installation(house.config).make_key(short_folder / "sheet")
        made = house.client.post("backups")["copy"]
        assert list_copies(short_folder / "sealed") == [made["name"]]
        assert not (house.state_dir / "copies").exists()
