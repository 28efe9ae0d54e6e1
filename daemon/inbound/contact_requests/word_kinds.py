"""The kinds of words that the shapes of an opt-out are made of, and the lexicon that knows them.

The words are in `lexicon/words.toml`. A verb counts in the forms of a wish alone: infinitive,
imperative and subjunctive; other tenses are words like any other, and not understood.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from daemon.inbound.contact_requests.key_slips import KeySlips, build_key_slips
from daemon.inbound.contact_requests.patterns import PatternSet, WordLine

LEXICON_FOLDER: Final = Path(__file__).with_name("lexicon")


class WordKind(StrEnum):
    """The kind of a word; the value is its letter in the code of a clause."""

    NEGATION = "n"
    ME = "m"
    MY = "y"
    THIS = "z"
    WANT = "w"
    SEND = "s"
    ASK_TO_SEND = "S"
    RECEIVE = "e"
    STOP = "t"
    QUIT_DOING = "j"
    ADD = "A"
    REMOVE = "r"
    REMOVE_ME = "R"
    REMOVE_ASKED = "Q"
    TAKE = "k"
    TAKE_DOWN = "V"
    BAJA = "b"
    GIVE = "g"
    UNSUBSCRIBE = "u"
    CANCEL = "c"
    SUBSCRIPTION = "i"
    LIST = "l"
    MESSAGE_WORD = "o"
    INFO = "I"
    DATA = "d"
    AGAIN = "a"
    PERMISSION = "p"
    LEAVE = "v"
    OTHER_TIME = "q"
    LIMIT = "L"
    UNABLE = "U"
    NOT_OTHERWISE = "N"
    PEACE = "P"
    REGISTER = "G"
    OPT_OUT_PHRASE = "O"
    COURTESY = "+"
    FILLER = "."
    UNKNOWN = "x"


WordKinds = str
"""The letters of one kind, or of several for words that are written as one."""

_ATTACHED_ME: Final = ("me", "nos", "melo", "mela", "noslo", "nosla", "melos", "melas")
_ATTACHED_OTHERS: Final = ("lo", "la", "los", "las", "le", "les", "te", "se")
_WISH_ENDINGS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # before a or o, and before e or i: a stem may be spelled in two ways
    "es_ar": (("ar", "ara", "aran", "aras", "ando"), ("e", "en", "es")),
    "es_er": (("er", "a", "an", "as", "iera", "ieran", "ieras", "iendo"), ()),
    "es_ir": (("ir", "a", "an", "as", "iera", "ieran", "ieras", "iendo"), ()),
    "pt_ar": (("ar", "arem", "ando"), ("e", "em", "es")),
    "pt_er": (("er", "a", "am", "endo"), ()),
    "pt_ir": (("ir", "a", "am", "indo"), ()),
}
_COMMAND_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    # a command to one person looks like the indicative, so it counts where nothing negates it
    "es_ar": ("a", "ad"),
    "es_er": ("e",),
    "es_ir": ("e", "i"),
    "pt_ar": ("a",),
    "pt_er": ("e",),
    "pt_ir": ("e", "i"),
}


class ReadWord(Struct):
    """A word, or the words of a fixed phrase, with its kinds."""

    kinds: WordKinds
    last: str
    """The word, or the last one of the phrase."""


class Lexicon:
    """Every word that is known, with its kind."""

    def __init__(self, words: Mapping[str, WordKind], fixed: PatternSet, slips: KeySlips) -> None:
        slipped = {slip: words[core] for slip, core in slips.meant.items()}
        self._words: Mapping[str, WordKind] = {**slipped, **words}
        self.fixed = fixed
        """Phrases of several words with a meaning of their own, under the names of its kinds."""
        self._slips = slips

    def get_kinds(self, word: str) -> WordKinds:
        """Return the kinds of one folded word: one, or more for words written as one.

        A key slip has the kind of the core word that was meant.
        """
        if kind := self._words.get(word):
            return kind
        if meant := self._slips.find_other(word):
            return self._words[meant]
        return self._read_glued(word) or WordKind.UNKNOWN

    def _read_glued(self, word: str) -> WordKinds | None:
        """Return the kinds of a no that was written without spaces (`nomandenmas`)."""
        if not word.startswith("n"):
            return None
        for no in ("nao", "no"):
            rest = word.removeprefix(no)
            if rest == word or len(rest) < 4:  # noqa: PLR2004 - shorter ones are other words
                continue
            rest = rest.removeprefix("me") if rest[2:] else rest
            core = rest.removesuffix("mas").removesuffix("mais")
            if len(core) > 3 and self._is_listed(core, WordKind.SEND):  # noqa: PLR2004
                again = WordKind.AGAIN if core != rest else ""
                return WordKind.NEGATION + WordKind.SEND + again
        return None

    def _is_listed(self, word: str, kind: WordKind) -> bool:
        return self._words.get(word) is kind and word not in self._slips.meant


class LineReader:
    """Reads the words of one line, each of them once."""

    def __init__(self, line: WordLine, lexicon: Lexicon) -> None:
        self._tokens = line.tokens
        self._fixed = lexicon.fixed.search(line)
        self._get_kinds = cache(lexicon.get_kinds)

    def read_kinds(self, start: int, end: int) -> WordKinds:
        """Return the kinds of the words from one token to another, in order."""
        return "".join([word.kinds for word in self.read_words(start, end)])

    def read_words(self, start: int, end: int) -> list[ReadWord]:
        """Return the words from one token to another with their kinds, the longest phrase first."""
        words: list[ReadWord] = []
        while start < end:
            phrase = self._fixed.find_longest_at(start, end)
            start = phrase.end if phrase else start + 1
            last = self._tokens[start - 1].word
            kinds = _parse_kinds(phrase.label) if phrase else self._get_kinds(last)
            words.append(ReadWord(kinds, last))
        return words


@cache
def _parse_kinds(names: str) -> WordKinds:
    return "".join(WordKind[name.upper()] for name in names.split())


@cache
def load_lexicon() -> Lexicon:
    """Return the shipped lexicon, read once."""
    data = tomllib.loads((LEXICON_FOLDER / "words.toml").read_text(encoding="utf-8"))
    words: dict[str, WordKind] = {}
    for name, verbs in data["verbs"].items():
        words |= dict(_list_verb_forms(WordKind[name.upper()], verbs))
    for name, text in data["words"].items():
        words |= dict.fromkeys(text.split(), WordKind[name.upper()])
    return Lexicon(words, PatternSet(data["fixed"]), _load_key_slips(words))


def _load_key_slips(known_words: Mapping[str, WordKind]) -> KeySlips:
    text = (LEXICON_FOLDER / "key_slips.toml").read_text(encoding="utf-8")
    data = {name: frozenset(words.split()) for name, words in tomllib.loads(text).items()}
    core = {name: [w for w in data[name] if w in known_words] for name in ("words", "verbs")}
    return build_key_slips(
        sorted(core["words"]),
        sorted(core["verbs"]),
        real_words=data["real_words"],
        known_words=known_words,
    )


def _list_verb_forms(kind: WordKind, verbs: Mapping[str, str]) -> Iterator[tuple[str, WordKind]]:
    with_me = WordKind.REMOVE_ME if kind is WordKind.REMOVE else kind
    command = WordKind.ASK_TO_SEND if kind is WordKind.SEND else kind
    for conjugation, stems in verbs.items():
        if conjugation == "words":
            yield from ((word, kind) for word in stems.split())
            continue
        hard, soft = _WISH_ENDINGS[conjugation]
        for stem in stems.split():
            before_a, _, before_e = stem.partition("/")
            wishes = [before_a + ending for ending in hard]
            wishes += [(before_e or before_a) + ending for ending in soft]
            commands = [before_a + ending for ending in _COMMAND_ENDINGS[conjugation]]
            yield from _attach_pronouns(commands, command, with_me)
            yield from _attach_pronouns(wishes, kind, with_me)


def _attach_pronouns(
    forms: Iterable[str], kind: WordKind, with_me: WordKind
) -> Iterator[tuple[str, WordKind]]:
    for form in forms:
        yield form, kind
        yield from ((form + pronoun, kind) for pronoun in _ATTACHED_OTHERS)
        yield from ((form + pronoun, _choose_kind(kind, with_me)) for pronoun in _ATTACHED_ME)


def _choose_kind(kind: WordKind, with_me: WordKind) -> WordKind:
    return with_me if with_me is WordKind.REMOVE_ME else kind
