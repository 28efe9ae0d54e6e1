"""The messages that the reader is measured by, and how a reading is counted."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests import read_contact_request
from tools.split_contact_requests import LabelledMessage, read_labelled_messages, select_part

DATA: Final = Path(__file__).parents[3] / "data"

CORPUS: Final = read_labelled_messages(DATA / "contact_requests.csv")
OPEN_PART: Final = select_part(CORPUS, put_aside=False)
PUT_ASIDE_PART: Final = select_part(CORPUS, put_aside=True)
"""Measured only: nobody looks at it to tune the reader."""
FRESH_MESSAGES: Final = read_labelled_messages(DATA / "contact_requests_fresh.csv")
"""Written by somebody who had not seen the reader, and measured as they came."""

WELCOMES: Final = frozenset(
    {
        ContactRequest.OPT_IN,
        ContactRequest.INTERESTED,
        ContactRequest.QUESTION,
        ContactRequest.COURTESY,
    }
)
REFUSALS: Final = frozenset(ContactRequest) - WELCOMES - {ContactRequest.UNCLEAR}

_OLDER_WORDS: Final[dict[str, frozenset[ContactRequest]]] = {
    "opt_out": frozenset({ContactRequest.OPT_OUT}),
    "opt_in": frozenset({ContactRequest.OPT_IN}),
    "refused": frozenset({ContactRequest.DECLINED}),
    "review": frozenset({ContactRequest.UNCLEAR}),
    "none": frozenset(
        {
            ContactRequest.INTERESTED,
            ContactRequest.QUESTION,
            ContactRequest.COURTESY,
            ContactRequest.UNCLEAR,
        }
    ),
    "not_none": REFUSALS | {ContactRequest.UNCLEAR},
    "not_opt_out": frozenset(ContactRequest) - {ContactRequest.OPT_OUT},
}
"""The words of the older lists, each with the classes that it allows."""


def list_older_phrases() -> list[tuple[str, frozenset[ContactRequest], str]]:
    """Return text, allowed classes and the older word of each row of both older lists."""
    with (DATA / "optout_phrases.csv").open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["expected"]) for row in csv.DictReader(file)]
    lines = (DATA / "phrases_open.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines[1:]:
        expected, _, _, text = line.split("\t")
        found.append((ast.literal_eval(text), expected))
    return [(text, _OLDER_WORDS[expected], expected) for text, expected in found]


def count_readings(messages: Iterable[LabelledMessage]) -> Counter[tuple[str, ContactRequest]]:
    """Return how often each expected class was read as each class."""
    return Counter(
        (each.expected, read_contact_request(each.text).first.request) for each in messages
    )


def share(
    counts: Counter[tuple[str, ContactRequest]],
    among: Callable[[str, ContactRequest], bool],
    found: Callable[[str, ContactRequest], bool],
) -> float:
    """Return the share of ``found`` among the readings that are counted; 1 where there are none."""
    total = sum(n for pair, n in counts.items() if among(*pair))
    hits = sum(n for pair, n in counts.items() if among(*pair) and found(*pair))
    return hits / total if total else 1.0
