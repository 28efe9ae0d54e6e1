"""How long one message takes to be read: a usual one, and the worst of the longest."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from daemon.inbound.contact_requests import read_contact_request
from daemon.inbound.contact_requests.folding import READ_CHARACTERS
from daemon.inbound.contact_requests.word_kinds import LEXICON_FOLDER
from tools.split_contact_requests import read_labelled_messages, select_part

CORPUS: Final = Path(__file__).parents[1] / "tests" / "data" / "contact_requests.csv"
TYPICAL_GOAL_MS: Final = 0.5
WORST_GOAL_MS: Final = 30.0
_ROUNDS: Final = 5
_MIXTURES: Final = 60
_WORD: Final = re.compile(r"[a-z]{2,}")

_DISTINCT: Final = [chr(0x4E00 + at) for at in range(READ_CHARACTERS)]
_HOSTILE: Final = {
    "each character a clause": "❌🛑",
    "an insult and a no, each a clause": "🖕❌",
    "a letter and a no, each a clause": "w👎",
    "a number and a no, each a clause": "8👎",
    "different letters, a no after each": "👎".join(_DISTINCT),
    "different letters, a question after each": "?".join(_DISTINCT),
    "different words": " ".join(_DISTINCT),
    "one long word of different letters": "".join(_DISTINCT),
    "one long word that unfolds to more letters": "㌀",
    "one long word": "ab",
    "no letters": "(",
    "numbers": "9 ",
    "numbers of a list": "3) ",
    "questions": "2?",
    "spelled words": "a.",
    "letters at other distances": "a b  c   ",
    "invisible characters": "a\u200b",
    "combining marks": "a\u0301\u0301? ",
    "things joined by and": "y mi ",
    "courtesy": "ok gracias ",
    "words of a wish": "can ",
    "a word of an opt-out": "bja ",
    "marks of a program": "hours ",
    "names": "J ",
    "slips of long words": "promosiones? ",
}
"""What a search for slow messages found, and what each step has most to do with."""


def run() -> dict[str, object]:
    """Print and return milliseconds of CPU: the mean of usual messages, the slowest long ones."""
    usual = [each.text for each in select_part(read_labelled_messages(CORPUS), put_aside=False)]
    read_contact_request(usual[0])  # loads the lexicon
    typical = min(_measure(usual) for _ in range(_ROUNDS)) / len(usual)
    slowest = sorted(
        ((min(_measure([text]) for _ in range(3)), label) for label, text in _list_long(usual)),
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
    """Yield messages of full length: what is costly, words repeated, words in random order."""
    for label, text in _HOSTILE.items():
        yield label, _fill(text)
    words = sorted({word for text in usual for word in text.split()} | _list_pattern_words())
    for word in words[::5]:
        yield word, _fill(f"{word} ")
        yield f"{word}?", _fill(f"{word}? ")
    drawn = random.Random(1)  # noqa: S311 - the same messages each time
    for _ in range(_MIXTURES):
        few = drawn.sample(words, 4)
        yield " ".join(few), _fill(" ".join(drawn.choice(few) for _ in range(900)) + " ")


def _list_pattern_words() -> set[str]:
    """Return the words of the lexicon: at each of them, patterns begin or go on."""
    files = LEXICON_FOLDER.glob("*.toml")
    return {word for file in files for word in _WORD.findall(file.read_text(encoding="utf-8"))}


def _fill(text: str) -> str:
    return (text * (READ_CHARACTERS // len(text) + 1))[:READ_CHARACTERS]
