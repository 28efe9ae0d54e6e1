"""Splits the corpus of contacts' messages into the open part and the part that is put aside.

The reader is tuned on the open part; the other is measured and not looked at. Which part a message
belongs to depends on its text alone, so a message that is added later never moves another.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

PUT_ASIDE_DIVISOR: Final = 3
"""One message of so many is put aside."""


class LabelledMessage(NamedTuple):
    """A message as somebody wrote it, the class that a person read in it, and its language."""

    text: str
    expected: str
    lang: str


def is_put_aside(text: str) -> bool:
    """Tell whether a message belongs to the part that only measures."""
    return zlib.crc32(text.encode()) % PUT_ASIDE_DIVISOR == 0


def read_labelled_messages(path: Path) -> list[LabelledMessage]:
    """Return the rows of a file with the columns `text`, `expected` and `lang`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            LabelledMessage(row["text"], row["expected"], row["lang"])
            for row in csv.DictReader(file)
        ]


def select_part(messages: Iterable[LabelledMessage], *, put_aside: bool) -> list[LabelledMessage]:
    """Return the messages of one part, in their order."""
    return [each for each in messages if is_put_aside(each.text) is put_aside]


def main() -> None:
    """Write the open part of a file to standard output."""
    parser = argparse.ArgumentParser(description="Print the open part of a corpus.")
    parser.add_argument("file", type=Path, help="CSV with text, expected and lang")
    messages = read_labelled_messages(parser.parse_args().file)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(LabelledMessage._fields)
    writer.writerows(select_part(messages, put_aside=False))


if __name__ == "__main__":
    main()
