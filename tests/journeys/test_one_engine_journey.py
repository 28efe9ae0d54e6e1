"""A daemon where durable-rules can't be built: all goes on, and everywhere it says who judges."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from daemon.errors import Conflict
from daemon.http.health import ONE_ENGINE_WARNING
from storage.connections import connect_for_reading
from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon
from tests.helpers.engines import hide_durable_rules

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T15:00:00Z
rate = 60.0
[rules]
dir = "{folder}/rules.d"
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
number_check_min_age_days = 0
[simulated]
script = "{folder}/script.json"
"""
FORMAT = "format: leadmaster/gate@1\n"
STRICTER = (
    FORMAT + "vetoes: [{id: no_links, reason: Links scare people, when: {message.links|gte: 3}}]\n"
    "tests: [{name: three, given: {message.links: 3}, expect: {vetoes: [no_links]}}]\n"
)
LAXER = FORMAT + "vetoes: [{id: first_time_relationship, when: {message.links|gte: 99}}]\n"
PEOPLE = "Nombre;Teléfono;Origen;Consentimiento\nAna Paz;+5491141234567;feria;relación previa\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A running daemon that can't import durable-rules, on whichever Python."""
    folder = tmp_path_factory.mktemp("one-engine")
    (folder / "rules.d").mkdir()
    (folder / "script.json").write_text(json.dumps({"scan_after": 4}), encoding="utf-8")
    environ = hide_durable_rules(folder)
    with run_daemon(folder, SETTINGS.format(folder=folder), environ) as started:
        yield started


def _told(daemon: DaemonProcess, path: str) -> str:
    """Return what the public door answers to somebody who may read."""
    with contextlib.suppress(Conflict):
        daemon.client.post("users", name="eva", role="admin")
    scopes = daemon.client.get("sign-in")["scopes"]
    token = daemon.client.post("tokens", name="t", user="eva", scopes=scopes)["token"]
    base = daemon.client.get("status")["addresses"]["http"]
    asked = Request(base + path, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - ours
    with urlopen(asked, timeout=30) as answer:  # noqa: S310 - our own door
        assert answer.status == 200
        said: str = answer.read().decode()
        return said


def _come_to(daemon: DaemonProcess, message: str, state: str) -> None:
    poll_until(
        lambda: daemon.client.get("messages", message)["message"]["state"] == state,
        f"it is {state}",
    )


def test_it_says_everywhere_that_one_engine_judges(daemon: DaemonProcess) -> None:
    """The log, /ready, both statuses, the page and the doctor; it is no reason to be unready."""
    lines = map(json.loads, daemon.log.read_text(encoding="utf-8").splitlines())
    assert [line["engine"] for line in lines if line["event"] == "listening"] == ["reference"]
    warning = {"code": "one_engine", "sentence": ONE_ENGINE_WARNING.sentence}
    ready = json.loads(_told(daemon, "/ready"))
    assert ready["ready"]
    assert warning in ready["warnings"]
    assert warning in daemon.client.get("status")["warnings"]
    assert "Only one rule engine is in use" in daemon.run_command("status")
    state = daemon.client.get("rules")
    assert {state["gate"]["engine"], state["score"]["engine"]} == {"reference"}
    assert "one engine alone" in _told(daemon, "/rules")
    assert ", reference, " in daemon.run_command("rules", "status")
    found = daemon.run_command("doctor", expect=0)
    assert "engine reference" in found
    assert "Only one rule engine is in use" in found


def test_messages_are_judged_sent_and_judged_anew(daemon: DaemonProcess) -> None:
    """From the held one and the approved one to a reload, an explanation and a backtest."""
    folder = daemon.folder
    (folder / "list.csv").write_text(PEOPLE, encoding="utf-8")
    daemon.run_command("prospects", "import", str(folder / "list.csv"), "--yes")
    daemon.client.post("sessions", name="ventas", channel="simulated")
    daemon.client.post("sessions", "ventas", "start")
    sent = daemon.client.send("+5491141234567", "Hola Ana", session="ventas")["id"]
    _come_to(daemon, sent, "held")
    daemon.client.post("review", sent, "approve", reason="I know her")
    _come_to(daemon, sent, "read")
    with contextlib.closing(connect_for_reading(daemon.state_dir / "leadmaster.db")) as database:
        documents = database.execute("SELECT document FROM decisions").fetchall()
    assert {json.loads(document)["engine"] for (document,) in documents} == {"reference"}
    assert "decided by reference" in daemon.run_command("rules", "explain", sent)

    before = daemon.client.get("rules")["gate"]["hash"]
    (folder / "rules.d" / "gate.yaml").write_text(STRICTER, encoding="utf-8")
    poll_until(lambda: daemon.client.get("rules")["gate"]["hash"] != before, "the reload")
    assert daemon.client.get("rules")["rejected"] is None
    assert "examples, by the second evaluator alone\n" in daemon.run_command("rules", "test")
    links = "https://a.example https://b.example https://c.example"
    refused = daemon.client.send("+5491141234567", links, session="ventas", wait=True)
    assert refused["state"] == "blocked"

    (folder / "lax").mkdir()
    (folder / "lax" / "gate.yaml").write_text(LAXER, encoding="utf-8")
    page = folder / "report.html"
    words = ("rules", "backtest", "--rules", str(folder / "lax"), "--html", str(page))
    said = daemon.run_command(*words)
    assert "durable-rules was not asked\n" in said
    assert "→ allow" in said
    assert "durable-rules was not asked." in page.read_text(encoding="utf-8")
