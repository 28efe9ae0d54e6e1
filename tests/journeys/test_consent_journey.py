"""Consent recorded afterwards, from the command line to the wire: a real daemon, a real phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import SCRIPTED_SETTINGS, DaemonProcess, poll_until, run_daemon

ANA, BETO, CARLA, DORA = (f"+54911412345{number}" for number in (67, 68, 69, 70))
LIST = f"""Nombre;Teléfono;Origen;Consentimiento
Ana;{ANA};feria;
Beto;{BETO};feria;ninguno
Carla;{CARLA};feria;no
Dora;{DORA};feria;
"""
CONSENT = ("--how", "call", "--when", "2026-03-02", "--heard-by", "Marta", "--words", "sí, dale")
GIVEN = ("--given-where", "fair in Rosario", "--given-how", "field «WhatsApp» of the form")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a ready phone, and four people whose numbers were given as WhatsApp."""
    (tmp_path / "script.json").write_text('{"scan_after": 1, "step": 0.1}', encoding="utf-8")
    (tmp_path / "list.csv").write_text(LIST, encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        started.client.post("sessions", name="ventas", channel="simulated")
        started.client.post("sessions", "ventas", "start")
        poll_until(
            lambda: started.client.get("sessions", "ventas")["state"] == "ready", "it is ready"
        )
        started.run_command("prospects", "import", str(tmp_path / "list.csv"), "--yes", *GIVEN)
        yield started


def get_message(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    """Return a message as the daemon has it."""
    found: dict[str, Any] = daemon.client.get("messages", message)["message"]
    return found


def send_in(daemon: DaemonProcess, phone: str, **wait: float) -> str:
    """Ask for a message that waits for a while; return its id once it was evaluated."""
    now = datetime.fromisoformat(daemon.client.get("status")["now"])
    later = (now + timedelta(**wait)).isoformat()
    sent: str = daemon.client.send(phone, "Hola, te escribo", not_before=later, wait=True)["id"]
    return sent


def test_a_consent_lets_a_message_go_and_its_withdrawal_stops_one(daemon: DaemonProcess) -> None:
    """Nobody checked these numbers: the list's statement validates them, the consent opens them."""
    first = daemon.run_json_command("prospects", "consent", ANA, *CONSENT)
    assert first["prospect"]["permission"] == "opted_in"
    assert first["prospect"]["validado_tecnicamente"] is True
    sent = daemon.client.send(ANA, "Hola, Ana", wait=True)["id"]
    poll_until(lambda: get_message(daemon, sent)["sent_at"], "it was sent")

    second = daemon.run_json_command("prospects", "consent", BETO, *CONSENT)
    waiting = send_in(daemon, BETO, minutes=3)
    assert get_message(daemon, waiting)["state"] == "cleared"
    withdraw = ("prospects", "withdraw", BETO, str(second["record"]))
    said = daemon.run_command(*withdraw, "--reason", "it was another Beto")
    assert "Waiting messages evaluated again: 1" in said
    poll_until(lambda: get_message(daemon, waiting)["state"] == "blocked", "it was blocked")
    shown = daemon.run_json_command("prospects", "show", BETO)
    kinds = [each["kind"] for each in shown["evidence"]]
    assert {"consent", "withdrawn", "given_as_whatsapp"} <= set(kinds)
    late = send_in(daemon, ANA, minutes=4)  # a text of its own, after the one that was stopped
    poll_until(lambda: get_message(daemon, late)["state"] != "cleared", "its time has come")
    assert get_message(daemon, waiting)["sent_at"] is None


def test_no_consent_over_a_no_or_an_opt_out(daemon: DaemonProcess) -> None:
    """The command says why not, and what would open it; nothing is recorded."""
    refused = daemon.run_command("prospects", "consent", CARLA, *CONSENT, expect=2)
    assert "They said no on 2026-03-03" in refused
    assert "Only a message of theirs opens it again." in refused
    daemon.run_command("suppress", "add", DORA, "--reason", "asked on the phone")
    suppressed = daemon.run_command("prospects", "consent", DORA, *CONSENT, expect=2)
    assert "opt-out list" in suppressed
    for phone in (CARLA, DORA):
        shown = daemon.run_json_command("prospects", "show", phone)
        assert "consent" not in [each["kind"] for each in shown["evidence"]]
