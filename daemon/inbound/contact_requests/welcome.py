"""Finds a welcome: interest, or a question. It is looked for last, and never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests.clauses import Clause
from daemon.inbound.contact_requests.findings import Finding
from daemon.inbound.contact_requests.opt_outs import may_ask_to_stop
from daemon.inbound.contact_requests.patterns import WordLine
from daemon.inbound.contact_requests.situations import load_situations
from daemon.inbound.contact_requests.word_kinds import WordKind

_NEVER_BESIDE = frozenset(
    {WordKind.NEGATION, WordKind.LIMIT, WordKind.NOT_OTHERWISE, WordKind.PEACE, WordKind.REGISTER}
)


def find_welcome(text: str, line: WordLine, clauses: Sequence[Clause]) -> set[Finding]:
    """Return interest and questions, where no word of the message speaks against them."""
    if _speaks_against(line, clauses):
        return set()
    found: list[Finding] = []
    tokens = line.tokens
    for match in load_situations().welcome.find_all(line):
        quote = text[tokens[match.start].start : tokens[match.end - 1].end].strip()
        if match.label == "about_us":
            found.append(Finding(ContactRequest.QUESTION, quote, about_us=True))
        else:
            found.append(Finding(ContactRequest(match.label), quote))
    return _keep_longest(found)


def _speaks_against(line: WordLine, clauses: Sequence[Clause]) -> bool:
    """Tell whether any word could belong to a no, a limit or a situation.

    What a program may have written does not come here: it is taken for a program's, or a word of
    it may ask us to stop.
    """
    return (
        any(not _NEVER_BESIDE.isdisjoint(clause.kinds) for clause in clauses)
        or any(map(may_ask_to_stop, clauses))
        or next(load_situations().words.find_all(line), None) is not None
    )


def _keep_longest(found: Iterable[Finding]) -> set[Finding]:
    """Return one finding for each thing said, with the longest of its quotes; the first of such."""
    longest: dict[tuple[ContactRequest, bool], Finding] = {}
    for finding in found:
        key = (finding.request, finding.about_us)
        if key not in longest or len(finding.quote) > len(longest[key].quote):
            longest[key] = finding
    return set(longest.values())
