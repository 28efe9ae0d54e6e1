"""A campaign is worked off over a real daemon that is killed -9 at every step of a turn."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import DaemonCommands, DaemonProcess, poll_until, run_daemon

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T15:00:00Z
"""
PEOPLE = [f"+54911412345{number}" for number in range(60, 66)]
FOOTER = "Soy {quien}; tu número lo tomamos de {origen_en_palabras}. Respondé BAJA y listo."


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a phone, and six people who agreed."""
    with run_daemon(tmp_path, SETTINGS.format(folder=tmp_path)) as started:
        client = started.client
        client.post("sessions", name="ventas", channel="simulated")
        client.post("sessions", "ventas", "start")
        agreed = {"permission": "opted_in", "statement": "ticked the box"}
        for phone in PEOPLE:
            made = client.post("prospects", phone=phone, cartera_origen="feria", **agreed)
            client.post("prospects", made["id"], "validate", validated=True, reason="I called")
        yield started


def start_campaign(daemon: DaemonProcess) -> str:
    """Start a campaign with everybody; return its id."""
    text = daemon.client.post(
        "texts",
        name="Feria",
        purpose="first_contact",
        body="Hola {nombre}, ¿hablamos?",
        footer=FOOTER,
        fallbacks={"nombre": "vecina", "origen_en_palabras": "la feria"},
    )
    daemon.client.post("texts", text["id"], "approve", version=1)
    made = daemon.client.post("campaigns", name="Feria", session="ventas", text=text["id"])
    campaign: str = made["campaign"]["id"]
    run = daemon.run_json_command("campaigns", "try", campaign)
    assert run["outlooks"] == {"by_hand": 6, "approval": 0, "later": 0, "no": 0}
    started = daemon.run_json_command(
        "campaigns", "start", campaign, run["hash"], "--reason", "the fair is over"
    )
    assert started["will_leave"] == len(PEOPLE)
    return campaign


def post(daemon: DaemonProcess, campaign: str, *parts: str) -> Any:  # noqa: ANN401 - JSON
    """Do one step of a turn."""
    return daemon.client.post("campaigns", campaign, *parts)


def kill_and_start(daemon: DaemonProcess) -> None:
    """Kill the daemon as a power cut would, and start it."""
    daemon.kill()
    daemon.start()


def kill_in_the_middle(daemon: DaemonProcess, campaign: str) -> None:
    """Kill the daemon while somebody's message is being stored, judged or taken."""
    asked = threading.Event()

    def take() -> None:
        asked.set()
        with contextlib.suppress(Exception):  # the daemon is killed meanwhile
            post(daemon, campaign, "next")

    thread = threading.Thread(target=take)
    thread.start()
    asked.wait()
    kill_and_start(daemon)
    thread.join()


def test_killed_at_every_step_nobody_twice_and_nobody_lost(daemon: DaemonProcess) -> None:
    """The rows say where it goes on: the same person, once, until everybody is final."""
    campaign = start_campaign(daemon)
    first = post(daemon, campaign, "next")["person"]
    kill_and_start(daemon)
    again = post(daemon, campaign, "next")["person"]
    assert (again["prospect"], again["state"]) == (first["prospect"], "claimed")
    post(daemon, campaign, "people", first["prospect"], "open")
    kill_in_the_middle(daemon, campaign)
    opened = post(daemon, campaign, "next")["person"]
    assert (opened["prospect"], opened["state"]) == (first["prospect"], "opened")
    post(daemon, campaign, "people", first["prospect"], "sent")
    kill_in_the_middle(daemon, campaign)
    assert daemon.client.get("campaigns", campaign)["counts"]["sent"] == 1
    while person := post(daemon, campaign, "next")["person"]:
        post(daemon, campaign, "people", person["prospect"], "open")
        post(daemon, campaign, "people", person["prospect"], "sent")
    poll_until(
        lambda: daemon.client.get("campaigns", campaign)["campaign"]["state"] == "finished",
        "everybody is final",
    )
    path = daemon.state_dir / "leadmaster.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT contact), count(DISTINCT state), max(state),"
            " (SELECT count(*) FROM permits) FROM messages"
        ).fetchone()
    assert found == (6, 6, 1, "confirmed_by_hand", 6)
    cli = DaemonCommands(daemon)
    report = cli("campaigns", "report", campaign).out
    assert "Feria, version 1" in report
    assert "too few to say" in report
    assert "Not the same: nothing." in cli("campaigns", "compare", campaign, campaign).out
    assert daemon.stop() == 0
