"""What was received stays on the disk until the daemon has stored it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import InboundMessage, Origin, ReceiptKind
from daemon.api.signals import Receipt as PlatformReceipt
from daemon.linked_worker.protocol import decode_signal, encode_signal
from daemon.linked_worker.signal_spool import SPOOL_FILE, SignalSpool, SpoolUnreadable

ANA = Identity(IdentityKind.PHONE, "+5491155550101")
MOMENT = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def build_inbound(text: str) -> InboundMessage:
    """Return a message from Ana."""
    return InboundMessage("WIRE", ANA, text, MOMENT)


def append_all(spool: SignalSpool, *texts: str) -> list[int]:
    """Append messages; return their numbers."""
    return [spool.append(encode_signal(build_inbound(text))).number for text in texts]


def list_texts(spool: SignalSpool) -> list[str]:
    """Return the texts of what is unstored."""
    return [str(each.fields["text"]) for each in spool.list_unstored()]


def read_left(folder: Path) -> list[str]:
    """Return the texts that the next worker finds."""
    with closing(SignalSpool(folder)) as spool:
        return list_texts(spool)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[SignalSpool]:
    """Return an empty spool."""
    with closing(SignalSpool(tmp_path, max_bytes=500)) as opened:
        yield opened


def test_what_was_not_acknowledged_is_there_after_a_restart(
    spool: SignalSpool, tmp_path: Path
) -> None:
    """In its order, under new numbers, whatever was acknowledged first."""
    numbers = append_all(spool, "one", "two", "three")
    spool.acknowledge(numbers[1])
    with closing(SignalSpool(tmp_path)) as left:
        # The file still has "two", which the daemon knows by its id.
        assert list_texts(left) == ["one", "two", "three"]
        assert [each.number for each in left.list_unstored()] == [1, 2, 3]
        assert append_all(left, "four") == [4]


def test_a_file_without_unstored_signals_is_empty(spool: SignalSpool, tmp_path: Path) -> None:
    """Bodies stay no longer than they must."""
    for number in append_all(spool, "one", "two"):
        spool.acknowledge(number)
    spool.acknowledge(7)  # nobody's
    assert (tmp_path / SPOOL_FILE).read_bytes() == b""
    append_all(spool, "three")
    assert read_left(tmp_path) == ["three"]


def test_what_waited_is_not_live_any_more(spool: SignalSpool) -> None:
    """It is told as what waited on the platform; the rest of it stays as it was."""
    append_all(spool, "hola")
    receipt = PlatformReceipt("WIRE", ANA, ReceiptKind.READ, MOMENT)
    spool.append(encode_signal(receipt))
    inbound, second = [decode_signal(each) for each in spool.list_unstored()]
    assert isinstance(inbound, InboundMessage)
    assert (inbound.origin, inbound.text, inbound.written_at) == (Origin.OFFLINE, "hola", MOMENT)
    assert second == receipt


def test_half_a_line_of_a_power_cut_is_left_out(spool: SignalSpool, tmp_path: Path) -> None:
    """It was not handed over, and the rest is."""
    append_all(spool, "one", "two")
    path = tmp_path / SPOOL_FILE
    path.write_bytes(path.read_bytes()[:-5])
    with closing(SignalSpool(tmp_path)) as left:
        append_all(left, "three")
    assert read_left(tmp_path) == ["one", "three"]


@pytest.mark.parametrize("line", ["{}", "?", '{"type":"signal","name":"Rumour","fields":{}}'])
def test_what_this_version_can_not_read_is_not_thrown_away(tmp_path: Path, line: str) -> None:
    """A person reads it: there may be an opt-out in it."""
    path = tmp_path / SPOOL_FILE
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(SpoolUnreadable, match="suppress add"):
        SignalSpool(tmp_path)
    assert path.read_text(encoding="utf-8") == f"{line}\n"


def test_a_spool_is_full_until_something_of_it_is_stored(
    spool: SignalSpool, tmp_path: Path
) -> None:
    """Whatever its file holds, only what is unstored counts."""
    numbers = append_all(spool, "a" * 50)
    before = spool.is_full
    append_all(spool, "b" * 150)
    full = spool.is_full
    spool.acknowledge(numbers[0])
    spool.wait_for_room()
    assert (before, full, spool.is_full) == (False, True, False)
    assert read_left(tmp_path)[1:] == ["b" * 150]


def test_a_file_that_is_never_empty_does_not_grow_for_ever(
    spool: SignalSpool, tmp_path: Path
) -> None:
    """It is written anew without what was stored."""
    [first] = append_all(spool, "stays")
    for number in range(20):
        [each] = append_all(spool, str(number))
        spool.acknowledge(each)
        assert (tmp_path / SPOOL_FILE).stat().st_size < 1500
    append_all(spool, "last")
    left = read_left(tmp_path)
    assert (left[0], left[-1]) == ("stays", "last")
    spool.acknowledge(first)
    assert list_texts(spool) == ["last"]
