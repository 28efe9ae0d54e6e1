"""How long one message takes to be read: a usual one, and the worst of the longest."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from daemon.inbound.contact_requests import read_contact_request
from daemon.inbound.contact_requests.folding import READ_CHARACTERS
from tools.split_contact_requests import read_labelled_messages, select_part

CORPUS: Final = Path(__file__).parents[1] / "tests" / "data" / "contact_requests.csv"
TYPICAL_GOAL_MS: Final = 0.5
WORST_GOAL_MS: Final = 30.0
_ROUNDS: Final = 5
_MIXTURES: Final = 60


def run() -> dict[str, object]:
    """Print and return milliseconds of CPU: the mean of usual messages, the slowest long ones."""
    usual = [each.text for each in select_part(read_labelled_messages(CORPUS), put_aside=False)]
    read_contact_request(usual[0])  # loads the lexicon
    typical = min(_measure(usual) for _ in range(_ROUNDS)) / len(usual)
    slowest = sorted(
        ((min(_measure([text]) for _ in range(2)), label) for label, text in _list_long(usual)),
        reverse=True,
    )[:5]
    print(f"  a usual message: {typical:.2f} ms (goal {TYPICAL_GOAL_MS:g})")
    for milliseconds, label in slowest:
        print(f"  {READ_CHARACTERS} characters of {label!r}: {milliseconds:.1f} ms")
    print(f"  the slowest: {slowest[0][0]:.1f} ms (goal {WORST_GOAL_MS:g})")
    return {"typical_ms": typical, "slowest": slowest}


def _measure(texts: Sequence[str]) -> float:
    """Return the milliseconds of CPU that reading these takes."""
    begun = time.process_time()
    for text in texts:
        read_contact_request(text)
    return (time.process_time() - begun) * 1000


def _list_long(usual: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield messages of full length: each word repeated, and words in random order."""
    words = sorted({word for text in usual for word in text.split()})[::3]
    for word in [*words, "(", "🛑", "❌ 🛑", "1,", "a."]:
        yield word, _fill(f"{word} ")
    drawn = random.Random(1)  # noqa: S311 - the same messages each time
    for _ in range(_MIXTURES):
        few = drawn.sample(words, 4)
        yield " ".join(few), _fill(" ".join(drawn.choice(few) for _ in range(900)) + " ")


def _fill(text: str) -> str:
    return (text * (READ_CHARACTERS // len(text) + 1))[:READ_CHARACTERS]
