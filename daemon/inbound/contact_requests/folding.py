"""Folds a message to plain words, so that one way of writing is left for each.

Case, accents, invisible marks, look-alike letters, stretched letters, spelled words and signature
lines make no difference to what a message asks. An emoji that means something becomes a word.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

READ_CHARACTERS: Final = 4_000
"""A message is read so far; people say what they want at the beginning."""

_SPELLED_LETTERS: Final = 3
"""A run of single letters; two may be initials or a hesitation."""

BREAK: Final = "|"
QUESTION: Final = "?"
BREAKS: Final = frozenset({BREAK, QUESTION})
"""A clause ends here."""

_SIGNATURE: Final = re.compile(
    r"(?im)^[ \t>*_-]{0,8}(?:enviado desde|enviado do|enviado por|sent from|get outlook"
    r"|obtener outlook|obter o outlook).{0,80}$"
)
_STRETCHED: Final = re.compile(r"([a-z])\1{2,}")
_STRETCHED_LETTERS: Final = 3
_APOSTROPHES: Final = frozenset("'’‘`´ʼ")  # noqa: RUF001 - the marks that people type
_JOINING_MARKS: Final = frozenset("_*~^")
_INVISIBLE_CATEGORIES: Final = frozenset({"Mn", "Me", "Cf"})

_LOOK_ALIKES: Final = Path(__file__).with_name("lexicon") / "look_alikes.toml"
_EMOJI_WORDS: Final = {
    **dict.fromkeys("👎❌✖🙅🚷", "emojino"),
    **dict.fromkeys("🛑🚫⛔", "emojistop"),
    **dict.fromkeys("🖕", "emojiinsult"),
    **dict.fromkeys("🤬😡😠", "emojianger"),
    **dict.fromkeys("👍🙏👌🤝👏❤😊🙂💪✅😀😃😄😁🤗", "emojicourtesy"),
}

_EMOJI_NAMES: Final = frozenset(_EMOJI_WORDS.values())

_MARKED: Final = re.compile(
    r"""(?P<word>[a9][a9_]*(?:(?<=[9;])[|;](?=[9;])[a9_]*)*)  # 1.500 and 10:30 are one word
    |   (?P<mark>[|;?])
    |   e                                                     # an emoji that means something
    """,
    re.VERBOSE,
)
"""The words and marks of a message, found in its shape: for each character one letter, which says
what it is (see :func:`_classify_character`)."""


class Token(Struct, eq=False):
    """One word, or one break between clauses, with its place in the message as it was written.

    It is never changed. A frozen class would be, and takes five times as long to make.
    """

    word: str
    start: int
    end: int
    capitalised: bool = False


def fold_tokens(text: str) -> list[Token]:
    """Return the words and breaks of a message, a break at either end.

    It is read so far as :data:`READ_CHARACTERS`, and to its signature line.
    """
    shown = text[:READ_CHARACTERS]
    signature = _SIGNATURE.search(shown)
    if signature:
        shown = shown[: signature.start()]
    words = _join_spelled_words(_collect_tokens(shown))
    return [Token(BREAK, 0, 0), *words, Token(BREAK, len(shown), len(shown))]


def _collect_tokens(text: str) -> list[Token]:
    folded = list(map(_fold_character, text))
    shape = "".join(map(_classify_character, text))
    tokens: list[Token] = []
    for found in _MARKED.finditer(shape):
        start, end = found.span()
        if found.lastgroup == "word":
            letters = "".join(folded[start:end]).replace(BREAK, "")
            tokens.append(Token(_shorten(letters), start, end, text[start].isupper()))
        elif found.lastgroup == "mark":
            tokens.append(Token(folded[start], start, end))
        elif folded[start] not in [each.word for each in tokens[-2:]]:
            # A clause of its own; the same emoji in a row says it once.
            tokens += (
                Token(BREAK, start, end),
                Token(folded[start], start, end),
                Token(BREAK, end, end),
            )
    return tokens


def _shorten(word: str) -> str:
    """Return a word with one of each letter that is stretched over three or more."""
    return _STRETCHED.sub(r"\1", word) if len(word) >= _STRETCHED_LETTERS else word


@cache
def _load_look_alikes() -> dict[str, str]:
    data = tomllib.loads(_LOOK_ALIKES.read_text(encoding="utf-8"))
    return {
        letter: latin
        for alphabet in data.values()
        for letter, latin in zip(alphabet["letters"], alphabet["latin"], strict=True)
    }


@lru_cache(maxsize=4096)
def _classify_character(character: str) -> str:
    """Return what a character is, as one letter.

    `a` and `9` belong to a word, `_` to none and parts none, `|` and `?` end a clause, `e` is an
    emoji; `9` and `;` are typed as digits, though `;` (one with a full stop) ends a clause.
    """
    folded = _fold_character(character)
    if folded in _EMOJI_NAMES:
        return "e"
    if folded == BREAK:
        return ";" if character.isdigit() else "|"
    if folded.isalnum():
        return "9" if character.isdigit() else "a"
    return folded or "_"


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """Return letters and digits, a space, a break, an emoji's word, or nothing."""
    if character in _EMOJI_WORDS:
        return _EMOJI_WORDS[character]
    if character in _APOSTROPHES or character in _JOINING_MARKS:
        return "" if character in _APOSTROPHES else " "
    if "🇦" <= character <= "🇿":
        return chr(ord("a") + ord(character) - ord("🇦"))
    for first in "🅐🅰":
        if first <= character <= chr(ord(first) + 25):
            return chr(ord("a") + ord(character) - ord(first))
    plain = unicodedata.normalize("NFKD", character).casefold()
    plain = unicodedata.normalize("NFKD", plain)
    look_alikes = _load_look_alikes()
    kept = "".join(
        look_alikes.get(each, each)
        for each in plain
        if unicodedata.category(each) not in _INVISIBLE_CATEGORIES
    )
    if kept.isalnum() or kept == "":
        return kept
    return _fold_mark(character, kept)


def _fold_mark(character: str, kept: str) -> str:
    if character in "?¿？":  # noqa: RUF001 - the full-width one is typed too
        return QUESTION if character != "¿" else BREAK
    if kept.isspace() and character != "\n":
        return " "
    if character in "-/'&@%$+#=":
        return " "
    return BREAK


def _join_spelled_words(tokens: list[Token]) -> list[Token]:
    """Return the tokens with spelled words joined (`b a j a`, `S.T.O.P`).

    The letters of one word are equally far from each other, with the same marks between them.
    """
    joined: list[Token] = []
    index = 0
    for at in [at for at, token in enumerate(tokens) if _is_letter(token)]:
        letters = _list_spelled_letters(tokens, at) if at >= index else []
        if len(letters) >= _SPELLED_LETTERS:
            first, last = tokens[at], tokens[letters[-1]]
            word = "".join(tokens[each].word for each in letters)
            joined += tokens[index:at]
            joined.append(Token(_shorten(word), first.start, last.end, first.capitalised))
            index = letters[-1] + 1
    return joined + tokens[index:]


def _list_spelled_letters(tokens: list[Token], index: int) -> list[int]:
    """Return where the letters of a word are that is spelled from here on."""
    letters: list[int] = []
    distance = (0, 0)
    for at in range(index, len(tokens)):
        token = tokens[at]
        if token.word == BREAK and letters:
            continue
        # A space is as wide as a full stop, which is a token: `y B.A.J.A` is two words.
        gap = (token.start - tokens[letters[-1]].end, at - letters[-1]) if letters else distance
        if not _is_letter(token) or (len(letters) > 1 and gap != distance):
            break
        distance = gap
        letters.append(at)
    return letters


def _is_letter(token: Token) -> bool:
    return len(token.word) == 1 and token.word.isalpha()
