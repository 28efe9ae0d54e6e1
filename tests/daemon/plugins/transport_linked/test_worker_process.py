"""The contract of a driver, on a scripted process: answers, permits, crashes, silence, the end."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from daemon.api.permit import PermitRefused, PermitSigner
from daemon.api.signals import (
    Connected,
    InboundMessage,
    KeepAlive,
    Origin,
    QrIssued,
    Synced,
    TransportDied,
)
from daemon.api.transport import (
    Acknowledged,
    CannotOpen,
    NumberAnswer,
    OnWhatsApp,
    Refused,
    Unknown,
)
from daemon.linked_worker.protocol import MAX_TEXT_CHARACTERS, PermitRefusedAnswer
from daemon.linked_worker.signal_spool import SPOOL_FILE
from daemon.linked_worker.storage_check import DISK_FULL
from daemon.plugins.transport_linked import leadmaster_declare_channels
from tests.daemon.plugins.transport_linked.scripted_line import ANA, ScriptedLine
from tests.helpers.process_limits import limit_file_size
from tests.helpers.services.notes_database import yield_to_tasks

pytestmark = pytest.mark.slow

CLOSE_SECONDS = 3.0
PAST = 200


def list_deaths(line: ScriptedLine) -> list[str]:
    """Return what was said of the worker's death."""
    return [each.detail for each in line.signals if isinstance(each, TransportDied)]


async def test_a_worker_connects_and_answers_each_send(line: ScriptedLine) -> None:
    """Acknowledged, refused for certain, or unknown: nothing in between."""
    await line.open()
    acknowledged, refused, unknown = [
        await line.send(order) for order in ("ack", "refuse", "unknown")
    ]
    assert isinstance(acknowledged, Acknowledged)
    assert acknowledged.wire_id == "WIRE1"
    assert refused == Refused("463", "WhatsApp refused it.", code=463)
    assert unknown == Unknown("no_acknowledgement", "Nobody answered.")
    assert line.signals == [Connected(), Synced()]


async def test_a_number_check_and_a_list_of_contacts_are_answered(line: ScriptedLine) -> None:
    """As the driver answers them."""
    await line.open()
    assert await line.transport.check_numbers([ANA]) == [NumberAnswer(ANA, OnWhatsApp.YES)]
    assert await line.transport.contacts() == []


async def test_after_a_logout_the_next_worker_shows_a_code(line: ScriptedLine) -> None:
    """The login is gone."""
    await line.open()
    await line.transport.logout()
    assert not any(isinstance(each, QrIssued) for each in line.signals)
    await line.transport.connect()
    await line.wait_for(QrIssued)
    assert any(isinstance(each, QrIssued) for each in line.signals)


async def test_the_worker_itself_refuses_a_forged_permit(line: ScriptedLine) -> None:
    """The daemon's own check is not the last one."""
    await line.open()
    permit, _ = line.issue("ack")
    forged = PermitSigner().sign(permit)
    answer = await line.ask_worker(forged, "ack")
    assert isinstance(answer, PermitRefusedAnswer)
    assert answer.reason_code == "permit_forged"
    other_text = await line.ask_worker(permit, "refuse")
    assert isinstance(other_text, PermitRefusedAnswer)
    assert other_text.reason_code == "permit_body_differs"
    assert line.list_sent() == []


async def test_a_permit_is_spent_also_for_the_next_worker(line: ScriptedLine) -> None:
    """Its ledger is on disk."""
    await line.open()
    permit, _ = line.issue("ack")
    await line.ask_worker(permit, "ack")
    await line.close()
    await line.open()
    answer = await line.ask_worker(permit, "ack")
    assert isinstance(answer, PermitRefusedAnswer)
    assert answer.reason_code == "permit_used"
    assert line.list_sent() == ["ack"]


async def test_a_refused_permit_is_told_as_the_port_wants_it(line: ScriptedLine) -> None:
    """By the exception, not by an answer."""
    await line.open()
    with pytest.raises(PermitRefused):
        await line.send("ack", session="another")


async def test_a_text_beyond_the_limit_does_not_reach_the_driver(line: ScriptedLine) -> None:
    """WhatsApp would cut it."""
    await line.open()
    answer = await line.send("x" * (MAX_TEXT_CHARACTERS + 1))
    assert isinstance(answer, Refused)
    assert answer.reason_code == "text_too_long"
    assert line.list_sent() == []


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("exit", "ended"),
        ("raise", "failed: LookupError"),
        ("end the pump broke", "the pump broke"),
    ],
)
async def test_a_worker_that_dies_is_reported_once_and_its_send_is_unknown(
    line: ScriptedLine, order: str, why: str
) -> None:
    """With the reason; nobody can say what became of the message."""
    await line.open()
    answer = await line.send(order)
    assert isinstance(answer, Unknown)
    await line.wait_for_end()
    [death] = list_deaths(line)
    assert why in death
    late = await line.send("ack")
    assert isinstance(late, Refused)
    assert late.retryable


async def test_a_worker_without_a_heartbeat_is_given_up(line: ScriptedLine) -> None:
    """It may hang with its socket open."""
    line.environment = {"HEARTBEAT": "1000"}
    await line.open(heartbeat_timeout=0.5)
    await line.wait_for_end()
    assert list_deaths(line) == ["the worker was silent for 0.5 s"]


async def test_a_stopped_process_is_given_up_and_closed(line: ScriptedLine) -> None:
    """As one that hangs in a call of the kernel's."""
    line.environment = {"HEARTBEAT": "0.1"}
    await line.open(heartbeat_timeout=0.6)
    assert line.worker is not None
    os.kill(line.worker.pid, signal.SIGSTOP)
    await line.wait_for_end()
    assert list_deaths(line) == ["the worker was silent for 0.6 s"]
    await line.transport.close()
    assert await line.worker.wait() == -signal.SIGKILL


async def test_a_worker_that_grows_beyond_its_limit_is_given_up(line: ScriptedLine) -> None:
    """Before the kernel looks for somebody to kill."""
    line.environment = {"HEARTBEAT": "0.1"}
    await line.open(memory_limit_mb=200)
    await line.send("grow")
    await line.wait_for_end()
    [death] = list_deaths(line)
    assert "the limit is 200" in death


async def test_a_line_closes_in_time_while_the_library_hangs(line: ScriptedLine) -> None:
    """Whatever it does, its process is gone, and the send is unknown."""
    await line.open()
    hanging = asyncio.create_task(line.send("hang"))
    await line.wait_for(KeepAlive)
    began = time.monotonic()
    await line.transport.close()
    assert time.monotonic() - began < CLOSE_SECONDS
    assert isinstance(await hanging, Unknown)
    assert await line.wait_for_end() == [Connected(), Synced(), KeepAlive()]


async def test_more_signals_than_the_queue_holds_all_arrive(line: ScriptedLine) -> None:
    """The worker waits for the daemon, and its end loses none."""
    await line.open()
    await line.send("signals 3000")
    await line.send("exit")
    signals = await line.wait_for_end()
    assert sum(isinstance(each, KeepAlive) for each in signals) == 3000
    assert isinstance(signals[-1], TransportDied)


def list_inbound(line: ScriptedLine) -> list[tuple[str, Origin]]:
    """Return the text and the origin of each message that was reported."""
    return [(each.text, each.origin) for each in line.signals if isinstance(each, InboundMessage)]


async def test_what_was_not_stored_comes_again_from_the_next_worker(line: ScriptedLine) -> None:
    """The library has acknowledged it: nobody else has it any more."""
    await line.open()
    await line.wait_for(Synced)
    line.stores.clear()
    await line.send("inbound 3")
    await line.wait_for(InboundMessage)
    await line.close()
    assert list_inbound(line) == [("hola 0", Origin.LIVE)]
    line.signals.clear()
    line.stores.set()
    await line.open()
    await line.wait_for(Connected)
    # Before anything new, and also the one that was in the daemon's hands when it ended.
    assert list_inbound(line) == [(f"hola {number}", Origin.OFFLINE) for number in range(3)]
    await line.send("ack")  # it is read behind what was acknowledged
    await line.close()
    line.signals.clear()
    await line.open()
    await line.wait_for(Connected)
    assert list_inbound(line) == []


async def test_a_worker_that_receives_more_than_is_stored_ends(line: ScriptedLine) -> None:
    """WhatsApp keeps the rest; the next one connects when there is room, and nothing is lost."""
    line.environment = {"SPOOL_BYTES": "1000"}
    await line.open()
    await line.wait_for(Synced)
    line.stores.clear()
    await line.send("inbound 20")
    await line.wait_for(InboundMessage)
    assert line.worker is not None
    assert await line.worker.wait() == 0
    received = len((line.folder / SPOOL_FILE).read_text(encoding="utf-8").splitlines())
    assert 1 < received < 20
    await line.close()
    line.signals.clear()
    await line.open()
    await line.wait_for(InboundMessage)
    line.stores.set()
    await line.wait_for(Connected)
    assert len(list_inbound(line)) == received


async def test_the_past_waits_until_most_of_it_is_stored(line: ScriptedLine) -> None:
    """A phone that is linked replays thousands of messages; what is live goes between them."""
    await line.open()
    await line.wait_for(Synced)
    line.stores.clear()
    await line.send(f"past {PAST}")
    await line.wait_for(InboundMessage)
    for _ in range(20):
        await line.send("inbound 1")
    unstored = (line.folder / SPOOL_FILE).read_text(encoding="utf-8").splitlines()
    assert 20 < len(unstored) < PAST
    line.stores.set()
    await line.wait_for(InboundMessage, PAST + 20)
    texts = [text for text, _ in list_inbound(line)]
    assert texts.count("hola 0") == 21
    assert texts[-1] == f"hola {PAST - 1}"


async def test_a_worker_ends_that_can_not_keep_what_it_receives(line: ScriptedLine) -> None:
    """The one message may still be stored; what comes behind it stays with WhatsApp."""
    await line.open()
    await line.wait_for(Synced)
    assert line.worker is not None
    # More than the scripted driver writes itself, less than a message: part of it is written.
    resource.prlimit(line.worker.pid, resource.RLIMIT_FSIZE, (100, 100))
    await line.send("inbound 2")
    await line.wait_for_end()
    assert list_inbound(line) == [("hola 0", Origin.LIVE)]
    assert list_deaths(line) == ["what it receives can't be written to the disk"]


async def test_a_worker_ends_when_it_is_asked_to(line: ScriptedLine) -> None:
    """SIGTERM, as a service manager sends it."""
    await line.open()
    assert line.worker is not None
    os.kill(line.worker.pid, signal.SIGTERM)
    assert await line.worker.wait() == 0


def find_last_thread(process: int) -> int:
    """Return the thread of a process that was started last."""
    return max(int(each.name) for each in Path(f"/proc/{process}/task").iterdir())


async def test_a_worker_ends_whichever_of_its_threads_the_signal_reaches(
    line: ScriptedLine,
) -> None:
    """Handlers run in the main thread, which another one's signal does not wake."""
    await line.open()
    assert line.worker is not None
    process = line.worker.pid
    thread = find_last_thread(process)
    assert thread != process
    assert ctypes.CDLL(None).tgkill(process, thread, signal.SIGTERM) == 0
    assert await line.worker.wait() == 0


async def test_a_worker_ends_when_its_socket_does(line: ScriptedLine) -> None:
    """Where nobody listens, nothing may be sent."""
    await line.open()
    assert line.worker is not None
    line.worker.writer.close()
    assert await line.worker.wait() == 0


@pytest.mark.parametrize("end", ["the daemon's end", "a signal"])
async def test_what_was_received_at_the_end_is_handed_over_by_the_next_worker(
    line: ScriptedLine, end: str
) -> None:
    """WhatsApp was told that it is here, and does not send it again."""
    await line.open()
    await line.send("late 3")
    assert line.worker is not None
    if end == "a signal":
        os.kill(line.worker.pid, signal.SIGTERM)
    else:
        line.worker.writer.close()
    assert await line.worker.wait() == 0
    await line.close()
    # On a signal the socket is still open, so that the first ones may have come and be stored.
    before = list_inbound(line)
    line.signals.clear()
    await line.open()
    await line.wait_for(Connected)
    assert {text for text, _ in before + list_inbound(line)} == {"hola 0", "hola 1", "hola 2"}


async def test_a_library_that_is_missing_is_said_in_its_sentence(line: ScriptedLine) -> None:
    """With the command that installs it; trying again is no use."""
    (line.folder / "unavailable").write_text("Install it.", encoding="utf-8")
    with pytest.raises(CannotOpen, match="Install it"):
        await line.open()


async def test_a_second_worker_of_a_session_may_be_tried_again(line: ScriptedLine) -> None:
    """The first one is about to end."""
    await line.open()
    first = line.transport
    with pytest.raises(CannotOpen, match="still serves") as refused:
        await line.open()
    assert refused.value.retryable
    await first.close()


async def test_a_worker_that_finds_the_disk_full_may_be_tried_again(line: ScriptedLine) -> None:
    """It says so before it loads its library, which would connect all the same."""
    with limit_file_size(1000), pytest.raises(CannotOpen) as refused:
        await line.open()
    assert (str(refused.value), refused.value.retryable) == (DISK_FULL, True)


async def test_a_worker_ends_when_its_disk_is_full_twice_in_a_row(line: ScriptedLine) -> None:
    """Once may be a moment of somebody else's."""
    await line.open(heartbeat_timeout=0.6)
    await line.wait_for(Synced)
    assert line.worker is not None
    resource.prlimit(line.worker.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    await line.wait_for_end()
    assert list_deaths(line) == [DISK_FULL]


class MovedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test moves."""

    moved = 0.0

    def time(self) -> float:
        """Return the seconds of the clock, and by how many it was moved."""
        return super().time() + self.moved


def test_a_worker_may_be_silent_for_thirty_seconds_as_shipped(tmp_path: Path) -> None:
    """And not for longer, here on a clock that is moved."""
    loop = MovedLoop()

    async def stop_worker() -> None:
        line = ScriptedLine(tmp_path / "line")
        await line.open()
        await line.wait_for(Synced)
        assert line.worker is not None
        os.kill(line.worker.pid, signal.SIGSTOP)
        try:
            loop.moved = 29.0
            await yield_to_tasks()
            assert list_deaths(line) == []
            loop.moved = 31.0
            await line.wait_for_end()
            assert list_deaths(line) == ["the worker was silent for 30 s"]
        finally:
            await line.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(stop_worker())


@pytest.mark.parametrize(
    "options",
    [
        {"driver": 5},
        {"driver": ""},
        {"memory_limit_mb": "much"},
        {"memory_limit_mb": 0},
        {"heartbeat_timeout": True},
        {"trace": "yes"},
        {"slot": 0, "worker_socket": "/run/{slot}.sock"},
        {"slot": True, "worker_socket": "/run/{slot}.sock"},
        {"slot": 1},
        {"worker_socket": "/run/{slot}.sock"},
        {"worker_socket": "/run/{slot}/one.sock"},
        {"worker_socket": "run/{slot}.sock"},
        {"worker_socket": "/run/one.sock"},
        {"worker_socket": 7},
    ],
)
async def test_a_wrong_option_is_named(line: ScriptedLine, options: dict[str, object]) -> None:
    """Before any worker starts."""
    named = "slot" if options == {"worker_socket": "/run/{slot}.sock"} else next(iter(options))
    with pytest.raises(CannotOpen, match=f"linked.{named}"):
        await line.open(**options)
    assert line.worker is None


def test_only_the_settings_name_the_socket_of_a_worker() -> None:
    """Also of a session that was stored when its own options still could."""
    [channel] = leadmaster_declare_channels()
    settings = {"worker_socket": "/run/{slot}.sock", "driver": "neonize"}
    own = {"worker_socket": "/home/mallory/{slot}.sock", "slot": 3, "driver": "other"}
    merged = channel.merge_options(settings, own)
    assert merged == {"worker_socket": "/run/{slot}.sock", "driver": "other", "slot": 3}
