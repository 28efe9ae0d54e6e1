"""Run one seeded daemon of a tree through 200 messages, and write its answers, events and rows.

`python tools/seeded_run.py OUT [--tree DIR]` writes three files of JSON lines into the folder OUT:
`answers` (what HTTP said), `events` (the log, by subject) and `database` (each row of each table).
Moments, random identifiers and hashes are replaced, so that two trees which behave alike write the
same three files: `diff -r BEFORE AFTER`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MESSAGES = 200
Json = Any
PATIENCE_SECONDS = 30.0
QUIET_SECONDS = 2.0
RESTING = frozenset(
    {"held", "blocked", "failed", "read", "cancelled", "expired", "in_doubt", "confirmed_by_hand"}
)
STATEMENT = "They signed up on our page and said yes to messages on WhatsApp, March 2026."
SETTINGS = """\
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 2
[clock]
start = 2026-11-25T14:00:00Z
rate = 20.0
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 6000
manual_new_chats_first_month = 500
manual_new_chats_24h_first_month = 500
number_checks = 1000
number_check_min_age_days = 0
"""
NOT_THERE, REFUSES = 2, 3
"""Which of 23 contacts is not on WhatsApp, and to which of 29 messages are refused."""
DEFAULTS: dict[str, Json] = {"ack_delay": 0.2, "deliver_after": 0.2, "read_after": 0.2}
REPLIES = ("BAJA", "Sí, me interesa. ¿Cuánto sale?", "no gracias", "STOP", "¿Quién sos?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?")
IDENTIFIER = re.compile(r"\b([a-z]{2,5})_[0-9A-HJKMNP-TV-Z]{26}\b")
FRACTION = re.compile(r"\b\d+(\.\d+)?(e-\d+)?(?=[,}\]])")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
PLACE = re.compile(r"(/[\w.-]+)*/(?=rules/defaults/|leadmaster-seeded-)(leadmaster-seeded-\w+)?")
NUMBERED = re.compile(
    r'(\\?"(?:seq|rowid|microseconds|pid|uptime_seconds|after|through_seq)\\?": ?)\d+'
)
HASH = re.compile(r"\b(?=[0-9a-f]*[a-f])[0-9a-f]{12,64}\b|[A-Za-z0-9_-]{43,}={0,2}")
PASSING = frozenset({"_sqlite_migrations", "sqlite_sequence", "epochs", "signing_keys", "identity"})
"""Tables about the database file itself, which differ in every run."""


@dataclass
class Recorder:
    """Sends requests to one daemon through its control socket, and records its answers."""

    socket_path: Path
    answers: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> Json:
        """Send one request and return the answer's document, without recording it."""
        return json.loads(self.ask_raw(method, path, body, key)[1] or b"null")

    def ask_raw(
        self, method: str, path: str, body: object = None, key: str = ""
    ) -> tuple[int, bytes]:
        """Send one request and return status and content."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE_SECONDS)
        connection.sock.connect(str(self.socket_path))
        sent = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        with contextlib.closing(connection):
            connection.request(method, f"/v1/{path}", sent, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def record(self, label: str, method: str, path: str, body: object = None) -> Json:
        """Send one request; record status and document under a label without an id."""
        status, content = self.ask_raw(method, path, body)
        document = json.loads(content or b"null")
        self.answers.append(f"{label} {status} {self.plain(document)}")
        return document

    def plain(self, document: object) -> str:
        """Return a document as one line, with everything replaced that differs from run to run."""
        text = json.dumps(document, sort_keys=True, ensure_ascii=False)
        text = IDENTIFIER.sub(lambda found: self.known.get(found[0], f"{found[1]}_#"), text)
        text = NUMBERED.sub(r"\g<1>0", PLACE.sub("<folder>/", MOMENT.sub("<moment>", text)))
        text = HASH.sub("<hash>", FRACTION.sub(round_number, text))
        return ADDRESS.sub("<address>", text)


def round_number(found: re.Match[str]) -> str:
    """Return a fraction with one decimal: days since a moment differ slightly in each run."""
    return found[0] if found[0].isdigit() else f"{float(found[0]):.1f}"


@contextlib.contextmanager
def run_daemon(tree: Path, folder: Path) -> Iterator[Recorder]:
    """Run the tree's daemon on a state folder for the length of the block."""
    settings = folder / "leadmaster.toml"
    settings.write_text(SETTINGS.format(folder=folder / "state"), encoding="utf-8")
    command = [str(tree / ".venv/bin/python"), "-m", "daemon", "--config", str(settings), "run"]
    # The tree's packages, and not those installed in its environment.
    environment = os.environ | {"PYTHONPATH": str(tree)}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tree, env=environment, stdout=log, stderr=log) as process,
    ):
        recorder = Recorder(folder / "state" / "control.sock")
        try:
            wait_until(lambda: is_up(recorder))
            yield recorder
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def is_up(recorder: Recorder) -> bool:
    """Return whether the daemon answers."""
    with contextlib.suppress(OSError):
        return bool(recorder.ask("GET", "status"))
    return False


def wait_until(is_true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Poll a condition; return whether it became true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(0.02)
    return False


def import_people(recorder: Recorder, sample: Path) -> list[Json]:
    """Import the sample list; return its prospects, sorted by number."""
    content = sample.read_bytes()
    upload = recorder.ask("POST", "uploads?filename=people.csv", content)["upload"]
    body = {"upload": upload, "options": {"statement": STATEMENT}}
    recorder.record("preview", "POST", "imports/preview", body)
    body["plan"] = recorder.ask("POST", "imports/preview", body)["plan"]
    last = recorder.ask_raw("POST", "imports", body)[1].splitlines()[-1]
    recorder.answers.append(f"import {recorder.plain(json.loads(last))}")
    people, after = [], ""
    while True:
        page = recorder.ask("GET", f"prospects?limit=200{after}")
        people += page["items"]
        if not page.get("next_cursor"):
            break
        after = f"&after={page['next_cursor']}"
    people.sort(key=lambda person: person["phone"])
    for person in people:
        recorder.known[person["id"]] = f"prospect of {person['phone']}"
        recorder.known[person["contact"]] = f"contact of {person['phone']}"
    return people


def build_script(people: list[Json]) -> Json:
    """Return the script of the simulated contacts, by their position in the list."""
    contacts: dict[str, Json] = {}
    for place, person in enumerate(people):
        phone = person["phone"]
        if place % 5 == 1:
            reply = REPLIES[place // 5 % len(REPLIES)]
            contacts[phone] = DEFAULTS | {"reply": {"text": reply, "after": 0.2}}
        elif place % 23 == NOT_THERE:
            contacts[phone] = {"on_whatsapp": "no"}
        elif place % 29 == REFUSES:
            contacts[phone] = DEFAULTS | {"refuse": "131026"}
    return {"scan_after": 0.5, "step": 0.1, "defaults": DEFAULTS, "contacts": contacts}


def link_phones(recorder: Recorder, state_dir: Path, script: Json) -> None:
    """Create two simulated sessions that follow a script; wait until both are ready."""
    for number, name in enumerate(("ventas", "soporte")):
        own = state_dir / "sessions" / name
        own.mkdir(parents=True)
        (own / "script.json").write_text(json.dumps(script), encoding="utf-8")
        options = {"seed": 7 + number}
        recorder.ask("POST", "sessions", {"name": name, "channel": "simulated", "options": options})
        recorder.ask("POST", f"sessions/{name}/start")
        wait_until(partial(is_ready, recorder, name))


def is_ready(recorder: Recorder, session: str) -> bool:
    """Return whether a session is ready."""
    return bool(recorder.ask("GET", f"sessions/{session}")["state"] == "ready")


def choose_people(people: list[Json]) -> list[Json]:
    """Return 200 prospects, with some of each permission."""
    by_permission: dict[str, list[Json]] = {}
    for person in people:
        by_permission.setdefault(person["permission"], []).append(person)
    share = MESSAGES // len(by_permission)
    few = [person for group in by_permission.values() for person in group[:share]]
    rest = [person for person in people if person not in few]
    return sorted(few + rest[: MESSAGES - len(few)], key=lambda person: person["phone"])


def send_all(recorder: Recorder, people: list[Json]) -> list[str]:
    """Send a message to each prospect, one after the other, and decide on those that wait."""
    messages = []
    for place, person in enumerate(people):
        body = {"to": person["phone"], "text": f"Hola {person['name']}, mensaje {place}"}
        body["session"] = ("ventas", "soporte")[place % 2]
        stored = recorder.ask("POST", "messages?wait=verdict", body, key=f"m{place:03}")
        recorder.known[stored["id"]] = f"message {place:03}"
        messages.append(stored["id"])
        # One at a time: only so does the order of events not depend on the machine's speed.
        wait_until(partial(is_at_rest, recorder, stored["id"]), 10)
        state = recorder.ask("GET", f"messages/{stored['id']}")["message"]
        decide_message(recorder, place, state)
        wait_until(lambda: is_quiet(recorder), 10)
    return messages


def is_at_rest(recorder: Recorder, message: str) -> bool:
    """Return whether a message is finished, or waits for a person or for a later time."""
    found = recorder.ask("GET", f"messages/{message}")["message"]
    waits = found["state"] == "deferred" and not found.get("waits_for")
    by_hand = found["state"] == "cleared" and found["channel"] == "manual"
    return found["state"] in RESTING or waits or by_hand


def is_quiet(recorder: Recorder) -> bool:
    """Return whether no event was stored for a moment."""
    before = get_last_event(recorder)
    time.sleep(0.08)
    return get_last_event(recorder) == before


def get_last_event(recorder: Recorder) -> int:
    """Return the number of the newest event in the log."""
    database = next(recorder.socket_path.parent.glob("*.db"))
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)


def decide_message(recorder: Recorder, place: int, message: Json) -> None:
    """Decide on a message that waits for a person, by its position in the list."""
    name, path = f"message {place:03}", message["id"]
    reason = {"reason": "seeded run"}
    if message["state"] == "held":
        word = ("approve", "reject")[place % 2]
        recorder.record(f"{word} {name}", "POST", f"review/{path}/{word}", reason)
        wait_until(lambda: is_at_rest(recorder, path), 10)
    elif message["state"] == "cleared" and message["channel"] == "manual" and place % 3:
        recorder.ask("POST", f"manual/{path}/take")
        recorder.record(f"reveal {name}", "POST", f"manual/{path}/reveal")
        recorder.record(f"confirm {name}", "POST", f"manual/{path}/confirm")
    elif message["state"] == "deferred" and place % 2:
        recorder.record(f"cancel {name}", "POST", f"messages/{path}/cancel", reason)


def read_back(recorder: Recorder, messages: list[str]) -> None:
    """Record the final state of every message and list."""
    for place, message in enumerate(messages):
        recorder.record(f"message {place:03}", "GET", f"messages/{message}")
        recorder.record(f"explain {place:03}", "GET", f"messages/{message}/explain")
    for path in ("sessions", "rules", "review", "manual", "halt", "status", "inbound"):
        recorder.record(path, "GET", path)
    for path in ("audit", "prospects", "decisions"):
        recorder.record(path, "GET", f"{path}?limit=200")


def read_rows(path: Path, recorder: Recorder) -> Iterator[str]:
    """Yield each row of each table as a line, in an order that does not depend on ids."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for table in sorted(row["name"] for row in tables.fetchall()):
            if table in PASSING:
                continue
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
            plain = (dict(zip(row.keys(), map(format_value, row), strict=True)) for row in rows)
            lines = map(recorder.plain, plain)
            yield from sorted(f"{table} {line}" for line in lines)


def format_value(value: object) -> object:
    """Return a column's value as a JSON value."""
    return "<bytes>" if isinstance(value, bytes) else value


def main() -> None:
    """Run the daemon and write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tree", type=Path, default=ROOT)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="leadmaster-seeded-"))
    try:
        with run_daemon(given.tree.resolve(), folder) as recorder:
            people = import_people(recorder, given.tree / "tests/data/prospects_es.csv")
            few = choose_people(people)
            link_phones(recorder, folder / "state", build_script(few))
            messages = send_all(recorder, few)
            read_back(recorder, messages)
        given.out.mkdir(parents=True, exist_ok=True)
        database = next((folder / "state").glob("*.db"))
        rows = list(read_rows(database, recorder))
        events = [line for line in rows if line.startswith("events ")]
        others = [line for line in rows if not line.startswith("events ")]
        for name, lines in (
            ("answers", recorder.answers),
            ("events", events),
            ("database", others),
        ):
            (given.out / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
