"""One list of prospects, all the way: a real process, a real socket, a real command line."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import NotFound
from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon

DATA = Path(__file__).parent.parent / "data"
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
restore_stagger_seconds = 0.05
[clock]
start = {start}
rate = 20.0
[pacing]
new_chats_first_week = 100
new_chat_gap_minutes = 0.0
messages_per_minute = 600
number_checks = 500
number_check_min_age_days = 0
[simulated]
seed = 7
script = "{folder}/script.json"
"""
COUNTS = {
    "accepted": 417,
    "accepted_fixed_line": 28,
    "accepted_not_reachable": 4,
    "duplicate": 75,
    "rejected": 76,
}
CONSENT = "form on the web site, 2025"


class SampleProspects:
    """Numbers of the sample list by the permission that its rows give them, not yet used."""

    def __init__(self) -> None:
        with (DATA / "prospects_es.expected.csv").open(encoding="utf-8", newline="") as file:
            expected = list(csv.DictReader(file))
        with (DATA / "prospects_es.csv").open(encoding="cp1252", newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        spoken: dict[str, set[str]] = {}
        for row, outcome in zip(rows, expected, strict=True):
            if outcome["e164"]:
                spoken.setdefault(outcome["e164"], set()).add(row["Consentimiento"])
        accepted = [each["e164"] for each in expected if each["expected"] == "accepted"]
        self._by_word: dict[str, list[str]] = {}
        for phone in accepted:
            if len(spoken[phone]) == 1:
                word = next(iter(spoken[phone])).replace("si", "sí")
                self._by_word.setdefault(word, []).append(phone)

    def one(self, word: str, country: str = "+549") -> str:
        """Return another number of the country whose rows all say ``word``."""
        found = next(phone for phone in self._by_word[word] if phone.startswith(country))
        self._by_word[word].remove(found)
        return found


def _settings(folder: Path, start: str) -> str:
    return SETTINGS.format(folder=folder, start=start)


@pytest.fixture
def people() -> SampleProspects:
    """The sample's numbers."""
    return SampleProspects()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A running daemon with nothing in it."""
    (tmp_path / "script.json").write_text("{}", encoding="utf-8")
    with run_daemon(tmp_path, _settings(tmp_path, "2026-03-03T15:00:00Z")) as started:
        yield started


def _script(daemon: DaemonProcess, contacts: dict[str, object]) -> None:
    script = {"scan_after": 20, "contacts": contacts}
    (daemon.folder / "script.json").write_text(json.dumps(script), encoding="utf-8")


def _link(daemon: DaemonProcess, name: str) -> None:
    """Add a session, see its code, and see it ready."""
    daemon.run_command("sessions", "add", name, "--channel", "simulated")
    daemon.run_command("sessions", "start", name)
    qr = poll_until(lambda: _code(daemon, name), "a code on show")
    assert (qr["index"], qr["maximum"]) == (1, 6)
    poll_until(lambda: _state(daemon, name) == "ready", "the session ready")


def _code(daemon: DaemonProcess, name: str) -> dict[str, Any] | None:
    with contextlib.suppress(NotFound):
        found: dict[str, Any] = daemon.client.get("sessions", name, "qr")
        return found
    return None


def _state(daemon: DaemonProcess, name: str) -> str:
    found: str = daemon.client.get("sessions", name)["state"]
    return found


def _message(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    found: dict[str, Any] = _story(daemon, message)["message"]
    return found


def _story(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.client.get("messages", message)
    return found


def _until(daemon: DaemonProcess, message: str, *states: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = _message(daemon, message)
        return found if found["state"] in states else None

    return poll_until(look, f"{message} in {states}, not {_message(daemon, message)['state']}")


def _send(daemon: DaemonProcess, to: str, text: str) -> str:
    sent: str = daemon.run_json_command("send", to, text, "--session", "ventas")["id"]
    return sent


def _lived_through(daemon: DaemonProcess, message: str) -> list[str]:
    return [step["state"] for step in _story(daemon, message)["history"]]


def _wire(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Return what reached the simulated contacts, as their side wrote it down."""
    return [
        json.loads(line)
        for file in daemon.state_dir.rglob("wire.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def test_a_list_becomes_acknowledged_messages_and_nothing_is_claimed_that_is_not_true(
    daemon: DaemonProcess, people: SampleProspects
) -> None:
    """Import, link, send to six kinds of people, decide by hand, an opt-out, a crash: all true."""
    allowed, held = people.one("sí"), people.one("relación previa")
    asleep = people.one("sí", "+52")  # it is nine in the morning in Mexico City
    by_hand, refused, suppressed, slow = (
        people.one(""),
        people.one("no"),
        people.one("sí"),
        people.one("sí"),
    )
    _script(
        daemon,
        {
            allowed: {"reply": {"text": "BAJA", "after": 20, "from_lid": True, "hide_phone": True}},
            slow: {"ack_delay": 70},
        },
    )
    sample = str(DATA / "prospects_es.csv")
    report = daemon.run_json_command(
        "prospects", "import", sample, "--yes", "--consent-statement", CONSENT
    )
    assert report["counts"] == COUNTS
    daemon.run_command("suppress", "add", suppressed, "--reason", "asked on the phone")
    _link(daemon, "ventas")

    ids = {
        name: _send(daemon, phone, f"Hola, le escribimos por su consulta número {at}.")
        for at, (name, phone) in enumerate(
            {
                "allowed": allowed,
                "by_hand": by_hand,
                "held": held,
                "asleep": asleep,
                "refused": refused,
                "suppressed": suppressed,
            }.items()
        )
    }
    assert _until(daemon, ids["refused"], "blocked")["reason_code"] == "refused"
    assert _until(daemon, ids["suppressed"], "blocked")["reason_code"] == "suppressed"
    waiting = _until(daemon, ids["asleep"], "deferred")
    assert (waiting["reason_code"], waiting["due_at"]) == ("closed", "2026-03-03T15:30:00Z")

    _until(daemon, ids["held"], "held")
    daemon.run_command("review", "approve", ids["held"], "--reason", "a customer of years")
    _until(daemon, ids["held"], "sent", "delivered", "read")

    assert _until(daemon, ids["by_hand"], "cleared")["channel"] == "manual"
    daemon.run_command("manual", "take", ids["by_hand"])
    assert by_hand.removeprefix("+") in daemon.run_command("manual", "reveal", ids["by_hand"])
    daemon.run_command("manual", "confirm", ids["by_hand"])
    assert _message(daemon, ids["by_hand"])["state"] == "confirmed_by_hand"

    _until(daemon, ids["allowed"], "read")
    life = _lived_through(daemon, ids["allowed"])
    assert life[-4:] == ["sending", "sent", "delivered", "read"]

    _hears_the_opt_out(daemon, allowed)
    _survives_a_kill(daemon, slow, ids)


def _hears_the_opt_out(daemon: DaemonProcess, phone: str) -> None:
    """BAJA came from a hidden id; the next send goes to another form of that number."""
    alias = phone.replace("+549", "+54", 1)
    assert alias != phone

    def suppressed() -> bool:
        return any(
            event["type"] == "contact.suppressed" and event["data"]["source"] == "contact"
            for event in _events(daemon)
        )

    poll_until(suppressed, "the opt-out heard")
    again = _send(daemon, alias, "¿Seguimos?")
    assert _until(daemon, again, "blocked")["reason_code"] == "suppressed"


def _events(daemon: DaemonProcess) -> list[dict[str, Any]]:
    so_far = str(daemon.client.get("status")["seq"])
    lines = daemon.run_command("tail", "--after", "0", "--until", so_far, "--json").splitlines()
    return [json.loads(line) for line in lines if line]


def _survives_a_kill(daemon: DaemonProcess, slow: str, ids: dict[str, str]) -> None:
    """Kill while a message waits for its acknowledgement; start again; compare with the wire."""
    in_flight = _send(daemon, slow, "Su pedido está listo.")
    _until(daemon, in_flight, "sending")
    poll_until(lambda: any(w["message"] == in_flight for w in _wire(daemon)), "it on the wire")
    before = {name: _message(daemon, message)["state"] for name, message in ids.items()}
    stopped_at = daemon.client.get("status")["now"]
    daemon.kill()
    daemon.settings = _settings(daemon.folder, stopped_at)  # the injected clock goes on from there
    daemon.start()
    assert "in_doubt" in _lived_through(daemon, in_flight)
    for name, message in ids.items():
        if name != "asleep":
            assert _message(daemon, message)["state"] == before[name]
    poll_until(lambda: _state(daemon, "ventas") == "ready", "the session ready without a new code")
    _until(daemon, in_flight, "delivered", "read")

    reached = [line["message"] for line in _wire(daemon)]
    assert len(reached) == len(set(reached)), "something went twice"
    said_to_have_left = {
        message["id"]
        for message in daemon.client.get("messages", limit=200)["items"]
        if message["state"] in {"sent", "delivered", "read"}
    }
    assert said_to_have_left == set(reached)
    assert daemon.stop() == 0
