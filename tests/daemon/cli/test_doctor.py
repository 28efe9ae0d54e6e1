"""`leadmaster doctor`: each part made ill for real, and healed by the command that it names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.alerts.delivery import NO_TARGET_SENTENCE
from daemon.backup.status import read_status, write_status
from daemon.cli.doctor_alerts import judge_alerts
from daemon.cli.doctor_machine import (
    ClockDiscipline,
    check_disk,
    check_memory,
    check_units,
    judge_clock,
)
from daemon.settings import ClockSettings, DaemonSettings, Settings, load_settings
from tests.helpers.backups import Installation, read_private_key
from tests.helpers.client.process import DaemonProcess, poll_until

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[rules]
dir = "{folder}/rules.d"
[backup]
target = "{folder}/usb"
secrets = ["{folder}/secret"]
"""
LATER_VERSION = "99.0"
UNITS = Path(__file__).parents[3] / "systemd"
INSTALLED = "/opt/leadmaster/bin"


class Patient:
    """An installation with a running daemon, its doctor, and a shell for what the doctor names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon = DaemonProcess(folder, SETTINGS.format(folder=folder))
        self.installation = Installation(self.daemon.config)
        self.sheet = folder / "sheet"

    @property
    def settings(self) -> Settings:
        """Return the settings of the installation."""
        return load_settings(self.daemon.config, {})

    def examine(self, check: str, status: int) -> list[dict[str, Any]]:
        """Run the doctor; return the findings of one check that are not simply ok."""
        done = self.installation.run("doctor", "--json")
        assert done.status == status, done.out
        found = done.document["findings"]
        assert all(each["command"] for each in found if not each["ok"]), found
        ill = (each for each in found if not each["ok"] or each["warns"])
        return [each for each in ill if each["check"] == check]

    def diagnose(self, check: str, status: int = 1) -> str:
        """Return the command that heals the one ill finding of a check."""
        [finding] = self.examine(check, status)
        return str(finding["command"])

    def run(self, command: str, *, text: str = "", **words: str) -> str:
        """Run a command of a finding in a shell, with a person's words for those in capitals."""
        for name, value in words.items():
            assert name in command
            command = command.replace(name, value)
        ours = f"{sys.executable} -m daemon --config {self.daemon.config} "
        command = re.sub(r"^leadmaster ", ours, command)
        done = subprocess.run(
            ["sh", "-c", command],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """An installation in which nothing is ill: a key, a copy, and a running daemon."""
    folder = tmp_path_factory.mktemp("doctor")
    for name in ("usb", "rules.d"):
        (folder / name).mkdir()
    (folder / "secret").touch(mode=0o600)
    patient = Patient(folder)
    patient.daemon.start()
    try:
        patient.installation.make_key(patient.sheet)
        patient.installation.succeed("backup", "now")
        yield patient
    finally:
        patient.daemon.kill()


def test_each_part_is_one_line(patient: Patient) -> None:
    """In the order in which problems are solved; nothing is ill, so the status is 0."""
    done = patient.installation.run("doctor")
    assert done.status == 0, done.out
    lines = re.findall(r"^(ok|warn|fail) +(\w+) ", done.out, re.MULTILINE)
    assert list(dict.fromkeys(name for _, name in lines if name != "engine")) == [
        "versions",
        "modes",
        "disk",
        "memory",
        "clock",
        "database",
        "history",
        "backup",
        "restore",
        "register",
        "rules",
        "unit",
        "daemon",
        "proxy",
        "reach",
        "alerts",
    ]
    assert "fail" not in {grade for grade, _ in lines}
    assert re.search(
        r"^ok +memory +\d+ of \d+ MB are available; the daemon has \d+ MB", done.out, re.MULTILINE
    )
    assert re.search(r"^ok +restore +A restore was last tested at ", done.out, re.MULTILINE)


def test_what_others_may_read_is_closed_again(patient: Patient) -> None:
    """Database, folder and secret, each by a `chmod` of its own."""
    loose = ["secret", "state", "state/leadmaster.db"]
    for name in loose:
        (patient.folder / name).chmod(0o755)
    found = patient.examine("modes", 1)
    for finding in found:
        patient.run(finding["command"])
    assert patient.examine("modes", 0) == []
    named = sorted(each["sentence"].split()[0] for each in found)
    assert named == [str(patient.folder / name) for name in loose]


def test_an_unknown_past_is_settled(patient: Patient) -> None:
    """It warns, with two ways out; the second one here."""
    [finding] = patient.examine("history", 0)
    assert finding["command"] == "leadmaster history import FILE"
    patient.run(finding["hint"].removeprefix("Or say that there is none: "), WHY="new")
    assert patient.examine("history", 0) == []


def test_a_restore_that_nobody_tested_lately_is_tested(patient: Patient) -> None:
    """Each backup tests its own."""
    settings, long_ago = patient.settings, datetime.now(UTC) - timedelta(days=3)
    stale = msgspec.structs.replace(read_status(settings), last_tested_restore=long_ago)
    write_status(settings, stale)
    patient.run(patient.diagnose("restore", 0))
    assert patient.examine("restore", 0) == []


def test_a_faulty_rule_file_is_named(patient: Patient) -> None:
    """With its line; the command names it too, and its exit status is that of a refusal."""
    bad = patient.folder / "rules.d" / "gate.yaml"
    bad.write_text("format: leadmaster/gate@1\nwhat: is this\n", encoding="utf-8")
    [finding] = patient.examine("rules", 1)
    assert "gate.yaml:2" in finding["sentence"]
    assert finding["command"] == "leadmaster rules check"
    checked = patient.installation.run("rules", "check")
    assert (checked.status, "gate.yaml:2" in checked.out + checked.err) != (0, True)
    bad.unlink()
    # The daemon looks at the folder now and then: a slow examination finds it alarmed.
    client = patient.daemon.client
    poll_until(lambda: not client.get("alerts", open=True)["items"], "no alert is open")
    assert patient.examine("rules", 0) == []


def test_a_file_of_targets_that_cannot_be_used_is_named(patient: Patient) -> None:
    """Nobody has to wait for an alert to hear of it."""
    targets = patient.settings.alert_targets
    targets.write_text("targets = [", encoding="utf-8")
    targets.chmod(0o600)
    [finding] = patient.examine("alerts", 1)
    assert "is not TOML: at its end" in finding["sentence"]
    assert finding["command"] == "leadmaster alerts test"
    targets.unlink()


def test_a_halt_is_lifted(patient: Patient) -> None:
    """A person's decision is no fault, and is said."""
    patient.installation.succeed("halt", "a look")
    patient.run(patient.diagnose("daemon", 0), REASON="'all is well'")
    assert patient.examine("daemon", 0) == []


def test_a_stopped_daemon_and_a_damaged_index_are_healed(patient: Patient) -> None:
    """The copy is put back; then the daemon is started, in the installed version."""
    patient.daemon.stop()
    swap_index_columns(patient.folder / "state" / "leadmaster.db")
    command = patient.diagnose("database")
    patient.run(f"{command} --yes --key-file {write_key(patient)}", WHY="damaged")
    assert patient.examine("database", 1) == []  # the daemon is still down
    assert patient.diagnose("daemon") == "leadmaster run"
    patient.daemon.start()
    assert patient.examine("database", 0) == []
    [replies] = patient.examine("daemon", 0)
    assert replies["sentence"].startswith("Only replies go")
    patient.run(replies["command"], REASON="restored")


def swap_index_columns(database: Path) -> None:
    """Let an index hold other values than its rows, as a damaged disk may.

    A quick check, which compares no index with its table, does not see it.
    """
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = 'CREATE INDEX audit_by_subject ON audit (who, at)'"
            " WHERE name = 'audit_by_subject'"
        )
        connection.commit()


def write_key(patient: Patient) -> Path:
    """Write the private key of the sheet into a file."""
    path = patient.folder / "private"
    path.write_text(read_private_key(patient.sheet), encoding="utf-8")
    return path


def test_a_database_that_was_copied_is_adopted(patient: Patient) -> None:
    """A file with another inode is no longer the one that ran here."""
    patient.daemon.stop()
    database = patient.folder / "state" / "leadmaster.db"
    shutil.copy(database, database.with_suffix(".new"))
    database.with_suffix(".new").rename(database)
    patient.run(patient.diagnose("database"), REASON="'the disk was replaced'")
    patient.daemon.start()
    assert patient.examine("database", 0) == []
    patient.run(patient.diagnose("daemon", 0), REASON="'all is well'")


def test_a_daemon_of_another_version_is_named(patient: Patient, tmp_path: Path) -> None:
    """As after an upgrade that did not restart it."""
    metadata = tmp_path / f"leadmaster-{LATER_VERSION}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: leadmaster\nVersion: {LATER_VERSION}\n")
    patient.daemon.stop()
    patient.daemon.environ = {"PYTHONPATH": str(tmp_path)}
    patient.daemon.start()
    [finding] = patient.examine("daemon", 1)
    assert finding["sentence"].startswith(f"Version {LATER_VERSION} runs")
    assert finding["command"] == "systemctl restart leadmaster"
    patient.daemon.environ = {}
    patient.daemon.stop()
    patient.daemon.start()
    assert patient.examine("daemon", 0) == []


def test_memory_is_measured_on_the_machine_and_of_the_daemon(patient: Patient) -> None:
    """Both limits, each with its command."""
    [leaking] = check_memory(patient.settings, most_mb=1)
    [scarce] = check_memory(patient.settings, least_mb=1 << 40)
    assert (leaking.grade, leaking.command) == ("fail", "systemctl restart leadmaster")
    assert (scarce.grade, "swapon" in scarce.command) == ("fail", True)


def test_a_small_disk_fails(tmp_path: Path) -> None:
    """One of 24 MB, as it is mounted."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", tmp_path], check=True)
    try:
        [finding] = check_disk(Settings(daemon=DaemonSettings(state_dir=str(tmp_path))))
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
    assert (finding.grade, finding.sentence.startswith("24 MB are free")) == ("fail", True)
    assert finding.command.startswith("journalctl --vacuum-size=")


@pytest.mark.parametrize(
    ("succeeded", "failed", "failure", "grade"),
    [
        ("2026-11-30T08:00:00Z", None, "", "ok"),
        ("2026-11-30T08:00:00Z", "2026-11-29T08:00:00Z", "", "ok"),
        ("2026-11-30T08:00:00Z", "2026-11-30T08:00:00Z", "refused", "warn"),
        ("2026-11-30T08:00:00Z", "2026-11-30T08:00:01Z", "refused", "fail"),
        (None, "2026-11-30T08:00:01Z", "refused", "fail"),
        (None, None, "", "warn"),
    ],
)
def test_alerts_that_do_not_go_out_are_tested(
    succeeded: str | None, failed: str | None, failure: str, grade: str
) -> None:
    """By the last that went out and the last that did not; the command sends one."""
    status = {"last_success": succeeded, "last_failure": failed, "failure": failure, "open": 1}
    finding = judge_alerts(status, Settings())
    assert finding.grade == grade
    assert finding.command == ("" if grade == "ok" else "leadmaster alerts test")


@pytest.mark.parametrize(("alerts", "grade"), [(0, "warn"), (1, "fail")])
def test_no_target_is_a_warning_until_something_is_wrong(alerts: int, grade: str) -> None:
    """A morning line that nobody gets is a choice; an alert that nobody gets is not."""
    at = "2026-11-30T08:00:01Z"
    status = {"last_success": None, "last_failure": at, "failure": NO_TARGET_SENTENCE}
    finding = judge_alerts({**status, "open": alerts}, Settings())
    demonstration = Settings(clock=ClockSettings(start=datetime(2026, 3, 3, tzinfo=UTC)))
    shown = judge_alerts({**status, "open": alerts}, demonstration)
    assert shown.grade == "warn"
    assert (finding.grade, finding.hint) == (grade, "Where they go: docs/how-to/be-woken.md")
    assert finding.command.endswith("alerts.toml && leadmaster alerts test")


def test_a_backup_that_is_not_there_needs_no_key(tmp_path: Path) -> None:
    """Nobody types the rows of a sheet to hear that the name of the file was wrong."""
    config = tmp_path / "leadmaster.toml"
    config.write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n', encoding="utf-8")
    done = Installation(config).run("doctor", "--backup", str(tmp_path / "none.age"))
    assert done.status == 2
    assert f"{tmp_path}/none.age: No such file" in done.err


def test_settings_that_are_wrong_are_no_finding(tmp_path: Path) -> None:
    """All problems at once, and exit status 2: nothing was checked."""
    config = tmp_path / "leadmaster.toml"
    config.write_text('[daemon]\nport = "x"\n[nothing]\n', encoding="utf-8")
    done = Installation(config).run("doctor", "--json")
    assert (done.status, done.out) == (2, "")
    assert {"daemon.port", "nothing"} <= set(re.findall(r"[\w.]+", json.loads(done.err)["detail"]))


@pytest.mark.parametrize(
    ("year", "clock", "grade", "command"),
    [
        (2026, ClockDiscipline(kept=True, offset_ms=-1.3), "ok", ""),
        (2026, ClockDiscipline(kept=True, offset_ms=900), "warn", "systemctl restart"),
        (2026, ClockDiscipline(kept=False, offset_ms=0), "warn", "timedatectl set-ntp true"),
        (1970, ClockDiscipline(kept=True, offset_ms=0), "fail", "timedatectl set-ntp true"),
    ],
)
def test_the_clock_is_judged(year: int, clock: ClockDiscipline, grade: str, command: str) -> None:
    """By its time service's own figure; a machine without one is warned of."""
    finding = judge_clock(datetime(year, 11, 30, tzinfo=UTC), clock)
    assert finding.grade == grade
    assert finding.command.startswith(command)
    assert ("1.3 ms off" in finding.sentence) == (clock.offset_ms == -1.3)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the shipped units into a folder that systemd's tools search first."""
    for path in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
        text = path.read_text(encoding="utf-8").replace(INSTALLED, f"{sys.prefix}/bin")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", f"{tmp_path}{os.pathsep}")
    return tmp_path


def add_drop_in(units: Path, text: str) -> Path:
    """Add a drop-in to the core's unit."""
    path = units / "leadmaster.service.d" / "own.conf"
    path.parent.mkdir()
    path.write_text(f"[Service]\n{text}\n", encoding="utf-8")
    return path


def test_each_unit_has_its_exposure(units: Path) -> None:
    """As they are shipped, none is ill."""
    found = list(check_units(Settings(), [units]))
    assert [each.grade for each in found] == ["ok"] * 6
    assert "leadmaster.service is accepted; exposure 0.2 of 10" in found[0].sentence


def test_a_drop_in_that_opens_a_unit_fails(units: Path) -> None:
    """With the command that removes it."""
    add_drop_in(units, "PrivateNetwork=no\nRestrictAddressFamilies=")
    core, *others = check_units(Settings(), [units])
    assert (core.grade, core.command) == ("fail", "systemctl revert leadmaster.service")
    assert {each.grade for each in others} == {"ok"}


def test_a_unit_that_systemd_complains_of_is_warned_of(units: Path) -> None:
    """With its words, and the command that opens an editor."""
    add_drop_in(units, "PrivateDeivces=yes")
    core, *_ = check_units(Settings(), [units])
    assert (core.grade, "PrivateDeivces" in core.sentence) == ("warn", True)
    assert core.command == "systemctl edit --full leadmaster.service"
