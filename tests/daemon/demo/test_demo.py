"""The demonstration tells its story to the end, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.demo.environment import run_environment
from daemon.demo.phones import SimulatedPhones, find_next_working_day

pytestmark = pytest.mark.slow

DEMO = [sys.executable, "-m", "daemon", "demo"]


def folder_in(line: str) -> Path:
    """Return the folder that a line of the demonstration names."""
    return Path(line.split()[1].rstrip(","))


def test_the_demonstration_shows_every_outcome_with_its_reason() -> None:
    """Sent, held, by hand, deferred, blocked, suppressed, broken and mended: each in a line."""
    done = subprocess.run(
        [*DEMO, "--rate", "4"], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "The import would give: 417 new; 28 new, landline",
        "ventas: ready — Ready.",
        "soporte: ready — Ready.",
        "14 days after its phone was linked. Until then validate the number yourself, or call.",
        "6. Numbers to validate. A person calls them, and reaches all but one",
        "3 blocked; 1 sent by hand; 2 waiting; 5 read",
        "WhatsApp acknowledged it.",
        "Existing relationship: someone checks the first message",
        "Outside business hours where the contact lives",
        "They said no",
        "The number does not work on WhatsApp",
        "confirmed_by_hand",
        "They are on the opt-out list",
        "The connection was lost",
    ):
        assert words in done.stdout
    assert "the demonstration goes on" not in done.stdout
    assert "ends here, because its output is no terminal." in done.stdout.splitlines()[-1]
    assert done.stdout.rstrip().endswith("demo --stay")
    folder = next(folder_in(line) for line in done.stdout.splitlines() if "folder /" in line)
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_cleans_up(number: signal.Signals) -> None:
    """Ctrl-C, or a SIGTERM, stops the daemon, deletes the folder and leaves no traceback."""
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        folder = next(folder_in(line) for line in lines if "folder /" in line)
        assert folder.is_dir()
        process.send_signal(number)
        _, errors = process.communicate(timeout=40)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert not folder.exists()


def test_the_demonstration_begins_on_a_working_day() -> None:
    """Weekends and holidays are passed over; the hour is one at which windows are open."""
    friday = datetime(2026, 4, 30, 20, 0, tzinfo=UTC)  # May 1st is a holiday, then a weekend
    found = find_next_working_day(friday)
    assert found == datetime(2026, 5, 4, 14, 0, tzinfo=UTC)


def test_a_kept_folder_stays_with_its_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With `keep` the folder stays, daemon stopped, for whoever wants to look."""
    with run_environment(SimulatedPhones(1.0).write_settings, keep=True) as staged:
        assert staged.client.get("status")["blockers"] == []
    assert (staged.folder / "daemon.log").is_file()
    assert not (staged.folder / "control.sock").exists()
    staged.folder.rename(tmp_path / "kept")
    assert capfd.readouterr().err == ""
