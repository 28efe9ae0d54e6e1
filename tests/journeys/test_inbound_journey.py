"""What a channel reports, from its line to the queue: a real daemon and a channel from outside."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon
from tests.helpers.programs.replay_channel import REPLAY_FILE_VARIABLE
from tests.helpers.signals import read_signal_cases

ROOT = Path(__file__).parents[2]
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T14:00:00Z
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
"""
MODULE = "tests.helpers.programs.replay_channel"
HISTORIC, OWN_PEER, MARKER = "+5491151000001", "+5491151000002", "+5491151009999"
OPTED_OUT = ("+5491151000007", "+5491151000010", "+5491151000011")


@dataclass
class Replay:
    """A daemon whose session ``main`` reports what is written into a file."""

    daemon: DaemonProcess
    file: Path
    markers: int = 0

    def report(self, *cases: dict[str, Any]) -> None:
        """Report signals, and return once the daemon has heard what comes behind them."""
        self.markers += 1
        marker = {"k": "InboundMessage", "wire_id": f"MARK{self.markers}", "sender": MARKER}
        with self.file.open("a", encoding="utf-8") as file:
            for case in (*cases, {**marker, "text": "hola", "at": 0}):
                file.write(json.dumps(case) + "\n")
        poll_until(lambda: self._count_marked() == self.markers, "the marker behind them")

    def _count_marked(self) -> int:
        found = self.daemon.client.get("inbound", session="main", limit=200)["items"]
        return sum(each["text"] == "hola" and each["contact"] == self.marked for each in found)

    @property
    def marked(self) -> str:
        """Return the contact of the markers."""
        contact: str = self.daemon.client.get("inbound", limit=1)["items"][0]["contact"]
        return contact

    def queue_message(self, to: str, text: str) -> str:
        """Ask for a message that waits for an hour to come."""
        now = datetime.fromisoformat(self.daemon.client.get("status")["now"])
        later = (now + timedelta(hours=1)).isoformat()
        sent: str = self.daemon.client.send(to, text, session="main", not_before=later, wait=True)[
            "id"
        ]
        return sent

    def get_message_state(self, message: str) -> str:
        """Return where a message stands."""
        state: str = self.daemon.client.get("messages", message)["message"]["state"]
        return state

    def is_suppressed(self, phone: str) -> bool:
        """Tell whether a number is suppressed, in whatever form it is written."""
        found: bool = self.daemon.client.get("suppressions", "check", phone=phone)["suppressed"]
        return found


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    """A daemon into which the channel was installed, and people who agreed to be written to."""
    site = tmp_path / "site" / "leadmaster_replay-1.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: leadmaster-replay\nVersion: 1\n")
    (site / "entry_points.txt").write_text(f"[leadmaster.plugins]\nreplay = {MODULE}:plugin\n")
    file = tmp_path / "signals.jsonl"
    environ = {
        "PYTHONPATH": f"{site.parent}:{ROOT}",
        REPLAY_FILE_VARIABLE: str(file),
    }
    with run_daemon(tmp_path, SETTINGS.format(folder=tmp_path), environ) as daemon:
        daemon.client.post("sessions", name="main", channel="replay")
        daemon.client.post("sessions", "main", "start")
        poll_until(lambda: daemon.client.get("sessions", "main")["state"] == "ready", "it is ready")
        for phone in (HISTORIC, OWN_PEER):
            made = daemon.client.post(
                "prospects",
                phone=phone,
                cartera_origen="feria",
                permission="opted_in",
                statement="ticked the box",
            )
            daemon.client.post(
                "prospects", made["id"], "validate", validated=True, reason="I called them"
            )
        yield Replay(daemon, file)


def test_history_cancels_nothing_and_an_opt_out_of_any_date_everything(replay: Replay) -> None:
    """A message of last year, one typed on the phone then; then what they write today."""
    first = replay.queue_message(HISTORIC, "Hola, tenemos lo que nos pidió")
    second = replay.queue_message(OWN_PEER, "Buenas tardes, le escribo por la feria")
    replay.report(*read_signal_cases("F1-history"))
    assert replay.get_message_state(first) == replay.get_message_state(second) == "cleared"

    live = {"k": "InboundMessage", "wire_id": "NEW", "sender": HISTORIC, "text": "hola", "at": 0}
    replay.report(live)
    assert replay.get_message_state(first) == "cancelled"

    old = {"wire_id": "OPT", "sender": OWN_PEER, "text": "BAJA", "at": "2025-03-01T12:00:00+00:00"}
    replay.report({"k": "InboundMessage", "origin": "history", **old})
    assert replay.get_message_state(second) == "cancelled"
    assert replay.is_suppressed(OWN_PEER)


@pytest.mark.parametrize("case", ["F2-poison", "F2b-poison-naive-time"])
def test_what_cannot_be_stored_waits_for_a_person_and_what_comes_behind_it_is_heard(
    replay: Replay, case: str
) -> None:
    """The opt-out behind it counts; the known contact is held until a person settles it."""
    held = replay.queue_message(HISTORIC, "Hola, tenemos lo que nos pidió")
    replay.report(*read_signal_cases(case))
    assert replay.is_suppressed(OWN_PEER)
    assert not replay.is_suppressed(HISTORIC)
    assert replay.daemon.client.get("sessions", "main")["state"] == "ready"

    [kept] = replay.daemon.run_json_command("quarantine", "list")["items"]
    assert (kept["signal"], kept["kept"]["sender"]) == ("InboundMessage", HISTORIC)
    assert HISTORIC in replay.daemon.run_command("quarantine", "list")
    assert "1 incoming item could not be stored" in replay.daemon.run_command("status")
    assert replay.daemon.client.get("status")["quarantined"] == 1
    prospect = _find_prospect(replay, HISTORIC)
    assert prospect["review"] == "waiting"
    assert replay.get_message_state(held) != "cancelled"

    settle = ("quarantine", "settle", kept["id"], "--reason", "a greeting")
    assert "a greeting" in replay.daemon.run_command(*settle)
    assert "Nothing to settle" in replay.daemon.run_command("quarantine", "list")
    [settled] = replay.daemon.run_json_command("quarantine", "list", "--settled")["items"]
    assert settled["id"] == kept["id"]
    assert _find_prospect(replay, HISTORIC)["review"] == "none"


def _find_prospect(replay: Replay, phone: str) -> dict[str, Any]:
    found = replay.daemon.client.get("prospects", limit=50)["items"]
    id_ = next(each["id"] for each in found if each["phone"] == phone)
    detail: dict[str, Any] = replay.daemon.client.get("prospects", id_)
    return detail


def test_whoever_says_stop_is_meant_in_every_form_and_whoever_is_nobody_leaves_no_trace(
    replay: Replay,
) -> None:
    """Addresses, numbers without a plus, a device; groups and the empty name; one id of two."""
    device = {"wire_id": "DEV", "sender": "5491151000012:12@s.whatsapp.net", "text": "BAJA"}
    old_server = {"wire_id": "OLD", "sender": "5491151000013@c.us", "text": "BAJA"}
    more = [{"k": "InboundMessage", "at": 0, **each} for each in (device, old_server)]
    replay.report(*read_signal_cases("F3-names"), *read_signal_cases("F5-same-id"), *more)
    for phone in (*OPTED_OUT, "+5491151000005", "+5491151000012", "+5491151000013"):
        assert replay.is_suppressed(phone), phone
    heard = replay.daemon.client.get("inbound", limit=200)["items"]
    assert sum(each["wire_id"] == "DUP" for each in heard) == 2
    assert not any(each["wire_id"].startswith("G") for each in heard)
    assert replay.daemon.client.get("quarantine")["items"] == []

    own = read_signal_cases("F7-own-private")
    replay.report(*own * 10)
    assert own[0]["recipient"] not in replay.daemon.log.read_text(encoding="utf-8")


OPTED_OUT_NOW, ANGRY, SHOP, SPOKE = (f"+549115100002{digit}" for digit in range(4))
WRITTEN = {
    OPTED_OUT_NOW: {"text": "sacame de tu base de datos"},
    ANGRY: {"text": "los voy a denunciar"},
    SHOP: {"text": "¡Hola! Gracias por comunicarte con Óptica Sur. En breve te atenderemos."},
    SPOKE: {"text": "", "kind": "voice"},
}
A_DAY_AND_THREE_HOURS_LATER = "2026-03-04T17:00:00Z"


def test_nobody_who_gave_no_welcome_is_written_to_a_day_later(replay: Replay) -> None:
    """An opt-out, a threat, a shop's greeting and a voice message, by people found in a list."""
    client = replay.daemon.client
    for phone in WRITTEN:
        made = client.post(
            "prospects", phone=phone, cartera_origen="guía", permission="public_source"
        )
        client.post("prospects", made["id"], "validate", validated=True, reason="I called them")
    replay.report(
        *(
            {"k": "InboundMessage", "wire_id": f"W{phone}", "sender": phone, "at": 0, **words}
            for phone, words in WRITTEN.items()
        )
    )
    assert replay.daemon.stop() == 0
    replay.daemon.settings = replay.daemon.settings.replace(
        "2026-03-03T14:00:00Z", A_DAY_AND_THREE_HOURS_LATER
    )
    replay.daemon.start()
    poll_until(lambda: client.get("sessions", "main")["state"] == "ready", "it is ready again")

    sent = {
        phone: client.send(phone, f"Promo {phone}", session="main", wait=True)["id"]
        for phone in WRITTEN
    }
    found = {phone: client.get("messages", id_)["message"] for phone, id_ in sent.items()}
    assert {phone: (each["state"], each["reason_code"]) for phone, each in found.items()} == {
        OPTED_OUT_NOW: ("blocked", "suppressed"),
        ANGRY: ("held", "waits_for_a_person"),
        SHOP: ("cleared", "allowed"),  # for a person, who sends it by hand or not at all
        SPOKE: ("held", "waits_for_a_person"),
    }
    assert found[SHOP]["channel"] == "manual"
    people = {phone: _find_prospect(replay, phone) for phone in WRITTEN}
    assert {phone: each["prospect"]["permission"] for phone, each in people.items()} == {
        OPTED_OUT_NOW: "refused",
        ANGRY: "refused",
        SHOP: "public_source",
        SPOKE: "public_source",
    }
    _check_where_an_operator_sees_them(replay, sent)


def _check_where_an_operator_sees_them(replay: Replay, sent: dict[str, str]) -> None:
    """Suppressions, the review, and for the greeting the person's history."""
    client = replay.daemon.client
    assert replay.is_suppressed(OPTED_OUT_NOW)
    in_review = {each["id"] for each in client.get("review")["items"]}
    assert in_review == {sent[ANGRY], sent[SPOKE]}
    unread = [each["message"] for each in client.get("review", "inbound")["items"]]
    assert [(each["phone"], each["cause"]) for each in unread] == [
        (ANGRY, "complaint"),
        (SPOKE, "not_understood"),
    ]
    requests = {
        each["request"]
        for each in client.get("inbound", limit=200)["items"]
        if each["text"] == WRITTEN[SHOP]["text"]
    }
    assert requests == {"automatic"}


def test_an_operators_own_phrases_count_from_the_reload_on(replay: Replay, tmp_path: Path) -> None:
    """At the start one phrase, after a SIGHUP another; a bad file changes nothing."""
    own = tmp_path / "own.txt"
    own.write_text("[opt_out]\nchau chau\n", encoding="utf-8")
    daemon = replay.daemon
    assert daemon.stop() == 0
    daemon.settings += f'[inbound]\nphrases_file = "{own}"\n'
    daemon.start()
    poll_until(lambda: daemon.client.get("sessions", "main")["state"] == "ready", "it is ready")

    process = daemon.process
    assert process is not None
    own.write_text("[opt_out]\nhasta nunca\n", encoding="utf-8")
    process.send_signal(signal.SIGHUP)
    poll_until(lambda: "phrases_reloaded" in daemon.log.read_text(encoding="utf-8"), "the reload")
    own.write_text("[opt_out]\n-baja\n", encoding="utf-8")
    process.send_signal(signal.SIGHUP)
    poll_until(lambda: "phrases_rejected" in daemon.log.read_text(encoding="utf-8"), "the refusal")

    for phone, text in ((HISTORIC, "chau chau"), (OWN_PEER, "hasta nunca")):
        said = {"wire_id": f"P{phone}", "sender": phone, "text": text, "at": 0}
        replay.report({"k": "InboundMessage", **said})
    assert not replay.is_suppressed(HISTORIC)
    assert replay.is_suppressed(OWN_PEER)


def test_a_person_says_what_they_meant(replay: Replay) -> None:
    """Held, listed with the words, then released by one answer and cancelled by the other."""
    first = replay.queue_message(HISTORIC, "Hola, tenemos lo que nos pidió")
    second = replay.queue_message(OWN_PEER, "Buenas tardes, le escribo por la feria")
    report_text(replay, "V1", HISTORIC, "el lunes te digo")
    report_text(replay, "V2", OWN_PEER, "los voy a denunciar")
    complaint, vague = [
        each["message"] for each in replay.daemon.run_json_command("review", "meanings")["items"]
    ]
    assert (complaint["cause"], complaint["quote"]) == ("complaint", "los voy a denunciar")
    assert (vague["cause"], vague["waiting_messages"]) == ("not_understood", 1)

    run = replay.daemon.run_json_command
    assert run("review", "classify", vague["id"], "neither")["released_messages"] == 1
    assert replay.get_message_state(first) == "cleared"
    done = run("review", "classify", complaint["id"], "suppress")
    assert (done["cancelled_messages"], done["suppressed"]) == (1, True)
    assert replay.get_message_state(second) == "cancelled"
    assert replay.is_suppressed(OWN_PEER)
    assert run("review", "meanings")["items"] == []


def test_whoever_was_not_understood_may_get_one_message_by_hand(replay: Replay) -> None:
    """We never wrote to them: a person listened, said neither, and the one message is theirs."""
    client, phone = replay.daemon.client, "+5491151000301"
    made = client.post("prospects", phone=phone, cartera_origen="guía", permission="public_source")
    client.post("prospects", made["id"], "validate", validated=True, reason="I called them")
    voice = {"k": "InboundMessage", "wire_id": "VN", "sender": phone, "text": "", "kind": "voice"}
    replay.report({**voice, "at": 0})
    held = client.send(phone, "Hola, la vimos en la guía", session="main", wait=True)["id"]
    assert replay.get_message_state(held) == "held"
    [unread] = replay.daemon.run_json_command("review", "meanings")["items"]
    run = replay.daemon.run_json_command
    assert run("review", "classify", unread["message"]["id"], "neither")["released_messages"] == 1
    poll_until(lambda: replay.get_message_state(held) == "cleared", "it is for a person's hand")
    assert client.get("messages", held)["message"]["channel"] == "manual"


def test_a_minor_is_forgotten_once_a_person_has_said_so(replay: Replay) -> None:
    """Stopped by the reading, erased by the person: nothing but the opt-out is left."""
    report_text(replay, "K1", HISTORIC, "tengo 14 años")
    assert replay.get_message_state(replay.queue_message(HISTORIC, "Hola")) == "blocked"
    [child] = replay.daemon.run_json_command("review", "meanings")["items"]
    message = child["message"]["id"]
    run = replay.daemon.run_json_command
    assert run("review", "classify", message, "minor", "--yes")["erased"]
    assert replay.is_suppressed(HISTORIC)
    phones = {each["phone"] for each in replay.daemon.client.get("prospects")["items"]}
    assert HISTORIC not in phones


@pytest.mark.parametrize(
    ("text", "why", "sentence"),
    [
        ("tengo 14 años", "minor", "says that they are under 18"),
        ("mi papá falleció en marzo", "deceased", "says that the person has died"),
    ],
)
def test_whoever_is_stopped_is_seen_to_be_and_can_not_have_agreed(
    replay: Replay, text: str, why: str, sentence: str
) -> None:
    """Not suppressed yet, but stopped: the check says so, and no consent is recorded over it."""
    report_text(replay, "T1", HISTORIC, text)
    checked = replay.daemon.client.get("suppressions", "check", phone=HISTORIC)
    assert checked["suppressed"]
    assert checked["records"] == []
    assert checked["stopped"] == why
    run = replay.daemon.run_command
    assert "Stopped until a person has decided: the" in run("suppress", "check", HISTORIC)
    agreed = ("--how", "call", "--when", "2026-03-01", "--heard-by", "Marta", "--words", "dale")
    refused = run("prospects", "consent", HISTORIC, *agreed, expect=2)
    assert sentence in refused
    assert "review meanings" in refused

    [found] = replay.daemon.run_json_command("review", "meanings")["items"]
    message = found["message"]["id"]
    run("review", "classify", message, "neither", "--reason", "somebody else's words", "--yes")
    checked = replay.daemon.client.get("suppressions", "check", phone=HISTORIC)
    assert (checked["suppressed"], checked["stopped"]) == (False, None)
    assert "They are not suppressed." in run("suppress", "check", HISTORIC)
    run("prospects", "consent", HISTORIC, *agreed)


def test_a_misread_opt_out_is_corrected_and_a_listed_word_is_not(replay: Replay) -> None:
    """The first is over; the second stays, with the reason."""
    report_text(replay, "S1", HISTORIC, "sacame de tu base de datos")
    report_text(replay, "S2", OWN_PEER, "BAJA")
    run = replay.daemon.run_json_command
    [found] = run("review", "meanings", "--correctable")["items"]
    message = found["message"]["id"]
    assert run("review", "classify", message, "neither", "--reason", "another list")["lifted"]
    assert not replay.is_suppressed(HISTORIC)
    assert replay.is_suppressed(OWN_PEER)


def report_text(replay: Replay, wire_id: str, sender: str, text: str) -> None:
    """Report a text that was written just now."""
    case = {"k": "InboundMessage", "wire_id": wire_id, "sender": sender, "text": text, "at": 0}
    replay.report(case)
