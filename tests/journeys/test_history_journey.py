"""The past of a former system, from its files to the gate, and through a power cut."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from xlsxwriter import Workbook

from tests.helpers.client.process import (
    SCRIPTED_SETTINGS,
    DaemonProcess,
    build_cli_command,
    poll_until,
    run_daemon,
)
from tests.helpers.workbooks import write_rows

ANA, BETO, CARLA, DORA, ELI = (f"+54911412345{number}" for number in (67, 68, 69, 70, 71))
HEADERS = ("Celular", "Fecha y hora", "Sentido", "Mensaje", "Agente")
CHATS = (
    (ANA, "2026-02-20 10:00", "Enviado", "Hola, ¿le interesa?", "Marta"),
    (BETO, "2026-02-20 10:00", "Enviado", "Hola, ¿le interesa?", "Marta"),
    (BETO, "2026-02-20 11:00", "Recibido", "No me interesa, gracias", ""),
    (CARLA.replace("+549", "+54"), "2026-02-20 11:00", "Recibido", "BAJA", ""),
    (DORA, "2026-03-03 13:30", "Recibido", "Me interesa, mandame información", ""),
)
REFUSALS = "teléfono;fecha;motivo\nlista de 2025;;\n" + f"{ELI};15/01/2026;no quiere más\n"
MANY = 1_500


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon with a ready phone, to which nobody is known."""
    (tmp_path / "script.json").write_text('{"scan_after": 1, "step": 0.1}', encoding="utf-8")
    with run_daemon(tmp_path, SCRIPTED_SETTINGS.format(folder=tmp_path)) as started:
        started.client.post("sessions", name="ventas", channel="simulated")
        started.client.post("sessions", "ventas", "start")
        poll_until(
            lambda: started.client.get("sessions", "ventas")["state"] == "ready", "it is ready"
        )
        yield started


def write_workbook(path: Path, rows: Sequence[Sequence[str]]) -> str:
    """Write a workbook with the headers of a former system; return its path."""
    with Workbook(path) as book:
        write_rows(book.add_worksheet("Chats"), [HEADERS, *rows])
    return str(path)


def find_warning(daemon: DaemonProcess) -> str:
    """Return what the status says of the past; empty where nothing."""
    warnings = daemon.client.get("status")["warnings"]
    return next((each["sentence"] for each in warnings if each["code"] == "history_unknown"), "")


def send(daemon: DaemonProcess, phone: str) -> dict[str, Any]:
    """Ask for a message, and return it as it was evaluated."""
    sent = daemon.client.send(phone, "Hola, te escribo por la feria", wait=True)["id"]
    found: dict[str, Any] = daemon.client.get("messages", sent)["message"]
    return found


def test_whoever_said_no_last_year_is_not_written_to(daemon: DaemonProcess) -> None:
    """The numbers are unknown when the past comes in, and prospects who agreed afterwards."""
    assert "leadmaster history import" in find_warning(daemon)
    assert "leadmaster history import" in daemon.run_command("status")
    assert "history import FILE" in daemon.run_command("doctor")
    folder = daemon.folder
    chats = write_workbook(folder / "chats.xlsx", CHATS)
    done = daemon.run_command("history", "import", chats, "--yes")
    assert "Not used: Agente." in done
    assert "new 2 sent by us; 3 written by them" in done
    assert find_warning(daemon) == ""
    assert "What was sent before is known" in daemon.run_command("doctor")

    (folder / "bajas.csv").write_bytes(REFUSALS.encode("cp1252"))
    wrong = ("history", "import", str(folder / "bajas.csv"), "--kind", "opt_out", "--yes")
    assert "Nothing was imported: 1 of 2 records can't be read (2)." in daemon.run_command(
        *wrong, expect=2
    )
    assert "new 1 opted out" in daemon.run_command(*wrong, "--leave-out-rejected")

    people = "\n".join(f"{phone};feria;sí;form" for phone in (ANA, BETO, CARLA, DORA, ELI))
    (folder / "list.csv").write_text(
        f"Teléfono;Origen;Consentimiento;Evidencia\n{people}\n", encoding="utf-8"
    )
    given = ("--given-where", "fair", "--given-how", "field «WhatsApp»")
    daemon.run_command("prospects", "import", str(folder / "list.csv"), "--yes", *given)
    assert (send(daemon, BETO)["state"], send(daemon, BETO)["reason_code"]) == (
        "blocked",
        "refused",
    )
    assert send(daemon, CARLA)["reason_code"] == "suppressed"
    assert send(daemon, ELI)["reason_code"] == "suppressed"
    assert send(daemon, ANA)["first_contact"] is False
    dora = daemon.run_json_command("prospects", "show", DORA)
    assert dora["prospect"]["permission"] in {"opted_in", "relationship"}
    assert daemon.client.get("review", "inbound")["items"] == []


def test_a_power_cut_in_the_middle_loses_and_doubles_nothing(daemon: DaemonProcess) -> None:
    """The same file again goes on where it stopped; once more, it changes nothing."""
    rows = [
        (f"+5491150{number:06}", "2025-05-05 10:00", "Recibido", "no, gracias", "")
        for number in range(MANY)
    ]
    path = write_workbook(daemon.folder / "many.xlsx", rows)
    command = build_cli_command(
        "--config", str(daemon.config), "history", "import", path, "--yes", "--json"
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as cut:
        poll_until(lambda: count_new_lines(daemon), "some lines are stored")
        daemon.kill()
        cut.wait(60)
    daemon.start()
    assert 0 < count_new_lines(daemon) < MANY
    assert find_warning(daemon)
    report = daemon.run_json_command("history", "import", path, "--yes")
    assert (report["new"]["received"], report["known"], report["repeated"]) == (MANY, 0, False)
    assert find_warning(daemon) == ""
    again = daemon.run_json_command("history", "import", path, "--yes")
    assert again["repeated"]
    twice = write_workbook(daemon.folder / "twice.xlsx", rows[: MANY // 2] + rows[:1])
    report = daemon.run_json_command("history", "import", twice, "--yes")
    assert (sum(report["new"].values()), report["known"]) == (0, MANY // 2 + 1)


def count_new_lines(daemon: DaemonProcess) -> int:
    """Return how many lines of the latest import are stored."""
    imports = daemon.client.get("history")["imports"]
    return sum(imports[0]["new"].values()) if imports else 0


def test_a_person_says_that_there_is_nothing(daemon: DaemonProcess) -> None:
    """With a reason, which is kept with who and when."""
    assert "reason" in daemon.run_command("history", "none", expect=2)
    daemon.run_command("history", "none", "--reason", "a new firm")
    assert find_warning(daemon) == ""
    status = json.loads(daemon.run_command("history", "list", "--json"))
    assert status["declaration"]["reason"] == "a new firm"
