"""A process killed in the middle of a burst loses nothing that it had acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage import event_log
from tests.helpers.services.notes_database import add_note, list_note_texts, open_notes_database


def killed_after(folder: Path, acknowledgements: int) -> list[str]:
    """Run the burst, kill it outright after so many acknowledgements; return all that it gave."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.programs.write_until_killed", str(folder)],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(acknowledgements)]
        process.kill()
        acknowledged += process.stdout.readlines()
    return [line.decode().strip() for line in acknowledged]


@pytest.mark.parametrize("acknowledgements", [1, 50, 400])
async def test_a_killed_process_loses_no_acknowledged_write(
    tmp_path: Path, acknowledgements: int
) -> None:
    """Each is there after the restart, with its event, and the next start needs no help."""
    acknowledged = killed_after(tmp_path, acknowledgements)
    assert len(acknowledged) >= acknowledgements
    async with open_notes_database(tmp_path) as database:
        stored = await database.read(list_note_texts)
        assert set(acknowledged) <= set(stored)
        events = await database.read(lambda r: event_log.list_events_after(r, 0, 1_000_000))
        assert [event.subject for event in events] == stored
        assert [event.seq for event in events] == list(range(1, len(stored) + 1))
        assert await database.write(add_note("next")) == len(stored) + 1
