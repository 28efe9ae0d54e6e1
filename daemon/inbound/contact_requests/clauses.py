"""Cuts a message into clauses: each says one thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from daemon.inbound.contact_requests.folding import BREAKS, Token
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

    __slots__ = ("code", "kinds", "tokens", "words")

    def __init__(self, words: Sequence[ReadWord], tokens: Sequence[Token]) -> None:
        self.words = words
        self.tokens = tokens
        """The words as they stand in the message."""
        self.kinds = "".join(kind for word in words for kind in word.kinds)
        """A letter for each word's kind, in order."""
        self.code = self.kinds.translate(_UNSAID)
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
    said: list[tuple[list[ReadWord], list[Token]]] = []
    for start, end in _cut_parts(line, reader, complete_phrases):
        first = line.tokens[start].word
        spoken = start + 1 if first in _CUT_BEFORE else start
        if spoken == end:
            continue
        words, tokens = reader.read_words(spoken, end), line.tokens[spoken:end]
        if first in _JOINED_AGAIN and said and all(map(_is_thing_or_doing, words)):
            said[-1][0].extend(words)
            said[-1][1].extend(tokens)
        else:
            said.append(([*words], [*tokens]))
    clauses: dict[tuple[ReadWord, ...], Clause] = {}
    for read, tokens in said:
        words = tuple(read)
        if words not in clauses:
            clauses[words] = Clause(words, tokens)
    return list(clauses.values())


def _cut_parts(
    line: WordLine, reader: LineReader, complete_phrases: PatternSet
) -> Iterator[tuple[int, int]]:
    """Yield where each part begins and ends; breaks stand between them, and no part is empty."""
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
    doing = word.kinds == (WordKind.SEND,) and word.words[-1].endswith(_DOING_ENDINGS)
    return doing or all(kind in _THINGS for kind in word.kinds)
