"""What careless channels were seen to report, through a real daemon: heard, nobody's, or kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonProcess,
    poll_until,
    run_daemon,
)

POISON, LIMITED = "+5491151000001", "+5491151000020"
BAJAS = {
    "5491151000007@s.whatsapp.net": "+5491151000007",
    "5491151000008@c.us": "+5491151000008",
    "5491151000009:12@s.whatsapp.net": "+5491151000009",
    "5491151000011": "+5491151000011",
}
NOBODY = ("120363041234567890@g.us", "status@broadcast", "120363041234567890@newsletter", "")
SCRIPT = {
    "scan_after": 0,
    "contacts": {
        LIMITED: {
            "refuse": "pair_limit",
            "retryable": True,
            "refusal_code": 131056,
            "refusal_detail": f"to {LIMITED}: pair rate limit hit",
            "retry_after": 7200,
        }
    },
    "line": [
        {"at": 60, "do": "write", "contact": POISON, "text": "hola \ud83d", "wire_id": "X1"},
        {"at": 60, "do": "write", "contact": POISON, "text": "hola", "without_zone": True},
        *({"at": 61, "do": "write", "address": each, "text": "baja"} for each in NOBODY),
        *({"at": 62, "do": "write", "address": each, "text": "BAJA"} for each in BAJAS),
    ],
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon whose session is ready, and somebody who agreed to be written to."""
    (tmp_path / "script.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        started.client.post("sessions", name="ventas", channel="simulated")
        started.client.post("sessions", "ventas", "start")
        made = started.client.post(
            "prospects",
            phone=LIMITED,
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        started.client.post(
            "prospects", made["id"], "validate", validated=True, reason="I called them"
        )
        yield started


def test_every_no_is_heard_whatever_a_channel_reports_before_it(daemon: DaemonProcess) -> None:
    """In every form of a name, behind what can't be stored; a group's words are nobody's."""
    client = daemon.client

    def list_suppressed() -> list[str]:
        answers = {
            phone: client.get("suppressions", "check", phone=phone) for phone in BAJAS.values()
        }
        return [phone for phone, answer in answers.items() if answer["suppressed"]]

    poll_until(lambda: list_suppressed() == [*BAJAS.values()], "the last no")
    assert {each["source"] for each in client.get("suppressions")["items"]} == {"contact"}
    kept = {each["reason_code"] for each in client.get("quarantine")["items"]}
    assert kept == {"text_unstorable", "time_without_zone"}
    assert client.get("sessions", "ventas")["state"] == "ready"


def test_what_the_platform_says_of_a_refusal_is_shown_and_heeded(daemon: DaemonProcess) -> None:
    """Its code and words beside the reason, without a number; the next try is when it says."""
    poll_until(lambda: daemon.client.get("sessions", "ventas")["state"] == "ready", "it is ready")
    message = daemon.client.send(LIMITED, "Hola", session="ventas", wait=True)["id"]
    poll_until(
        lambda: daemon.client.get("messages", message)["message"]["attempts"] == 1, "the refusal"
    )
    found = daemon.client.get("messages", message)["message"]
    assert (found["state"], found["reason_code"]) == ("deferred", "pair_limit")
    told = "The platform's own words: 131056, to +54••••0020: pair rate limit hit"
    assert found["sentence"].endswith(told)
    shown = daemon.run_command("queue", "show", message)
    assert told in " ".join(shown.split())
