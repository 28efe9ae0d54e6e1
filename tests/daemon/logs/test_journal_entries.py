"""The journal gets each line with its values as fields, and what it does not take is not lost."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.logs.journal import JournalHandler, encode_journal_entry, is_journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket to which entries come, as to systemd's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        receiver.bind(str(tmp_path / "journal"))
        yield receiver


def build_record(line: str) -> logging.LogRecord:
    """Return a record that is rendered as this line."""
    return logging.LogRecord("outbox", logging.WARNING, __file__, 1, line, None, None)


def test_the_values_of_a_line_are_fields(journal: socket.socket, tmp_path: Path) -> None:
    """Texts, numbers and flags; a name that can be no field's, or a list, is in the line alone."""
    line = json.dumps({"event": "sent", "session": "ventas", "n": 3, "all": [1], "a-b": 1, "x": ""})
    JournalHandler(logging.NullHandler(), tmp_path / "journal").handle(build_record(line))
    assert journal.recv(4096).decode().splitlines() == [
        f"MESSAGE={line}",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=leadmaster",
        "LM_EVENT=sent",
        "LM_SESSION=ventas",
        "LM_N=3",
        "LM_X=",
    ]


def test_a_value_of_more_lines_makes_no_field_of_its_own() -> None:
    """Its length comes first: what follows a line break is no `NAME=value`."""
    entry = encode_journal_entry(json.dumps({"exception": "one\nLM_SESSION=forged"}), 6)
    length = (len("one\nLM_SESSION=forged")).to_bytes(8, "little")
    assert entry.endswith(b"LM_EXCEPTION\n" + length + b"one\nLM_SESSION=forged\n")


@pytest.mark.parametrize("line", ['{"event": "x"}', "no JSON"])
def test_what_the_journal_does_not_take_goes_to_the_stream(tmp_path: Path, line: str) -> None:
    """Nobody listens, or it can't be an entry."""
    out = io.StringIO()
    JournalHandler(logging.StreamHandler(out), tmp_path / "nobody").handle(build_record(line))
    assert out.getvalue() == f"{line}\n"


def test_a_stream_is_the_journal_only_where_systemd_says_so(tmp_path: Path) -> None:
    """The variable is inherited by processes whose output was led elsewhere."""
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        found = (tmp_path / "log").stat()
        assert is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not is_journal(stream, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
