"""Cuts a message into clauses: each says one thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from daemon.inbound.contact_requests.folding import Token
from daemon.inbound.contact_requests.patterns import PatternSet, WordLine
from daemon.inbound.contact_requests.word_kinds import Lexicon, ReadWord, WordKind

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

_UNSAID: Final = frozenset({WordKind.COURTESY, WordKind.FILLER})


@dataclass(frozen=True, eq=False)
class Clause:
    """The words of one clause, read; equal to itself alone."""

    words: tuple[ReadWord, ...]

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Return the words as they stand in the message."""
        return tuple(token for word in self.words for token in word.tokens)

    @cached_property
    def code(self) -> str:
        """Return a letter for each word's kind, in order, without courtesy and filler."""
        return "".join(
            kind.value for word in self.words for kind in word.kinds if kind not in _UNSAID
        )

    @property
    def start(self) -> int:
        """Return where it begins in the message."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """Return where it ends in the message."""
        return self.tokens[-1].end


def split_clauses(
    tokens: Sequence[Token], lexicon: Lexicon, complete_phrases: PatternSet
) -> list[Clause]:
    """Return the clauses of a message.

    It is cut at punctuation and emojis, before words that begin another thought, and around the
    phrases that are a thought of their own.
    """
    clauses: list[Clause] = []
    for part in _cut_parts(tokens, lexicon, complete_phrases):
        conjunction = part[0].word in _JOINED_AGAIN
        spoken = part[1:] if part[0].word in _CUT_BEFORE else part
        if not spoken:
            continue
        words = tuple(lexicon.read_words(spoken))
        only_things = all(map(_is_thing_or_doing, words))
        if conjunction and only_things and clauses and clauses[-1].end <= part[0].start:
            clauses[-1] = Clause((*clauses[-1].words, *words))
        else:
            clauses.append(Clause(words))
    return clauses


def _cut_parts(
    tokens: Sequence[Token], lexicon: Lexicon, complete_phrases: PatternSet
) -> Iterator[list[Token]]:
    part: list[Token] = []
    line = WordLine(tokens)
    index = 0
    while index < len(tokens):
        token = tokens[index]
        complete = complete_phrases.find_longest_at(line, index)
        if complete and not _ends_thought(tokens, complete.end, lexicon):
            complete = None
        begins_another = (
            token.is_break or token.word in _CUT_BEFORE or complete or _is_for_that(tokens, index)
        )
        if begins_another and part:
            yield part
            part = []
        if complete:
            yield list(tokens[index : complete.end])
            index = complete.end
            continue
        if not token.is_break:
            part.append(token)
        index += 1
    if part:
        yield part


def _is_for_that(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether a purpose begins here: `para que …`."""
    following = tokens[index + 1].word if index + 1 < len(tokens) else ""
    return tokens[index].word in {"para", "pra"} and following == "que"


def _ends_thought(tokens: Sequence[Token], end: int, lexicon: Lexicon) -> bool:
    """Tell whether what follows is no part of the phrase that ends here."""
    if end == len(tokens) or tokens[end].is_break or tokens[end].word in _CUT_BEFORE:
        return True
    return lexicon.read_words(tokens[end : end + 3])[0].kinds[0] in _BEGIN_ANOTHER


def _is_thing_or_doing(word: ReadWord) -> bool:
    """Tell whether a word can go on with what was said before it: a thing, or `… y escribirme`."""
    doing = word.kinds == (WordKind.SEND,) and word.tokens[-1].word.endswith(_DOING_ENDINGS)
    return doing or all(kind in _THINGS for kind in word.kinds)
