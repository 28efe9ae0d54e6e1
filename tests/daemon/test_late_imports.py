"""What a daemon does not load at its start, and where it is loaded once it is needed."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonCommands,
    poll_until,
    run_daemon,
)

pytestmark = pytest.mark.slow

NOT_AT_THE_START = {
    "_ssl",
    "apprise",
    "charset_normalizer",
    "cryptography",
    "daemon.cli.doctor",
    "daemon.cli.sessions",
    "daemon.demo.walkthrough",
    "dateutil",
    "greenlet",
    "holidays",
    "jinja2",
    "jwt",
    "neonize",
    "openpyxl",
    "phonenumbers",
    "prometheus_client",
    "pygments",
    "python_calamine",
    "rich.console",
    "segno",
    "sqlite_utils",
    "vobject",
}
"""Modules that cost memory, and that many daemons never need. Those of sqlite-utils are needed to
create the database."""
BESIDE_THE_LOOP = {"cryptography", "holidays", "jinja2", "jwt", "phonenumbers", "segno"}
NOTE_IMPORTS = """
import sys, threading

class Noter:
    def find_spec(self, name, path=None, target=None):
        with open({notes!r}, "a") as notes:
            notes.write(name + " " + threading.current_thread().name + chr(10))

sys.meta_path.insert(0, Noter())
"""


def read_notes(notes: Path) -> dict[str, str]:
    """Return each module that was imported, with the thread that did so first."""
    lines = reversed(notes.read_text(encoding="utf-8").splitlines())
    return {name: thread for name, _, thread in (line.partition(" ") for line in lines)}


def test_large_libraries_are_loaded_at_their_first_use_beside_the_loop(tmp_path: Path) -> None:
    """A start loads none; a code, a token, a page and a judged message load theirs in a thread."""
    notes, preload = tmp_path / "imports", tmp_path / "preload"
    preload.mkdir()
    (preload / "sitecustomize.py").write_text(NOTE_IMPORTS.format(notes=str(notes)))
    (tmp_path / "script.json").write_text('{"scan_after": 9999}', encoding="utf-8")
    settings = SCRIPTED_SETTINGS.format(folder=tmp_path)
    search = os.pathsep.join([str(preload), os.environ.get("PYTHONPATH", "")])
    with run_daemon(tmp_path, settings) as first:
        first.stop()
    with run_daemon(tmp_path, settings, {"PYTHONPATH": search}) as daemon:
        at_start = read_notes(notes)
        assert "daemon.runtime" in at_start
        assert NOT_AT_THE_START & set(at_start) == set()
        run = DaemonCommands(daemon)
        client = daemon.client
        client.post("sessions", name="ventas", channel="simulated")
        client.post("sessions", "ventas", "start")
        poll_until(lambda: client.get("sessions", "ventas")["pairing"] == "issued", "a code")
        assert client.download("sessions", "ventas", "qr", **{"as": "png"}).startswith(b"\x89PNG")
        run.run_json_command("users", "add", "ana", "--role", "viewer", "--link-only")
        scopes = ("--scope", "sessions:read", "--scope", "metrics:read")
        token = run("tokens", "add", "panel", "--user", "ana", *scopes).out.strip()
        assert run.call_http("/v1/sessions", token)[0] == 200
        assert client.send("+5491155550101", "Hola", wait=True)["state"] != "queued"
        base = client.get("status")["addresses"]["http"]
        for path in ("/sign-in", "/metrics"):
            asked = urllib.request.Request(f"{base}{path}")  # noqa: S310 - loopback
            asked.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
                assert answer.status == 200
        used = read_notes(notes)
        assert set(used) >= BESIDE_THE_LOOP
        assert {used[name] for name in BESIDE_THE_LOOP} & {"MainThread"} == set()


def test_a_foreign_plugin_keeps_tls(tmp_path: Path) -> None:
    """One that calls others from within the daemon can do so; without one nothing in it can."""
    site = tmp_path / "site"
    about = site / "leadmaster_tls-1.dist-info"
    about.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(NOTE_IMPORTS.format(notes=str(tmp_path / "imports")))
    (site / "leadmaster_tls.py").write_text(
        "import asyncio.sslproto, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'tls')!r}).write_text(str(asyncio.sslproto.ssl))\n"
    )
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: leadmaster-tls\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[leadmaster.plugins]\ntls = leadmaster_tls\n")
    search = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    settings = SCRIPTED_SETTINGS.format(folder=tmp_path)
    (tmp_path / "script.json").write_text("{}", encoding="utf-8")
    with run_daemon(tmp_path, settings, {"PYTHONPATH": search}):
        assert (tmp_path / "tls").read_text().startswith("<module 'ssl'")
        assert "_ssl" in read_notes(tmp_path / "imports")
