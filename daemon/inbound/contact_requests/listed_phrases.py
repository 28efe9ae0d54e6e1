"""The listed phrases: a whole message that is one of them, alone or with courtesy around it.

The lists are in a file that operators can edit; each hit counts, whatever the lexicon says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from msgspec import Struct

from daemon.api.effects import ContactRequest
from daemon.errors import PhrasesRejected
from daemon.inbound.contact_requests.folding import BREAKS, Token, fold_tokens

SHIPPED_PHRASES: Final = Path(__file__).with_name("phrases.txt")

_REQUESTS: Final = {
    "opt_out": ContactRequest.OPT_OUT,
    "opt_in": ContactRequest.OPT_IN,
    "declined": ContactRequest.DECLINED,
}
_LISTS: Final = (*_REQUESTS, "courtesy")
_REMOVAL: Final = "-"
_DECORATION: Final = BREAKS | {"emojicourtesy", "emojianger"}
"""What is no word of a phrase: of the emojis, courtesy's and anger's, beside a listed word."""


def normalise_text(text: str) -> str:
    """Return only what counts of a text: plain lower-case words with one space between them.

    Case, accents, punctuation, emoji, invisible characters and a word's immediate repetition
    make no difference.
    """
    return " ".join(_list_words(fold_tokens(text)))


def _list_words(tokens: Sequence[Token]) -> list[str]:
    words = (token.word for token in tokens if token.word not in _DECORATION)
    return [word for word, _ in groupby(words)]


class ListedPhrases(Struct, frozen=True):
    """The lists, each a set of folded phrases. The shipped file says what each means."""

    by_phrase: Mapping[str, ContactRequest]
    courtesy: frozenset[str]

    def find_request(self, tokens: Sequence[Token]) -> ContactRequest | None:
        """Return what a whole message is listed as, alone or with courtesy around it."""
        words = _list_words(tokens)
        for core in self._list_cores(words):
            if request := self.by_phrase.get(" ".join(core)):
                return request
        return None

    def _list_cores(self, words: list[str]) -> Iterator[list[str]]:
        """Yield the message as it is, and without the courtesy before it, after it, and both."""
        yield words
        opening, closing = self._count_opening(words), self._count_closing(words)
        yield words[opening:]
        yield words[: len(words) - closing]
        yield words[opening : len(words) - closing]

    def _count_opening(self, words: list[str]) -> int:
        start = 0
        while length := self._match_courtesy(words[start : start + n] for n in _COURTESY_LENGTHS):
            start += length
        return start

    def _count_closing(self, words: list[str]) -> int:
        end = len(words)
        while length := self._match_courtesy(
            words[max(end - n, 0) : end] for n in _COURTESY_LENGTHS
        ):
            end -= length
        return len(words) - end

    def _match_courtesy(self, choices: Iterable[list[str]]) -> int:
        """Return how many words the first of these has that is courtesy."""
        return next((len(words) for words in choices if " ".join(words) in self.courtesy), 0)


_COURTESY_LENGTHS: Final = (3, 2, 1)


def load_listed_phrases(
    path: Path = SHIPPED_PHRASES, *, own_path: Path | None = None
) -> ListedPhrases:
    """Read a phrase file, and an operator's own that changes it.

    In the own file a line adds a phrase to its list, and `-phrase` removes one; no phrase can be
    removed from `[opt_out]`. Raises :class:`PhrasesRejected` with every problem and its line.
    """
    lists: dict[str, set[str]] = {name: set() for name in _LISTS}
    problems = _read_entries(path, lists)
    problems += [
        f"{path}: the list [{name}] is missing or empty" for name in _REQUESTS if not lists[name]
    ]
    if own_path is not None:
        problems += _read_own_entries(own_path, lists)
    if problems:
        raise PhrasesRejected("The phrase lists have problems: " + "; ".join(problems))
    by_phrase = {phrase: request for name, request in _REQUESTS.items() for phrase in lists[name]}
    return ListedPhrases(by_phrase, frozenset(lists["courtesy"]))


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PhrasesRejected(f"{path}: can't be read: {error}") from error


def _read_entries(path: Path, lists: dict[str, set[str]]) -> list[str]:
    """Add the phrases of a file to the lists; return the problems."""
    problems: list[str] = []
    for number, name, phrase in parse_phrase_entries(_read_file(path)):
        problem = _find_problem(name, phrase, lists)
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        elif phrase:
            lists[name].add(normalise_text(phrase))
    return problems


def _read_own_entries(path: Path, lists: dict[str, set[str]]) -> list[str]:
    """Add and remove what an operator's file says; return the problems.

    Removals count first, so that a phrase may move from one list to another.
    """
    entries = list(parse_phrase_entries(_read_file(path)))
    problems: list[str] = []
    for number, name, phrase in entries:
        if not phrase.startswith(_REMOVAL) or name not in lists:
            continue
        removed = normalise_text(phrase.removeprefix(_REMOVAL))
        if name == "opt_out":
            problems.append(
                f"{path}:{number}: {phrase!r} can't be removed from [opt_out]: whoever writes it is"
                " never written to again"
            )
        elif removed not in lists[name]:
            problems.append(f"{path}:{number}: {phrase!r} removes what is not in [{name}]")
        lists[name].discard(removed if name != "opt_out" else "")
    for number, name, phrase in entries:
        if phrase.startswith(_REMOVAL) and name in lists:
            continue
        if problem := _find_problem(name, phrase, lists):
            problems.append(f"{path}:{number}: {problem}")
        elif phrase:
            lists[name].add(normalise_text(phrase))
    return problems


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
    if not phrase:
        return ""
    folded = normalise_text(phrase)
    if not folded:
        return f"{phrase!r} has no letter or digit, so it would never be found"
    other = next((each for each in _REQUESTS if each != name and folded in lists[each]), None)
    if other and name in _REQUESTS:
        return f"{phrase!r} stands in [{other}] too; it can't mean both"
    return ""
