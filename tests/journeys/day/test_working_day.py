"""A working day over the virtual WhatsApp: at its end each invariant is kept, seen from outside.

`make day` prints what happens.
"""

from __future__ import annotations

import ast
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.day import checker
from tests.journeys.day.checker import Inbox, check_day
from tests.journeys.day.working_day import WorkingDay
from tests.virtual_whatsapp.linked_daemon import run_linked_daemon

pytestmark = pytest.mark.slow
ON_LOOP = pytest.mark.asyncio(loop_scope="module")

SEED = 2026
MOVED_FORWARD = "UPDATE events SET seq = -seq"
"""So that something happened before all else."""
ALL_OPEN = "UPDATE contacts SET stopped_reason = NULL, hold_scope = NULL"


@dataclass(frozen=True, slots=True)
class EndedDay:
    """What is left of a day: the database file, the inboxes, and the ids that were accepted."""

    database: Path
    inboxes: list[Inbox]
    accepted: list[str]

    def check(self) -> list[str]:
        """Return what does not hold."""
        return check_day(self.database, self.inboxes, self.accepted)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def day(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EndedDay]:
    """A day that has been worked through, once for all tests."""
    folder = tmp_path_factory.mktemp("day")
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:3.0f} s] {line}")

    async with run_linked_daemon(folder) as house:
        work = WorkingDay(house, SEED, say)
        await work.work()
        path = house.daemon.state_dir / "leadmaster.db"
        yield EndedDay(path, work.list_inboxes(), work.accepted)


@ON_LOOP
async def test_every_invariant_is_kept(day: EndedDay) -> None:
    """By SQL over the file, and by what forty phones received."""
    found = day.check()
    assert not found, "\n".join(found)
    assert sum(bool(each.received) for each in day.inboxes) >= 30


@ON_LOOP
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DELETE FROM messages WHERE id = (SELECT min(id) FROM messages)", "was accepted and is"),
        ("UPDATE messages SET state = 'sending' WHERE state = 'read'", "is still on its way"),
        ("UPDATE messages SET state = 'sent' WHERE wire_id IS NULL", "and never arrived"),
        ("UPDATE messages SET state = 'failed' WHERE state = 'read'", "is failed and arrived"),
        ("UPDATE messages SET text = text || '!' WHERE state = 'read'", "no message of ours"),
        ("UPDATE decisions SET verdict = 'review' WHERE phase = 'release'", "without an allow"),
        ("UPDATE decisions SET body_hash = 'x' WHERE phase = 'release'", "without an allow"),
        (f"{MOVED_FORWARD} WHERE type = 'contact.suppressed'", "to somebody who is suppressed"),
        (f"{MOVED_FORWARD} WHERE type = 'inbound.received'", "said no"),
        ("DELETE FROM inbound WHERE text <> ''", "it is stored 0 times"),
        (
            f"DELETE FROM suppressions; {ALL_OPEN}",
            "opted out and can be written to",
        ),
        (f"{MOVED_FORWARD} WHERE data LIKE '%banned_temporarily%'", "by a banned phone"),
        (f"{MOVED_FORWARD} WHERE data LIKE '%banned_temporarily%'", "began a chat after"),
        ("DELETE FROM spends WHERE kind = 'new_chat'", "is counted 0 times"),
        ("UPDATE message_history SET state = 'held' WHERE state = 'read'", "its history ends"),
        ("UPDATE message_history SET previous = 'held' WHERE state = 'read'", "from nowhere"),
    ],
)
async def test_the_checker_sees_what_is_wrong(
    day: EndedDay, tmp_path: Path, change: str, sentence: str
) -> None:
    """Each invariant is broken in a copy of the file, and is named."""
    copy = tmp_path / "leadmaster.db"
    with closing(sqlite3.connect(day.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            target.execute(f'DROP TRIGGER "{name}"')
        target.executescript(change)
    assert any(sentence in each for each in replace(day, database=copy).check())


@ON_LOOP
async def test_the_checker_sees_what_arrives_twice(day: EndedDay) -> None:
    """The phones of all people received each message a second time."""
    twice = [replace(each, received=[*each.received] * 2) for each in day.inboxes]
    assert any("2 times" in each for each in replace(day, inboxes=twice).check())


def test_the_checker_knows_nothing_of_the_product() -> None:
    """It imports the standard library alone."""
    nodes = list(ast.walk(ast.parse(Path(checker.__file__).read_text(encoding="utf-8"))))
    modules = {str(each.module) for each in nodes if isinstance(each, ast.ImportFrom)}
    modules |= {name.name for each in nodes if isinstance(each, ast.Import) for name in each.names}
    assert {each.partition(".")[0] for each in modules} <= sys.stdlib_module_names
