"""The script's form: what is wrong is named with file and key; the seed decides the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.api.permit import PermitVerifier
from daemon.api.signals import Signal
from daemon.api.transport import CannotOpen, OpenContext, SessionInfo
from daemon.plugins.transport_manual import leadmaster_declare_channels as manual_channels
from daemon.plugins.transport_simulated import (
    leadmaster_declare_channels,
    open_simulated_transport,
)
from daemon.plugins.transport_simulated.contacts import SimulatedContacts
from daemon.plugins.transport_simulated.script import (
    ContactBehaviour,
    SimulationScript,
    load_script,
)
from daemon.worker_launcher import launch_worker
from tests.helpers.clock import FakeClock
from tests.helpers.transport import ANA, BRUNO, PermitFactory, open_test_transport

PROBLEMS = {
    "{": "the script is no JSON",
    "[]": "script: must be an object",
    '{"scan_afer": 3}': "scan_afer: there is no such key",
    '{"scan_after": "soon"}': "scan_after: Expected",
    '{"scan_after": -1}': "scan_after: Expected",
    '{"pairing": "perhaps"}': "pairing: Invalid enum value 'perhaps'",
    '{"contacts": []}': "contacts: must be an object",
    '{"contacts": {"011 4555": {}}}': "contacts.011 4555: Expected",
    '{"contacts": {"+5491145550001": 3}}': "contacts.+5491145550001: must be an object",
    '{"contacts": {"+5491145550001": {"ack_delay": "x"}}}': "contacts.+5491145550001.ack_delay: ",
    '{"contacts": {"+5491145550001": {"reply": {"txt": "BAJA"}}}}': (
        "contacts.+5491145550001.reply: Object contains unknown field `txt`"
    ),
    '{"defaults": {"read_rate": 2}}': "defaults.read_rate: Expected",
    '{"line": {}}': "line: must be a list",
    '{"line": [{"at": 1}]}': "line[0]: needs at (seconds) and do",
    '{"line": [{"at": 1, "do": "sing"}]}': "line[0].do: Invalid enum value 'sing'",
    '{"line": [{"at": 1, "do": "write"}]}': "line[0].contact: write needs a phone number, or an",
}


@pytest.mark.parametrize("text", PROBLEMS, ids=PROBLEMS.values())
def test_a_problem_is_named_with_file_and_key(tmp_path: Path, text: str) -> None:
    """A script with a slip does not run as something else."""
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(CannotOpen) as error:
        load_script(str(path))
    assert f"{path}: {PROBLEMS[text]}" in str(error.value)


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    """No file, no friendly world in its place."""
    with pytest.raises(CannotOpen, match="can't be read"):
        load_script(str(tmp_path / "none.json"))


def test_without_a_script_everybody_is_friendly() -> None:
    """All are on WhatsApp, get it and read it."""
    assert load_script("") == SimulationScript()
    assert SimulatedContacts(SimulationScript(), 1).answer_number_check(ANA).answer == "yes"


def test_contacts_stand_on_the_defaults(tmp_path: Path) -> None:
    """What a contact does not say is as the script's defaults say."""
    path = tmp_path / "world.json"
    path.write_text(
        f'{{"defaults": {{"ack_delay": 3}}, "contacts": {{"{ANA}": {{"read_rate": 0}}}}}}'
    )
    assert load_script(str(path)).contacts == {ANA: ContactBehaviour(ack_delay=3, read_rate=0)}


def test_rates_are_shares_of_contacts_and_belong_to_the_seed() -> None:
    """About a third of many reads; another seed picks others; each always does the same."""
    script = SimulationScript(defaults=ContactBehaviour(read_rate=1 / 3))
    phones = [f"+54911455{number:05}" for number in range(600)]

    def readers(seed: int) -> set[str]:
        world = SimulatedContacts(script, seed)
        return {phone for phone in phones if world.chance("read", phone) < 1 / 3}

    assert 150 < len(readers(1)) < 250
    assert readers(1) == readers(1)
    assert readers(1) != readers(2)


async def transcript(folder: Path, seed: int) -> list[Signal | object]:
    """Run one eventful quarter of an hour and return everything that was seen."""
    clock = FakeClock()
    script = {
        "scan_after": 70,
        "defaults": {"read_rate": 0.5, "reply": {"text": "Gracias"}, "reply_rate": 0.5},
        "line": [{"at": 300, "do": "write", "contact": BRUNO, "text": "Hola"}],
    }
    async with open_test_transport(
        folder, clock, script, seed=seed, permits=PermitFactory(clock)
    ) as line:
        await line.transport.connect()
        await clock.advance(100)
        results: list[Signal | object] = [
            await line.send(f"+5491145551{number:03}") for number in range(20)
        ]
        await clock.advance(800)
        return line.received_signals + results


async def test_the_same_seed_gives_the_same_transcript(tmp_path: Path) -> None:
    """Codes, ids, delays, readers and replies; another seed gives another."""
    first = await transcript(tmp_path / "a", 11)
    assert len(first) > 100
    assert first == await transcript(tmp_path / "b", 11)
    assert first != await transcript(tmp_path / "c", 12)


async def test_a_seed_is_a_whole_number(tmp_path: Path) -> None:
    """The option is named when it is not."""
    clock = FakeClock()
    info = SessionInfo("ventas", False, None, tmp_path, {"seed": "seven"})
    verifier = PermitVerifier(PermitFactory(clock).signer.public_key)
    with pytest.raises(CannotOpen, match=r"simulated\.seed"):
        await open_simulated_transport(OpenContext(info, clock, verifier, launch_worker))


def test_the_channels_say_what_they_are() -> None:
    """Only the simulated one may run on an injected clock; the manual one has no line."""
    (simulated,), (manual,) = leadmaster_declare_channels(), manual_channels()
    assert (simulated.name, simulated.connects, simulated.simulated) == ("simulated", True, True)
    assert (manual.name, manual.connects, manual.simulated) == ("manual", False, False)
    assert manual.open is None
