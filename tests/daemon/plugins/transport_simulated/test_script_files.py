"""A script file of the simulated channel that can't be read stops its session, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.errors import LeadMasterError
from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon_in_state_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """Run a daemon for all of these."""
    with run_daemon_in_state_folder(tmp_path_factory.mktemp("d")) as running:
        yield running


def make_large_file(path: Path) -> None:
    """Write a valid script of more than 1 MiB."""
    path.write_text(json.dumps({"scan_after": 1}) + " " * (1 << 20), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("pipe", os.mkfifo, "it is no regular file"),
        ("folder", Path.mkdir, "Is a directory"),
        ("device", lambda path: path.symlink_to("/dev/zero"), "it is no regular file"),
        ("large", make_large_file, "it is larger than 1 MiB"),
    ],
)
def test_a_script_that_is_no_small_file_is_a_sentence(
    daemon: DaemonProcess, name: str, make: Callable[[Path], object], reason: str
) -> None:
    """The session says so, the daemon answers, and other sessions are linked meanwhile."""
    folder = daemon.state_dir / "sessions" / name
    folder.mkdir(parents=True)
    make(folder / "script.json")
    daemon.client.post("sessions", name=name, channel="simulated")
    daemon.client.post("sessions", name, "start")
    poll_until(
        lambda: reason in daemon.client.get("sessions", name)["sentence"],
        f"the reason why {name} can't be opened",
    )
    assert daemon.client.get("status")["blockers"] == []


def test_a_script_is_named_by_no_request(daemon: DaemonProcess) -> None:
    """What comes from the network opens no file, not even one that is a script."""
    path = daemon.state_dir / "a_script.json"
    path.write_text('{"scan_after": 1}', encoding="utf-8")
    order = {"name": "named", "channel": "simulated", "options": {"script": str(path)}}
    with pytest.raises(LeadMasterError, match="option script names a file") as refused:
        daemon.client.post("sessions", **order)
    assert "leadmaster.toml" in refused.value.hint
    assert "named" not in {each["name"] for each in daemon.client.get("sessions")["items"]}
