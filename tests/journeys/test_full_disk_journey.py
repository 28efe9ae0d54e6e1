"""The state folder of a real daemon is on a small disk of its own, which gets full."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import LeadMasterError
from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonProcess,
    PageReader,
    poll_until,
    run_daemon,
)

pytestmark = pytest.mark.slow

DISK_MEGABYTES = 24
ANA, BETO, CARLA = "+5491141234567", "+5491141234568", "+5491141234569"
STOPS_AT_SECONDS = 600
"""By the daemon's clock, which goes twenty times as fast as ours."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes, mounted as the state folder."""
    path = tmp_path / "state"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=700", "none", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert mounted.returncode == 0, f"a small disk can't be mounted here: {mounted.stderr}"
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def daemon(tmp_path: Path, disk: Path) -> Iterator[DaemonProcess]:
    """A daemon with three people who may be written to; one of them says stop after a while."""
    script = {
        "scan_after": 1,
        "line": [{"at": STOPS_AT_SECONDS, "do": "write", "contact": CARLA, "text": "BAJA"}],
    }
    (tmp_path / "script.json").write_text(json.dumps(script), encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        client = started.client
        client.post("sessions", name="ventas", channel="simulated")
        client.post("sessions", "ventas", "start")
        poll_until(lambda: client.get("sessions", "ventas")["state"] == "ready", "it is ready")
        for phone in (ANA, BETO, CARLA):
            made = client.post(
                "prospects",
                phone=phone,
                cartera_origen="feria",
                permission="opted_in",
                statement="ticked the box",
            )
            client.post("prospects", made["id"], "validate", validated=True, reason="called them")
        assert started.state_dir == disk
        yield started


def _fill(disk: Path, name: str = "filler") -> None:
    """Write until not one byte more can be written."""
    with (disk / name).open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * (64 << 10))
    with (disk / name).open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x")


def _find_full(daemon: DaemonProcess) -> dict[str, Any] | None:
    status, readiness = daemon.get_document("/ready")
    codes = [each["code"] for each in readiness["blockers"]]
    return readiness if status == 503 and "disk_full" in codes else None


def _upload(daemon: DaemonProcess) -> tuple[int, str, dict[str, Any]]:
    """Upload a file; return status, type and document of the answer."""
    connection = HTTPConnection("leadmaster", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(connection):
        connection.sock.connect(str(daemon.state_dir / "control.sock"))
        connection.request("POST", "/v1/uploads?filename=list.csv", b"nombre;celular\n")
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), json.load(response)


def _check_suppression(daemon: DaemonProcess, phone: str) -> bool:
    return bool(daemon.client.get("suppressions", "check", phone=phone)["suppressed"])


def _list_received(daemon: DaemonProcess) -> list[str]:
    wire = daemon.state_dir / "sessions" / "ventas" / "wire.jsonl"
    return wire.read_text(encoding="utf-8").splitlines() if wire.exists() else []


def test_a_full_disk_refuses_all_but_a_halt_and_opt_outs(daemon: DaemonProcess, disk: Path) -> None:
    """Readiness says so, an upload is a 507, what must be stored is, and holds after a kill -9."""
    poll_until((disk / "leadmaster.ballast").exists, "the ballast is there")
    _fill(disk)
    poll_until(lambda: _find_full(daemon), "readiness says that the disk is full")
    status, content_type, problem = _upload(daemon)
    assert (status, content_type) == (507, "application/problem+json")
    assert problem["code"] == "disk_full"
    assert "is full" in problem["detail"]
    with pytest.raises(LeadMasterError, match="is full"):
        daemon.client.send(ANA, "Hola", session="ventas", wait=False)

    halt = daemon.client.post("halt", reason="the disk is full")
    assert halt["stored"] is True
    assert not (disk / "leadmaster.ballast").exists()
    daemon.client.post("suppressions", phone=BETO, reason="phoned us")
    assert _upload(daemon)[0] == 507  # the room is not for others
    poll_until(lambda: _check_suppression(daemon, CARLA), "BAJA is stored")

    daemon.kill()
    daemon.start()
    assert daemon.client.get("halt")["halt"]["reason"] == "the disk is full"
    readiness = poll_until(lambda: _find_full(daemon), "the disk is full after the start")
    assert readiness["halt"]["reason"] == "the disk is full"
    for phone in (BETO, CARLA):
        assert _check_suppression(daemon, phone)
    assert _list_received(daemon) == []

    (disk / "filler").unlink()
    poll_until((disk / "leadmaster.ballast").exists, "the ballast is made again")
    poll_until(lambda: daemon.get_document("/ready")[0] == 200, "it is ready again")
    daemon.client.post("resume", reason="there is room")
    daemon.client.send(ANA, "Hola", session="ventas", wait=False)
    poll_until(lambda: _list_received(daemon), "messages leave again")


def test_without_ballast_a_halt_holds_and_says_that_a_restart_would_lose_it(
    daemon: DaemonProcess, disk: Path
) -> None:
    """Readiness, the command and the page say it; once there is room it is stored by itself."""
    browser = PageReader(daemon)
    poll_until((disk / "leadmaster.ballast").exists, "the ballast is there")
    _fill(disk)
    (disk / "leadmaster.ballast").unlink()
    _fill(disk, "second_filler")
    said = " ".join(daemon.run_command("halt", "no room at all").split())
    assert "a restart would lose it" in said
    readiness = poll_until(lambda: _find_full(daemon), "readiness says that the disk is full")
    assert readiness["halt"]["stored"] is False
    assert "halt_not_stored" in [each["code"] for each in readiness["warnings"]]
    page = browser.open_page("en")
    assert "is full: nothing is sent, and nothing new is accepted" in page
    assert "A restart would lose it" in page
    page = browser.open_page("es")
    assert "está lleno: no se envía nada" in page
    assert "Un reinicio la perdería" in page

    (disk / "filler").unlink()
    poll_until(lambda: daemon.client.get("halt")["halt"]["stored"], "the halt is stored")
    poll_until(lambda: daemon.get_document("/ready")[0] == 200, "it is ready again")
    daemon.kill()
    daemon.start()
    assert daemon.client.get("halt")["halt"]["reason"] == "no room at all"
