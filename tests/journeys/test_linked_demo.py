"""`make demo-linked` tells its story on the real library, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.client.process import find_demo_folder, poll_until, run_demo_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

MODULE = "tests.virtual_whatsapp.linked_demo"


def list_processes(folder: Path) -> list[int]:
    """Return the processes whose command line names a folder: the daemon and its workers."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_the_demonstration_on_linked_phones_shows_every_outcome() -> None:
    """What contacts' phones decrypt, answers, an opt-out, a break; then the visitor's turn."""
    async with run_demo_program(MODULE, "--stay") as shown:
        assert len(list_processes(shown.folder)) == 3  # the daemon, and a worker of each phone
        sessions = shown.client.get("sessions")["items"]
        assert {each["channel"] for each in sessions} == {"linked"}
        folder = shown.folder
        assert await shown.interrupt() == 0
    for words in (
        "its library is the real one, and WhatsApp is a server on this machine",
        "ventas: code 1 of 6",
        "ventas: ready — Ready.",
        "soporte: ready — Ready.",
        "phone decrypts    Hola",
        "WhatsApp acknowledged it.",
        "They read it.",
        "it reads as question",
        "it reads as opt_out",
        "Existing relationship: someone checks the first message",
        "They are on the opt-out list",
        "The connection was lost",
        "3 blocked; 1 sent by hand; 1 waiting; 5 read",
        "End of the demonstration.",
    ):
        assert words in shown.output
    assert "the demonstration goes on" not in shown.output
    assert "Traceback" not in shown.output
    assert not folder.exists()
    assert not list_processes(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_cleans_up(number: signal.Signals) -> None:
    """Ctrl-C, or a SIGTERM, in the middle of a link: daemon, worker and folder are gone."""
    with subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        output = ""
        while "code 1 of 6" not in output:
            output += process.stdout.readline()
        folder = find_demo_folder(output)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert not folder.exists()
    poll_until(lambda: not list_processes(folder) or None, "no process of it")
