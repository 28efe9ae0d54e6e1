"""A phone linked today checks no numbers: what waits for it says so, in a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonProcess,
    poll_until,
    run_daemon,
)

ANA, BETO = "+5491141234567", "+5491141234568"
START = "2026-03-03T14:00:00Z"
AFTER_CHECKS_OPEN = "2026-03-18T14:00:00Z"
"""Fifteen days later, a Wednesday, within business hours."""
DATED = (
    "The session ventas may check numbers from 2026-03-17 on, 14 days after its phone was linked. "
    "Until then validate the number yourself, or call."
)
NO_PHONE = "No linked phone can check numbers now. Validate the number yourself, or call."


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon whose phone was linked a moment ago, and two people whom nobody has checked."""
    (tmp_path / "script.json").write_text(json.dumps({"scan_after": 1}), encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        started.client.post("sessions", name="ventas", channel="simulated")
        started.client.post("sessions", "ventas", "start")
        poll_until(
            lambda: started.client.get("sessions", "ventas")["state"] == "ready", "it is ready"
        )
        for phone in (ANA, BETO):
            started.client.post(
                "prospects",
                phone=phone,
                cartera_origen="feria",
                permission="opted_in",
                statement="ticked the box",
            )
        yield started


def _send(daemon: DaemonProcess, to: str, **more: str) -> str:
    sent: str = daemon.client.send(to, f"Hola, {to}", session="ventas", wait=True, **more)["id"]
    return sent


def _get_detail(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.client.get("messages", message)
    return found


def _wait_for_state(daemon: DaemonProcess, message: str, *states: str) -> None:
    poll_until(
        lambda: _get_detail(daemon, message)["message"]["state"] in states,
        f"{message} in one of {states}",
    )


def _wait_for_sentence(daemon: DaemonProcess, message: str, sentence: str) -> None:
    poll_until(lambda: _get_detail(daemon, message)["message"]["sentence"] == sentence, sentence)


def _count_announcements(daemon: DaemonProcess) -> int:
    seq: int = daemon.client.get("status")["seq"]
    events = daemon.client.stream("events", after=0)
    found: int = 0
    for event in events:
        found += event["type"] == "message.expiry_announced"
        if event["seq"] >= seq:
            return found
    raise AssertionError("the stream ended")


def test_a_number_that_nobody_may_check_is_dated_listed_announced_and_checked_in_time(
    daemon: DaemonProcess,
) -> None:
    """One person is validated by hand; of the other the phone asks once it may."""
    now = datetime.fromisoformat(daemon.client.get("status")["now"])
    soon = _send(daemon, ANA, not_after=(now + timedelta(hours=20)).isoformat())
    later = _send(daemon, BETO, not_after=(now + timedelta(days=30)).isoformat())
    _check_what_is_said(daemon, soon, later)
    _check_numbers_to_validate(daemon, soon, later)
    _check_announcement(daemon, soon)

    daemon.client.post("sessions", "ventas", "stop")
    _wait_for_sentence(daemon, later, NO_PHONE)
    daemon.client.post("sessions", "ventas", "start")
    _wait_for_sentence(daemon, later, DATED)

    daemon.kill()
    daemon.start()
    assert _count_announcements(daemon) == 1
    daemon.run_command("prospects", "validate", ANA, "--reason", "I called her")
    _wait_for_state(daemon, soon, "sent", "delivered", "read")
    assert daemon.client.get("status")["expiring"] == 0

    assert daemon.stop() == 0
    daemon.settings = daemon.settings.replace(START, AFTER_CHECKS_OPEN)
    daemon.start()
    _wait_for_state(daemon, later, "sent", "delivered", "read")
    assert daemon.client.get("prospects", BETO)["prospect"]["on_whatsapp"] == "yes"
    assert daemon.client.get("review", "numbers")["items"] == []


def _check_what_is_said(daemon: DaemonProcess, soon: str, later: str) -> None:
    """The message says the date, and one that does not live so long says that."""
    for message in (soon, later):
        found = _get_detail(daemon, message)["message"]
        assert (found["state"], found["waits_for"]) == ("deferred", "checked")
        assert (found["blocked_by"], found["sentence"]) == ("phone_linked_recently", DATED)
        assert found["due_at"].startswith("2026-03-17T14:")
        assert DATED in " ".join(daemon.run_command("queue", "show", message).split())
    assert _get_detail(daemon, soon)["forecast"]["code"] == "expires_unchecked"
    forecast = _get_detail(daemon, later)["forecast"]
    assert forecast["code"] == "phone_linked_recently"
    assert forecast["at"].startswith("2026-03-17T14:")


def _check_numbers_to_validate(daemon: DaemonProcess, soon: str, later: str) -> None:
    """Both numbers are listed with the date and with the message that waits for each."""
    listed = daemon.client.get("review", "numbers")["items"]
    assert [each["prospect"]["phone"] for each in listed] == [ANA, BETO]
    assert [each["messages"][0]["id"] for each in listed] == [soon, later]
    assert {each["sentence"] for each in listed} == {DATED}
    assert all(each["check_from"].startswith("2026-03-17T14:") for each in listed)
    assert daemon.run_json_command("review", "list")["numbers"] == listed
    shown = daemon.run_command("review", "list")
    for words in (listed[0]["prospect"]["id"], "prospects validate"):
        assert words in shown


def _check_announcement(daemon: DaemonProcess, soon: str) -> None:
    """The one that expires within a day is announced, and counted where somebody may look."""
    poll_until(lambda: _count_announcements(daemon) == 1, "the announcement")
    status = daemon.client.get("status")
    assert status["expiring"] == 1
    [warning] = [each for each in status["warnings"] if each["code"] == "expiring"]
    assert warning["sentence"].startswith("1 message expires within a day")
    assert "1 message expires within a day" in " ".join(daemon.run_command("status").split())
    [event] = [
        json.loads(line)
        for line in daemon.run_command(
            *("tail", "--after", "0", "--until", "1", "--json"),
            *("--type", "message.expiry_announced"),
        ).splitlines()
    ]
    assert event["subject"] == soon
