"""Reads what a contact's own words ask of us: a set of findings, strictest first.

Pure text in, :class:`Reading` out; no model, no network, nothing is stored. What is not understood
is `unclear`: never a welcome, and never an opt-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from daemon.api.effects import ContactRequest
from daemon.inbound.contact_requests.clauses import Clause, split_clauses
from daemon.inbound.contact_requests.findings import Finding, Reading
from daemon.inbound.contact_requests.folding import Token, fold_tokens
from daemon.inbound.contact_requests.listed_phrases import (
    ListedPhrases,
    load_listed_phrases,
)
from daemon.inbound.contact_requests.opt_outs import (
    OptOutStrength,
    asks_for_message,
    is_negated,
    may_ask_to_stop,
    read_opt_out,
)
from daemon.inbound.contact_requests.patterns import PatternSet, WordLine
from daemon.inbound.contact_requests.situations import (
    PROBABLE_WEIGHT,
    SURE_WEIGHT,
    find_situations,
    load_situations,
    measure_automatic,
)
from daemon.inbound.contact_requests.welcome import find_welcome
from daemon.inbound.contact_requests.word_kinds import WordKind, load_lexicon


class _Message:
    """A message, folded and cut."""

    def __init__(self, text: str, line: WordLine, clauses: Sequence[Clause]) -> None:
        self.text = text
        self.line = line
        self.clauses = clauses
        opened = self._list_opened(load_situations().declined)
        self.declined = frozenset(filter(_is_declined, opened))
        """The clauses that are a plain no."""

    def speak_otherwise(self, clauses: Sequence[Clause]) -> bool:
        """Tell whether one of these asks for something, so an opt-out beside it is unsure."""
        if any(asks_for_message(each) or WordKind.LIMIT in each.kinds for each in clauses):
            return True
        asking = set(filter(_has_asking_word, self._list_opened(load_situations().asking)))
        return not asking.isdisjoint(clauses)

    def quote(self, start: int, end: int) -> str:
        return self.text[start:end].strip()

    def _list_opened(self, patterns: PatternSet) -> list[Clause]:
        """Return the clauses with a word in them that one of the patterns may begin with."""
        openings = {self.line.tokens[at] for at in patterns.search(self.line).openings}
        return [each for each in self.clauses if not openings.isdisjoint(each.tokens)]


class ContactRequestReader:
    """Reads messages by one set of listed phrases and the shipped lexicon."""

    def __init__(self, phrases: ListedPhrases) -> None:
        self._phrases = phrases

    def use_phrases(self, phrases: ListedPhrases) -> None:
        """Read by these lists from the next message on."""
        self._phrases = phrases

    def lists(self, text: str, request: ContactRequest) -> bool:
        """Return whether a whole message of these words is listed as a request."""
        return self._phrases.find_request(fold_tokens(text)) is request

    def read(self, text: str) -> Reading:
        """Return what ``text`` says. Never raises; takes time in proportion to its length."""
        tokens = fold_tokens(text)
        if listed := self._phrases.find_request(tokens):
            return _read_as(listed, text.strip(), listed=listed is ContactRequest.OPT_OUT)
        line = WordLine(tokens)
        clauses = split_clauses(line, load_lexicon(), load_situations().complete)
        weight, mark = measure_automatic(line)
        suspicious = any(map(may_ask_to_stop, clauses))
        if mark and (weight >= SURE_WEIGHT or (weight >= PROBABLE_WEIGHT and not suspicious)):
            quote = text[tokens[mark.start].start : tokens[mark.end - 1].end].strip()
            return _read_as(ContactRequest.AUTOMATIC, quote)
        return _read_person(_Message(text, line, clauses))


def _read_as(request: ContactRequest, quote: str, *, listed: bool = False) -> Reading:
    return Reading(frozenset({Finding(request, quote, listed=listed)}))


def _read_person(message: _Message) -> Reading:
    """Return what a person wrote: every no first, a welcome last."""
    findings = _find_situations(message)
    opt_out, unsure = _find_opt_out(message, covered=bool(findings))
    findings |= opt_out
    if not opt_out and not unsure:
        findings |= _find_declined(message)
    if not findings and not unsure:
        findings |= find_welcome(message.text, message.line, message.clauses)
    if not findings:
        findings = {_find_courtesy_or_unclear(message, unsure=unsure)}
    elif unsure and not opt_out:
        findings.add(Finding(ContactRequest.UNCLEAR, message.text.strip(), may_ask_to_stop=True))
    return Reading(frozenset(findings))


def _find_situations(message: _Message) -> set[Finding]:
    found: dict[ContactRequest, Finding] = {}
    for request, match in find_situations(message.line):
        tokens = message.line.tokens
        start, end = tokens[match.start].start, tokens[match.end - 1].end
        quote = message.quote(start, end)
        if request not in found or len(found[request].quote) < len(quote):
            found[request] = Finding(request, quote)
    return set(found.values())


def _find_opt_out(message: _Message, *, covered: bool) -> tuple[set[Finding], bool]:
    """Return an opt-out, and whether it is unsure that there is none.

    ``covered``: a situation was found, so what is not understood may belong to it.
    """
    strengths = [(clause, read_opt_out(clause)) for clause in message.clauses]
    shaped = [clause for clause, strength in strengths if strength is not OptOutStrength.NONE]
    if not shaped:
        return set(), any(
            may_ask_to_stop(clause) for clause in message.clauses if clause not in message.declined
        )
    others = [clause for clause, strength in strengths if strength is OptOutStrength.NONE]
    if message.speak_otherwise(others):
        return set(), True
    strong = any(strength is OptOutStrength.STRONG for _, strength in strengths)
    if (
        strong
        or all(_is_courtesy(clause) or clause in message.declined for clause in others)
        or covered
    ):
        quote = message.quote(shaped[0].start, shaped[0].end)
        return {Finding(ContactRequest.OPT_OUT, quote)}, False
    return set(), True


def _is_courtesy(clause: Clause) -> bool:
    return not clause.code


def _has_asking_word(clause: Clause) -> bool:
    asking = next(load_situations().asking.find_all(WordLine(clause.tokens)), None)
    return asking is not None and not is_negated(clause, asking.start)


def _is_declined(clause: Clause) -> bool:
    spoken = [token for token in clause.tokens if not _is_polite(token)]
    patterns = load_situations().declined
    return any(map(patterns.find_whole, (clause.tokens, spoken)))


def _is_polite(token: Token) -> bool:
    kinds = load_lexicon().get_kinds(token.word)
    return kinds == WordKind.COURTESY and token.word not in {"si", "sim", "yes"}


def _find_declined(message: _Message) -> set[Finding]:
    """Return a plain no, where no other clause asks for something."""
    declined: list[Clause] = []
    others: list[Clause] = []
    for clause in message.clauses:
        (declined if clause in message.declined else others).append(clause)
    if not declined or message.speak_otherwise(others):
        return set()
    return {
        Finding(ContactRequest.DECLINED, message.quote(declined[0].start, declined[0].end)),
    }


def _find_courtesy_or_unclear(message: _Message, *, unsure: bool) -> Finding:
    said = message.text.strip()
    polite = all(map(_is_courtesy, message.clauses)) and any(
        WordKind.COURTESY in clause.kinds for clause in message.clauses
    )
    if polite and not unsure:
        return Finding(ContactRequest.COURTESY, said)
    return Finding(ContactRequest.UNCLEAR, said, may_ask_to_stop=unsure)


def load_contact_request_reader(own_path: Path | None = None) -> ContactRequestReader:
    """Return a reader by the shipped lists, changed by an operator's own file."""
    return ContactRequestReader(load_listed_phrases(own_path=own_path))


@cache
def _load_shipped_reader() -> ContactRequestReader:
    return load_contact_request_reader()


def read_contact_request(text: str) -> Reading:
    """Return what ``text`` says by the shipped lists; see :class:`ContactRequestReader`."""
    return _load_shipped_reader().read(text)
