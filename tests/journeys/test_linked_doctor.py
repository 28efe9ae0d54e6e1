"""`leadmaster doctor --linked`: the way to WhatsApp, and a link that is recorded and replayed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.cli.linked_checks import check_budgets
from daemon.cli.whatsapp_probe import check_skew
from daemon.linked_worker.neonize_driver.frame_trace import TracedFrame
from daemon.settings import PacingSettings
from tests.virtual_whatsapp.journal import PATIENCE_SECONDS
from tests.virtual_whatsapp.library import build_environment
from tests.virtual_whatsapp.linked_daemon import run_linked_daemon
from tests.virtual_whatsapp.linked_recorder import record_link, run_doctor, start_doctor
from tests.virtual_whatsapp.linked_trace import build_node, compare_traces, replay_trace
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER = "+5491155550001"
NOTICE = "notification[from=@s.whatsapp.net id t type=other](other)"
CUT_OFF = "stream:error[code=401](conflict[type=device_removed])"


async def test_each_line_says_ok_warn_or_fail(tmp_path: Path) -> None:
    """Library, reach, TLS and clock are ok; without a daemon there is nothing to halt."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        status, output = await run_doctor(whatsapp, tmp_path)
    assert status == 0
    assert re.findall(r"^(ok|warn|fail) +(\w+)", output, re.MULTILINE) == [
        ("ok", "library"),
        ("ok", "reach"),
        ("ok", "tls"),
        ("ok", "clock"),
        ("ok", "budget"),
        ("warn", "stop"),
        *[("ok", "watch")] * 4,
    ]
    assert "certified by Virtual WhatsApp" in output
    assert "halt REASON" in output


async def test_a_way_that_is_closed_or_read_along_fails(tmp_path: Path) -> None:
    """Nobody gets through; then somebody answers in WhatsApp's place."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        whatsapp.close_network()
        closed = await run_doctor(whatsapp, tmp_path)
    (tmp_path / "other").mkdir()
    async with VirtualWhatsApp(tmp_path / "other") as whatsapp:
        proxy = whatsapp.environment["HTTPS_PROXY"]
        # The authority of another test: as where a proxy reads what is encrypted.
        strange = tmp_path / "authority.pem"
        whatsapp.environment = build_environment(proxy, strange, whatsapp.root_key)
        strangers = await run_doctor(whatsapp, tmp_path)
    assert closed[0] == strangers[0] == 1
    assert re.search("^fail reach .* can't be reached: .*403", closed[1], re.MULTILINE)
    assert re.search("^fail tls .* has no certificate for it", strangers[1], re.MULTILINE)


@pytest.mark.parametrize(("seconds", "grade"), [(5, "ok"), (60, "warn"), (-900, "fail")])
def test_the_clock_is_compared_with_whatsapps(seconds: float, grade: str) -> None:
    """Some seconds are nothing; minutes are too many."""
    now = datetime.now(UTC)
    assert check_skew(now + timedelta(seconds=seconds), now).grade == grade


def test_a_wider_budget_is_warned_of() -> None:
    """The shipped one is for a number that is to live."""
    [shipped] = check_budgets(PacingSettings())
    [wider] = check_budgets(PacingSettings(new_chats_first_week=20))
    assert (shipped.grade, wider.grade) == ("ok", "warn")


async def test_the_state_of_each_linked_phone_is_a_line(tmp_path: Path) -> None:
    """One that is ready is ok; one that was banned fails, and a halt is warned of."""
    async with run_linked_daemon(tmp_path) as house:
        phone = house.whatsapp.add_phone(NUMBER)
        await house.link("ventas", phone)
        ready = await house.run("doctor", "--linked")
        await house.post("halt", reason="a look")
        await house.whatsapp.unlink(phone, next(iter(phone.devices.values())))
        await house.wait_for_state("ventas", "logged_out")
        look_again = partial(house.daemon.run_command, "doctor", "--linked", expect=1)
        gone = await asyncio.to_thread(look_again)
    assert re.search("^ok +stop ", ready, re.MULTILINE)
    assert re.search("^ok +phone +ventas is ready, sending: all", ready, re.MULTILINE)
    assert re.search("^warn stop +All sending is halted", gone, re.MULTILINE)
    assert re.search("^fail phone +ventas is logged_out", gone, re.MULTILINE)


async def test_a_recorded_link_is_replayed_and_what_differs_is_named(tmp_path: Path) -> None:
    """Two links to the same WhatsApp are alike; what only one of them does is found."""
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        phone = whatsapp.add_phone(NUMBER)
        recorded = await record_link(whatsapp, phone, tmp_path, seconds=1)
        assert not phone.devices  # it was unlinked again
    written = (tmp_path / "recorded.jsonl").read_text(encoding="utf-8")
    assert {"success[lid=@lid t]", "stream:error[code=515]"} <= {each.shape for each in recorded}
    assert NUMBER.removeprefix("+") not in written
    assert compare_traces(recorded, recorded) == []

    notice = TracedFrame(len(recorded) + 1, 9.0, "server", NOTICE)
    [asked] = [each for each in recorded if "passive" in each.shape]
    [answer] = [each for each in recorded if each.answers == asked.number]
    refused = TracedFrame(answer.number, answer.seconds, "server", "iq[type=error]", answer.answers)
    place = recorded.index(answer)
    # Whether the device still reads why it was cut off is no difference: it had asked for it.
    read = [each for each in recorded if each.shape != CUT_OFF]
    otherwise = [*read[:place], refused, notice, *read[place + 1 :]]
    cut_off = TracedFrame(len(recorded) + 2, 9.5, "server", CUT_OFF)
    assert compare_traces([*read, cut_off], read) == compare_traces(read, [*read, cut_off]) == []
    (tmp_path / "replayed").mkdir()
    differences = await replay_trace(otherwise, tmp_path / "replayed")
    assert differences == [
        f"only WhatsApp sends {NOTICE}",
        f"WhatsApp answers {asked.shape} with iq[type=error], the virtual one with {answer.shape}",
    ]


async def test_a_recording_without_a_way_to_whatsapp_says_so(tmp_path: Path) -> None:
    """In a sentence; no empty file is left."""
    path = tmp_path / "trace.jsonl"
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        whatsapp.close_network()
        process = await start_doctor(whatsapp, tmp_path, "--record", str(path))
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert "The link ended before the phone was connected." in errors.decode()
    assert not path.exists()


@pytest.mark.parametrize("linked", [False, True])
async def test_a_recording_that_is_interrupted_unlinks(tmp_path: Path, *, linked: bool) -> None:
    """Ctrl-C while the code is shown, or while it listens: no device of ours is left."""
    path = tmp_path / "trace.jsonl"
    async with VirtualWhatsApp(tmp_path) as whatsapp:
        phone = whatsapp.add_phone(NUMBER)
        words = ("--record", str(path), *(["--json"] if linked else []))
        process = await start_doctor(whatsapp, tmp_path, *words)
        assert process.stdout is not None
        if linked:
            shown = json.loads(await process.stdout.readline())
            await whatsapp.scan(phone, shown["code"])
            await process.stdout.readuntil(b"Listening")
            assert len(phone.devices) == 1
        else:
            await process.stdout.readuntil(b"code 1 of 6; scan it under Linked devices")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, errors = await process.communicate()
    assert (process.returncode, errors.strip()) == (130, b"interrupted")
    assert not phone.devices
    assert not path.exists()


def test_a_shape_is_sent_again_as_a_node() -> None:
    """With empty values, its children and the kinds of its addresses."""
    node = build_node("message[from=@lid id type=text](enc[type=pkmsg v] other(ref+))")
    assert str(node.jid("from")).endswith("@lid")
    assert (node.text("type"), [each.tag for each in node.children]) == ("text", ["enc", "other"])
    assert node.find("other", "ref") is not None
