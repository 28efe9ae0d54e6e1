"""A program that writes as fast as it can and prints each acknowledged write, until killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.helpers.services.notes_database import add_note, open_notes_database

PRODUCERS = 8


async def write_until_killed(folder: Path) -> None:
    """Write for ever; print one line for each acknowledged write."""
    async with open_notes_database(folder) as database:

        async def produce(producer: int) -> None:
            number = 0
            while True:
                word = f"{producer}-{number}"
                await database.write(add_note(word), urgent=producer % 2 == 0)
                # Past Python's buffer, which would be lost when the process is killed.
                os.write(sys.stdout.fileno(), f"{word}\n".encode())
                number += 1

        await asyncio.gather(*map(produce, range(PRODUCERS)))


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1])))
