"""Cuts a message into clauses: each says one thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from daemon.inbound.contact_requests.folding import BREAK, BREAKS, Token
from daemon.inbound.contact_requests.patterns import PatternSet, WordLine
from daemon.inbound.contact_requests.word_kinds import Lexicon, LineReader, ReadWord, WordKind

_CUT_BEFORE: Final = frozenset(
    {
        "y",
        "and",
        "pero",
        "but",
        "porque",
        "because",
        "pues",
        "since",
        "cuz",
        "porem",
        "segun",
        "conforme",
    }
)
_ENDING: Final = BREAKS | _CUT_BEFORE
_FOR: Final = frozenset({"para", "pra"})
_CUT_AT: Final = _ENDING | _FOR
_JOINED_AGAIN: Final = frozenset({"y", "and"})
_THINGS: Final = frozenset(
    {
        WordKind.MESSAGE_WORD,
        WordKind.DATA,
        WordKind.LIST,
        WordKind.MY,
        WordKind.THIS,
        WordKind.FILLER,
        WordKind.ME,
    }
)
_BEGIN_ANOTHER: Final = frozenset(
    {
        WordKind.NEGATION,
        WordKind.ME,
        WordKind.REMOVE,
        WordKind.REMOVE_ME,
        WordKind.TAKE,
        WordKind.STOP,
        WordKind.QUIT_DOING,
        WordKind.BAJA,
        WordKind.UNSUBSCRIBE,
        WordKind.COURTESY,
    }
)
"""Kinds that may follow a complete thought without punctuation between them."""

_DOING_ENDINGS: Final = ("ar", "er", "ir", "arme", "erme", "irme", "arnos", "irnos", "ing")

_UNSAID: Final = str.maketrans("", "", WordKind.COURTESY + WordKind.FILLER)


class Clause:
    """The words of one clause, read; equal to itself alone."""

    __slots__ = ("code", "kinds", "tokens")

    def __init__(self, tokens: Sequence[Token], kinds: str) -> None:
        self.tokens = tokens
        """The words as they are in the message."""
        self.kinds = kinds
        """The letters of the words' kinds, in order."""
        self.code = kinds.translate(_UNSAID)
        """The same without courtesy and filler."""

    @property
    def start(self) -> int:
        """Return where it begins in the message."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """Return where it ends in the message."""
        return self.tokens[-1].end


def split_clauses(line: WordLine, lexicon: Lexicon, complete_phrases: PatternSet) -> list[Clause]:
    """Return the clauses of a message, each where it is said first.

    It is cut at punctuation and emojis, before words that begin another thought, and around the
    phrases that are a thought of their own.
    """
    reader = LineReader(line, lexicon)
    clauses: dict[str, Clause] = {}
    for parts in _join_parts(line, reader, complete_phrases):
        text = BREAK.join([line.get_text(start, end) for start, end in parts])
        if text not in clauses:
            tokens = [token for start, end in parts for token in line.tokens[start:end]]
            kinds = "".join([reader.read_kinds(start, end) for start, end in parts])
            clauses[text] = Clause(tokens, kinds)
    return list(clauses.values())


def _join_parts(
    line: WordLine, reader: LineReader, complete_phrases: PatternSet
) -> list[list[tuple[int, int]]]:
    """Return where the parts of each clause begin and end: one, or more that *and* joins."""
    joined: list[list[tuple[int, int]]] = []
    for start, end in _cut_parts(line, reader, complete_phrases):
        first = line.tokens[start].word
        if first not in _CUT_BEFORE:
            joined.append([(start, end)])
        elif end - start > 1:
            part = (start + 1, end)
            goes_on = first in _JOINED_AGAIN and all(
                map(_is_thing_or_doing, reader.read_words(*part))
            )
            if goes_on and joined:
                joined[-1].append(part)
            else:
                joined.append([part])
    return joined


def _cut_parts(
    line: WordLine, reader: LineReader, complete_phrases: PatternSet
) -> Iterator[tuple[int, int]]:
    """Yield where each part begins and ends; breaks are between them, and no part is empty."""
    complete = complete_phrases.search(line)
    tokens = line.tokens
    start = 0
    for index in sorted({*complete.openings, *line.list_places(_CUT_AT)}):
        if index < start:
            continue  # within a phrase that is a thought of its own
        word = tokens[index].word
        phrase = complete.find_longest_at(index)
        if phrase and not _ends_thought(tokens, phrase.end, reader):
            phrase = None
        if phrase is None and word not in _ENDING and not _is_for_that(tokens, index):
            continue
        if start < index:
            yield start, index
        if phrase:
            yield index, phrase.end
        start = phrase.end if phrase else index + (word in BREAKS)
    if start < len(tokens):
        yield start, len(tokens)


def _is_for_that(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a purpose begins here: `para que …`."""
    following = tokens[index + 1].word if index + 1 < len(tokens) else ""
    return tokens[index].word in _FOR and following == "que"


def _ends_thought(tokens: Sequence[Token], end: int, reader: LineReader) -> bool:
    """Tell whether what follows is no part of the phrase that ends here."""
    if end == len(tokens) or tokens[end].word in _ENDING:
        return True
    following = reader.read_words(end, min(end + 3, len(tokens)))
    return following[0].kinds[0] in _BEGIN_ANOTHER


def _is_thing_or_doing(word: ReadWord) -> bool:
    """Tell whether a word can go on with what was said before it: a thing, or `… y escribirme`."""
    doing = word.kinds == WordKind.SEND and word.last.endswith(_DOING_ENDINGS)
    return doing or _THINGS.issuperset(word.kinds)
