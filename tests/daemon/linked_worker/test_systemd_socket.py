"""A worker that a service manager starts finds its socket where systemd puts it: descriptor 3."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from daemon.api.permit import PermitSigner
from daemon.linked_worker.protocol import PROTOCOL_VERSION

ROOT = Path(__file__).parents[3]
AS_SYSTEMD = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
PROGRAM = "tests.helpers.programs.scripted_linked_worker"


def test_a_worker_serves_the_socket_that_systemd_passes(tmp_path: Path) -> None:
    """It says hello with its versions, and ends when the socket does."""
    ours, theirs = socket.socketpair()
    key = PermitSigner().public_key.public_bytes_raw().hex()
    with ours, theirs:
        command = [
            *(sys.executable, "-c", AS_SYSTEMD, str(theirs.fileno())),
            *(sys.executable, "-m", PROGRAM, "--session", "ventas"),
            *("--folder", os.fspath(tmp_path / "ventas"), "--permit-key", key),
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL
        )
        theirs.close()  # the worker's end is its own now
        ours.settimeout(30)
        with ours.makefile("rb") as lines:
            hello = json.loads(lines.readline())["body"]
        assert (hello["type"], hello["protocol"], hello["login"]) == (
            "hello",
            PROTOCOL_VERSION,
            False,
        )
        assert (hello["driver"], hello["driver_version"], hello["library_version"]) == (
            "scripted",
            "7",
            "0.0",
        )
        ours.shutdown(socket.SHUT_RDWR)
    assert process.wait(30) == 0
