"""A session that cannot send, from stop to start, with messages in its queue: a real daemon."""

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

SOON = timedelta(minutes=6)
"""Eighteen seconds of this test, whose clock goes twenty times as fast as ours."""
PEOPLE = ("+5491141234567", "+5491141234568", "+5491141234569")
STOPPED = "The session ventas is stopped. Start it: leadmaster sessions start ventas."


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a ready session and three people who agreed to be written to."""
    (tmp_path / "script.json").write_text(json.dumps({"scan_after": 1}), encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        started.client.post("sessions", name="ventas", channel="simulated")
        started.client.post("sessions", "ventas", "start")
        poll_until(
            lambda: started.client.get("sessions", "ventas")["state"] == "ready", "it is ready"
        )
        for phone in PEOPLE:
            made = started.client.post(
                "prospects",
                phone=phone,
                cartera_origen="feria",
                permission="opted_in",
                statement="ticked the box",
            )
            started.client.post(
                "prospects", made["id"], "validate", validated=True, reason="I called them"
            )
        yield started


def _send(daemon: DaemonProcess, to: str, **more: str) -> str:
    sent: str = daemon.client.send(to, f"Hola, {to}", session="ventas", wait=True, **more)["id"]
    return sent


def _get_message(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.client.get("messages", message)["message"]
    return found


def _wait_for_state(daemon: DaemonProcess, message: str, *states: str) -> dict[str, Any]:
    poll_until(
        lambda: _get_message(daemon, message)["state"] in states, f"{message} in one of {states}"
    )
    return _get_message(daemon, message)


def test_what_a_stopped_session_cannot_send_says_so_and_goes_once_it_can(
    daemon: DaemonProcess,
) -> None:
    """One was ready to go, one comes later: both wait, are counted, and leave after the start."""
    now = datetime.fromisoformat(daemon.client.get("status")["now"])
    cleared = _send(daemon, PEOPLE[0], not_before=(now + SOON).isoformat())
    assert _get_message(daemon, cleared)["state"] == "cleared"
    daemon.client.post("sessions", "ventas", "stop")
    late = _send(daemon, PEOPLE[1])

    for message in (cleared, late):
        found = _get_message(daemon, message)
        assert (found["state"], found["waits_for"]) == ("deferred", "session")
        assert (found["blocked_by"], found["sentence"]) == ("session_stopped", STOPPED)
        shown = daemon.run_command("queue", "show", message)
        assert "session_stopped" in shown
        assert STOPPED in " ".join(shown.split())
    _check_blockers(daemon)

    daemon.client.post("sessions", "ventas", "start")
    for message in (cleared, late):
        left = _wait_for_state(daemon, message, "sent", "delivered", "read")
        assert (left["waits_for"], left["blocked_by"]) == (None, None)
    assert daemon.get_document("/ready")[0] == 200


def _check_blockers(daemon: DaemonProcess) -> None:
    """The count is told wherever somebody may look whether messages go out."""
    blocker = {
        "code": "session_stopped",
        "sentence": f"2 messages wait. {STOPPED}",
        "session": "ventas",
        "messages": 2,
    }
    status, readiness = daemon.get_document("/ready")
    assert (status, readiness["ready"], readiness["blockers"]) == (503, False, [blocker])
    assert daemon.client.get("status")["blockers"] == [blocker]
    assert "2 messages wait" in daemon.run_command("status")


def _add_session(daemon: DaemonProcess, name: str, **options: str) -> str:
    """Link a session to a phone of its own, or to the one that the options name."""
    daemon.client.post("sessions", name=name, channel="simulated", options=options)
    daemon.client.post("sessions", name, "start")
    poll_until(lambda: daemon.client.get("sessions", name)["state"] == "ready", f"{name} is ready")
    phone: str = daemon.client.get("sessions", name)["phone"]
    return phone


def test_deleting_a_session_asks_what_becomes_of_its_queue(daemon: DaemonProcess) -> None:
    """Nothing chosen: refused, with their number. Then given to the same number; then cancelled."""
    ours = daemon.client.get("sessions", "ventas")["phone"]
    assert _add_session(daemon, "soporte") != ours
    daemon.client.post("sessions", "ventas", "stop")
    waiting = [_send(daemon, phone) for phone in PEOPLE[:2]]

    refused = daemon.run_command("sessions", "delete", "ventas", "--yes", expect=2)
    assert "2 messages that have not left" in refused
    assert "--queue" in refused
    delete = ("sessions", "delete", "ventas", "--yes", "--queue")
    assert "another number" in daemon.run_command(*delete, "move", "--to", "soporte", expect=2)
    assert "no session" in daemon.run_command(*delete, "move", "--to", "nobody", expect=2)
    assert _get_message(daemon, waiting[0])["session"] == "ventas"

    assert _add_session(daemon, "reemplazo", phone=ours) == ours
    assert "messages moved to reemplazo" in daemon.run_command(*delete, "move", "--to", "reemplazo")
    for message in waiting:
        left = _wait_for_state(daemon, message, "sent", "delivered", "read")
        assert left["session"] == "reemplazo"

    daemon.client.post("sessions", "soporte", "stop")
    last = daemon.client.send(PEOPLE[2], "Hola", session="soporte", wait=True)["id"]
    daemon.run_command("sessions", "delete", "soporte", "--yes", "--queue", "cancel")
    cancelled = _get_message(daemon, last)
    assert (cancelled["state"], cancelled["reason_code"]) == ("cancelled", "session_deleted")
    deletions = [
        (item["entry"]["subject"], item["entry"]["detail"])
        for item in daemon.client.get("audit", limit=200)["items"]
        if item["entry"]["action"] == "session_deleted"
    ]
    assert sorted(deletions) == [
        ("soporte", {"cancelled": 1}),
        ("ventas", {"moved": 2, "to": "reemplazo"}),
    ]
