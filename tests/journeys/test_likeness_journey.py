"""The same promotion to six people, asked for by the interface of a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import SCRIPTED_SETTINGS, DaemonProcess, poll_until, run_daemon

pytestmark = pytest.mark.slow

PEOPLE = [f"+54911412345{number}" for number in range(60, 66)]
PROMOTION = "Hola {}, soy Leo de la feria de Rosario. Hay mesas, sillas y bancos a mitad de precio."
TYPED = ["Ana", "Beto", "Carla", "Dora", "Elsa", "Fabio"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a ready phone, and six people who agreed."""
    (tmp_path / "script.json").write_text('{"scan_after": 1, "step": 0.1}', encoding="utf-8")
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


def test_the_name_of_a_template_hides_no_mass_text(daemon: DaemonProcess) -> None:
    """Nobody has approved a template: each after the first waits for a person, as without one."""
    asked = []
    for phone, typed in zip(PEOPLE, TYPED, strict=True):
        more = {"template": "feria", "typed": typed}
        text = PROMOTION.format(typed)
        asked.append(daemon.client.send(phone, text, wait=True, **more)["id"])
        poll_until(lambda: get_message(daemon, asked[0])["sent_at"], "the first left")
    assert [get_message(daemon, each)["state"] for each in asked[1:]] == ["held"] * 5
    judged = daemon.client.get("messages", asked[1])["decisions"][-1]["document"]
    assert "mass_text" in [each["id"] for each in judged["contributions"]]


def get_message(daemon: DaemonProcess, message: str) -> dict[str, Any]:
    """Return a message as the daemon has it."""
    found: dict[str, Any] = daemon.client.get("messages", message)["message"]
    return found
