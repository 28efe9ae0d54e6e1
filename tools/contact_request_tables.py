"""Renders how the reader of contacts' words reads labelled messages, a table for each part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from daemon.inbound.contact_requests import STRICTEST_FIRST, read_contact_request
from tools.reference_tables import render_table
from tools.split_contact_requests import LabelledMessage, read_labelled_messages, select_part

DATA: Final = Path(__file__).parent.parent / "tests" / "data"


def list_measured_parts() -> dict[str, list[LabelledMessage]]:
    """Return the messages of each part by its heading."""
    corpus = read_labelled_messages(DATA / "contact_requests.csv")
    return {
        "Open: the reader was tuned on these": select_part(corpus, put_aside=False),
        "Put aside: measured, and not looked at": select_part(corpus, put_aside=True),
        "Fresh: written by somebody who had not seen the reader": read_labelled_messages(
            DATA / "contact_requests_fresh.csv"
        ),
    }


def render_confusion_tables() -> str:
    """Return a table for each part: what each class was read as, and how often."""
    return "\n\n".join(
        f"### {heading}\n\n{_render_confusion(messages)}"
        for heading, messages in list_measured_parts().items()
    )


def _render_confusion(messages: Sequence[LabelledMessage]) -> str:
    counts = Counter(
        (each.expected, read_contact_request(each.text).first.request.value) for each in messages
    )
    rows = []
    for request in STRICTEST_FIRST:
        total = sum(n for (expected, _), n in counts.items() if expected == request)
        others = sorted(
            (read, n)
            for (expected, read), n in counts.items()
            if expected == request and read != request
        )
        read_as = ", ".join(f"`{read}` {n}" for read, n in others)
        rows.append((f"`{request}`", str(total), str(counts[request, request]), read_as))
    total, right = len(messages), sum(n for (a, b), n in counts.items() if a == b)
    rows.append(("all", str(total), str(right), ""))
    return render_table(("class", "messages", "read as such", "read as another"), rows)
