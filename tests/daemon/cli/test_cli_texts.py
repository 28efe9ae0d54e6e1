"""`leadmaster texts` against a real daemon: written, changed, approved, and shown on people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonCommands, run_daemon_in_state_folder

pytestmark = pytest.mark.slow

FOOTER = "Soy {quien}, de {origen_en_palabras}. Respondé BAJA y no escribimos."


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon with two people, of whom one has no name."""
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        agreed = ("--origin", "feria", "--permission", "relationship")
        daemon("prospects", "add", "+5491141234567", "--name", "GÓMEZ, Ángela", *agreed)
        daemon("prospects", "add", "+5491141234568", *agreed)
        yield daemon
        assert process.stop() == 0


def test_a_text_is_written_changed_approved_and_used(cli: DaemonCommands) -> None:
    """Each command says what there is now, in lines and as a document."""
    assert cli("texts", "list").out == "No text yet.\n"
    words = ("--body", "Hola {nombre}", "--footer", FOOTER)
    fallback = ("--fallback", "origen_en_palabras", "la feria")
    text = cli.run_json_command(
        "texts", "add", "Feria", "--purpose", "first_contact", *words, *fallback
    )["id"]
    assert "version 1: not approved" in cli("texts", "show", text).out
    changed = cli("texts", "change", text, "--body", "Buenas {nombre}", *words[2:], *fallback)
    assert changed.out.startswith(f"{text}: Feria (first_contact, es)\nversion 2: not approved\n")
    assert "version 2: approved by" in cli("texts", "approve", text, "2").out
    assert "It is approved already." in cli("texts", "approve", text, "2", status=2).err
    [row] = cli.run_json_command("texts", "list")["items"]
    assert [each["version"] for each in row["versions"] if each["approved_at"]] == [2]
    shown = cli("texts", "preview", text, "--permission", "relationship").out
    assert "Buenas Ángela" in shown
    assert "1 of 2 without nombre" in shown
    assert "session: there is no session that could take this message." in shown
    assert "Nobody is found." in cli("texts", "preview", text, "--search", "zzz").out
    people = cli.run_json_command("prospects", "list")["items"]
    [named] = [each["id"] for each in people if each["name"]]
    [nameless] = [each["id"] for each in people if not each["name"]]
    assert f"{text}@2" in cli("texts", "choices", named).out
    [left_out] = cli.run_json_command("texts", "choices", nameless)["items"]
    assert left_out["missing"] == ["nombre"]
    prepared = cli("texts", "prepare", text, "2", named)
    assert prepared.out.startswith("Buenas Ángela\n\nSoy ")
    assert f"--template {text}@2" in prepared.out
    assert "no number of your own yet" in cli("texts", "test", text, "2", status=2).err
    assert "They have no nombre" in cli("texts", "prepare", text, "2", nameless, status=2).err


def test_what_is_wrong_with_a_text_is_named_with_its_place(cli: DaemonCommands) -> None:
    """An unknown variable, and a first contact without who, whence, and how to stop."""
    add = ("texts", "add", "Otro", "--purpose")
    unknown = cli(*add, "answer", "--body", "Hola {nombr}", status=2).err
    assert "body: character 6" in unknown
    assert "the nearest is {nombre}" in unknown
    bare = cli(*add, "first_contact", "--body", "Hola {nombre}", status=2).err
    assert "a first contact says who writes" in bare
