"""Reads what a contact's own words ask of us: opt-out, opt-in, a plain no, review, or nothing.

Pure text in, :class:`ContactRequest` out. The phrases are in a file that operators can edit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.api.effects import ContactRequest
from daemon.errors import PhrasesRejected

SHIPPED_PHRASES = Path(__file__).with_name("phrases.txt")

_LISTS = ("opt_out", "refusal", "courtesy", "only_alone", "review", "opt_in", "refused")
_MAY_BE_EMPTY = frozenset({"courtesy", "only_alone", "review"})
_SPELLED_WORD = re.compile(r"(?<!\S)\w(?: \w){2,}(?!\S)")
"""A run of single letters; two may be initials or a hesitation."""
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"))  # noqa: RUF001 - the marks that people type


@dataclass(frozen=True, slots=True)
class PhraseLists:
    """The lists, each a set of folded phrases. Which one means what stands in the shipped file."""

    opt_out: frozenset[str]
    refusal: frozenset[str]
    courtesy: frozenset[str]
    only_alone: frozenset[str]
    review: frozenset[str]
    opt_in: frozenset[str]
    refused: frozenset[str]


def normalise_text(text: str) -> str:
    """Return only what counts of a text: plain lower-case words with one space between them.

    Case, accents, punctuation, emoji, invisible characters and a word's immediate repetition
    make no difference. Folding twice changes nothing more.
    """
    plain = text.translate(_APOSTROPHES)
    for _ in range(2):  # a letter's lower case may come apart into further marks
        plain = unicodedata.normalize("NFKD", plain).casefold()
    plain = unicodedata.normalize("NFKD", plain)
    words = "".join(_normalise_letter(letter) for letter in plain).split()
    return " ".join(
        word for word, before in zip(words, [None, *words], strict=False) if word != before
    )


def _normalise_letter(letter: str) -> str:
    """Drop accents and invisible marks without a gap; all else that is no letter parts words."""
    if letter.isalnum():
        return letter
    return "" if unicodedata.category(letter) in {"Mn", "Me", "Cf"} else " "


def _normalise_spelled(phrase: str) -> str:
    """Return a folded phrase as it is when its letters are folded as words of one letter each."""
    return normalise_text(" ".join(phrase.replace(" ", ""))).replace(" ", "")


class ContactRequestReader:
    """Reads requests by one set of lists."""

    def __init__(self, phrases: PhraseLists) -> None:
        self._phrases = phrases
        self._courtesy = sorted(phrases.courtesy, key=len, reverse=True)
        self._beginnings = phrases.opt_out - phrases.only_alone
        self._spelled = {_normalise_spelled(phrase): phrase for phrase in phrases.opt_out}

    def read_request(self, text: str) -> ContactRequest:
        """Return what ``text`` asks of us. Never raises; takes time in proportion to its length."""
        said = normalise_text(text)
        if said in self._phrases.opt_in:
            return ContactRequest.OPT_IN
        cores = self._strip_courtesy(said) | self._strip_courtesy(self._join_spelled_words(said))
        if cores & self._phrases.opt_out or _contains_any(said, self._phrases.refusal):
            return ContactRequest.OPT_OUT
        if cores & self._phrases.refused:
            return ContactRequest.REFUSED
        if _contains_any(said, self._phrases.review) or any(map(self._starts_with_opt_out, cores)):
            return ContactRequest.REVIEW
        return ContactRequest.NONE

    def _join_spelled_words(self, said: str) -> str:
        """Return the message with each opt-out that was spelled (`b a j a`, `S.T.O.P`) as words."""
        return _SPELLED_WORD.sub(
            lambda run: self._spelled.get(run[0].replace(" ", ""), run[0]),
            said,
        )

    def _strip_courtesy(self, said: str) -> set[str]:
        """Return the message without the courtesy before it, after it, both, and as it is."""
        later = self._without_opening(said)
        return {said, later, self._without_closing(said), self._without_closing(later)}

    def _without_opening(self, said: str) -> str:
        start = 0
        while opening := next((c for c in self._courtesy if said.startswith(f"{c} ", start)), None):
            start += len(opening) + 1
        return said[start:]

    def _without_closing(self, said: str) -> str:
        end = len(said)
        while closing := next((c for c in self._courtesy if said.endswith(f" {c}", 0, end)), None):
            end -= len(closing) + 1
        return said[:end]

    def _starts_with_opt_out(self, core: str) -> bool:
        return any(core.startswith(f"{phrase} ") for phrase in self._beginnings)


def _contains_any(said: str, phrases: Iterable[str]) -> bool:
    """Whether one of the phrases stands in the message as whole words."""
    padded = f" {said} "
    return any(f" {phrase} " in padded for phrase in phrases)


def load_contact_request_reader(path: Path = SHIPPED_PHRASES) -> ContactRequestReader:
    """Read a phrase file; raises :class:`PhrasesRejected` with every problem and its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PhrasesRejected(f"{path}: can't be read: {error}") from error
    lists: dict[str, set[str]] = {name: set() for name in _LISTS}
    problems: list[str] = []
    for number, name, phrase in parse_phrase_entries(text):
        problem = _find_problem(name, phrase, lists)
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        elif phrase:
            lists[name].add(normalise_text(phrase))
    problems += [
        f"{path}: the list [{name}] is missing or empty"
        for name in _LISTS
        if not lists[name] and name not in _MAY_BE_EMPTY
    ]
    if problems:
        raise PhrasesRejected("The phrase lists have problems: " + "; ".join(problems))
    return ContactRequestReader(
        PhraseLists(**{name: frozenset(phrases) for name, phrases in lists.items()})
    )


def parse_phrase_entries(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, list and phrase; a list's own line has no phrase."""
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if entry.startswith("[") and entry.endswith("]"):
            name = entry[1:-1].strip()
            yield number, name, ""
        elif entry and not entry.startswith("#"):
            yield number, name, entry


def _find_problem(name: str, phrase: str, lists: dict[str, set[str]]) -> str:
    """Say what is wrong with an entry, or nothing."""
    if name not in lists:
        known = ", ".join(f"[{each}]" for each in _LISTS)
        return f"there is no list [{name}]; the lists are {known}"
    if phrase and not normalise_text(phrase):
        return f"{phrase!r} has no letter or digit, so it would never be found"
    opposite = {"opt_in": "opt_out", "opt_out": "opt_in"}.get(name)
    if opposite and normalise_text(phrase) in lists[opposite]:
        return f"{phrase!r} stands in [{opposite}] too; it can't mean both"
    return ""
