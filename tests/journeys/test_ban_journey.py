"""A ban, in a real daemon on shipped budgets, whose clock is moved by days between its starts.

Its owner follows the page "If the number is banned", as it is written.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from tests.helpers.client.process import DaemonProcess, poll_until, run_daemon
from tests.systemd.page_commands import list_mentions, read_blocks

pytestmark = pytest.mark.slow

PAGE: Final = "after-a-ban.md"
TONIGHT, MORNING = "Tonight", "In the morning"
COME_BACK, NEW_CHATS = "Come back", "New chats again"
EXAMPLES: Final = ("ban_01KJT3D3C0013J8NWDWJ6VVV0D", "ventas", "+5491155550101")
"""What stands on the page for a ban, a session and its number."""
RUN_ELSEWHERE: Final = {
    *("leadmaster halt REASON", "leadmaster resume REASON"),  # test_burnt_server
    "leadmaster queue cancel MESSAGE",  # test_cli
}
"""What its sentences name beside its blocks, and where it is tested."""
SETTINGS: Final = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = {start}
rate = 20.0
[simulated]
script = "{folder}/script.json"
"""
BANNED_AT: Final = "2026-03-03T15:00:00Z"
"""Tuesday noon in Buenos Aires; the ban comes two minutes later."""
AFTER_71_HOURS, AFTER_73_HOURS = "2026-03-06T14:00:00Z", "2026-03-06T16:00:00Z"
AFTER_13_DAYS, AFTER_15_DAYS = "2026-03-16T15:00:00Z", "2026-03-18T15:00:00Z"
SCRIPT: Final = {
    "scan_after": 2,
    "line": [{"at": 60, "do": "ban", "session": "banned", "seconds": 3600}],
}


class House:
    """A daemon in a folder, and the commands of this journey."""

    def __init__(self, daemon: DaemonProcess, folder: Path) -> None:
        self.daemon = daemon
        self.folder = folder
        self._people = 0

    def follow(self, section: str, *own: str) -> str:
        """Run the commands of a section of the page, with our own ban, session and number."""
        printed = ""
        for block in read_blocks(PAGE, sections=(section,)):
            for line in block.fill_in(dict(zip(EXAMPLES, own, strict=False))).splitlines():
                program, *words = shlex.split(line)
                assert program == "leadmaster"
                printed += self.daemon.run_command(*words)
        return printed

    def move_clock(self, start: str) -> None:
        """Stop the daemon, and start it at another moment."""
        assert self.daemon.stop() == 0
        self.daemon.settings = SETTINGS.format(folder=self.folder, start=start)
        self.daemon.start()

    def link(self, name: str) -> None:
        """Add a session, and wait until its phone is linked."""
        self.daemon.run_command("sessions", "add", name, "--start")
        self.wait_for_session(name, "ready")

    def wait_for_session(self, name: str, state: str) -> None:
        """Wait until a session is in a state."""
        get = self.daemon.client.get
        poll_until(lambda: get("sessions", name)["state"] == state, f"{name} {state}")

    def write_to_somebody(self, session: str) -> str:
        """Enqueue a first contact through a session; return the message's id."""
        self._people += 1
        phone = f"+549114556{self._people:04d}"
        made = self.daemon.client.post(
            "prospects",
            phone=phone,
            cartera_origen="feria",
            permission="opted_in",
            statement="ticked the box",
        )
        path = ("prospects", made["id"], "validate")
        self.daemon.client.post(*path, validated=True, reason="I called them")
        text = f"Hola {self._people}, le escribo por la feria"
        return str(self.daemon.client.send(phone, text, session=session, wait=True)["id"])

    def get_message(self, message: str) -> dict[str, Any]:
        """Return a message as it is shown, with what it waits for."""
        found: dict[str, Any] = self.daemon.client.get("messages", message)
        return found

    def wait_until_left(self, message: str) -> None:
        """Wait until a message was acknowledged."""
        poll_until(
            lambda: self.get_message(message)["message"]["state"] in {"sent", "delivered", "read"},
            f"{message} sent",
        )

    def list_stops(self, session: str) -> list[str]:
        """Return what stops the new chats of a session's number."""
        items = self.daemon.run_json_command("budgets", "list")["items"]
        [number] = [each for each in items if session in each["sessions"]]
        return [stop["code"] for stop in number["stops"]]


def test_every_command_of_the_page_is_run() -> None:
    """By the test below; what a sentence names has its own test."""
    followed = {TONIGHT, MORNING, COME_BACK, NEW_CHATS}
    assert {block.section for block in read_blocks(PAGE)} == followed
    assert list_mentions(PAGE) == RUN_ELSEWHERE


def test_after_a_ban_other_numbers_wait_72_hours_and_a_new_one_14_days(tmp_path: Path) -> None:
    """No restart opens a stop before its time; each opens at its time by itself."""
    (tmp_path / "script.json").write_text(json.dumps(SCRIPT), encoding="utf-8")
    settings = SETTINGS.format(folder=tmp_path, start=BANNED_AT)
    with run_daemon(tmp_path, settings) as daemon:
        house = House(daemon, tmp_path)
        house.link("other")
        house.link("banned")
        house.wait_for_session("banned", "banned_temporarily")
        house.link("fresh")
        waiting = house.write_to_somebody("other")
        assert house.get_message(waiting)["message"]["state"] == "cleared"
        assert house.list_stops("banned") == ["new_chats_stopped", "number_banned"]
        assert house.list_stops("other") == ["other_number_banned"]
        assert house.list_stops("fresh") == ["reply_only_after_ban", "other_number_banned"]
        [ban] = daemon.run_json_command("bans", "list")["items"]
        client = daemon.client
        poll_until(lambda: client.get("alerts", open="true")["items"] != [], "the alert")
        [alert] = client.get("alerts", open="true")["items"]
        assert (alert["code"], alert["subject"]) == ("number_banned", "banned")
        tonight = house.follow(TONIGHT)
        assert ban["id"] in tonight
        assert alert["sentence"] in tonight
        assert alert["sentence"] in daemon.run_command("alerts", "list")
        read = house.follow(MORNING, ban["id"])
        assert "banned_too_many_unknown_people" in read
        assert waiting in read
        assert "other_number_banned" in json.dumps(daemon.run_json_command("status")["warnings"])

        house.move_clock(AFTER_71_HOURS)
        house.wait_for_session("other", "ready")
        assert house.list_stops("other") == ["other_number_banned"]
        assert house.get_message(waiting)["message"]["state"] == "cleared"

        house.move_clock(AFTER_73_HOURS)
        house.wait_until_left(waiting)
        assert house.list_stops("fresh") == ["reply_only_after_ban"]
        assert house.list_stops("banned") == ["new_chats_stopped", "number_banned"]

        house.move_clock(AFTER_13_DAYS)
        house.wait_for_session("fresh", "ready")
        early = house.write_to_somebody("fresh")
        assert house.get_message(early)["message"]["blocked_by"] == "session_reply_only"

        (tmp_path / "script.json").write_text("{}", encoding="utf-8")  # no second ban
        house.move_clock(AFTER_15_DAYS)
        house.wait_until_left(early)
        assert house.list_stops("fresh") == []
        house.follow(COME_BACK, ban["id"], "banned")
        house.wait_for_session("banned", "ready")
        [number] = [
            each
            for each in daemon.run_json_command("budgets", "list")["items"]
            if "banned" in each["sessions"]
        ]
        house.follow(NEW_CHATS, ban["id"], "banned", number["phone"])
        assert house.list_stops("banned") == ["reply_only_after_ban"]
