"""Key slips: which core word a mistyped one was meant to be.

Only some core words are looked for, because nearness to every listed word would give many ordinary
words a meaning that they do not have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

_SWAPPED_SOUNDS: Final = {"b": "v", "v": "b", "c": "sz", "s": "cz", "z": "cs", "k": "q", "q": "k"}
_LONG_WORD: Final = 8
"""From this length on, any one other letter still leaves the word recognisable."""


class KeySlips:
    """Mistyped forms of the core words, each with the word that was meant."""

    def __init__(
        self, meant: Mapping[str, str], masked: Mapping[str, str], real_words: Collection[str]
    ) -> None:
        self.meant = meant
        """Slips that can be listed, each with its core word."""
        self._masked = masked
        self._real_words = real_words
        self._longest = max(map(len, masked), default=0)

    def find_other(self, word: str) -> str | None:
        """Return the long core word of which this has one other letter; None where there is none.

        A word that is longer than the longest is none, so no word takes time in its square.
        """
        if not _LONG_WORD <= len(word) <= self._longest or word in self._real_words:
            return None
        return next(
            (self._masked[mask] for mask in _mask_letters(word) if mask in self._masked), None
        )


def build_key_slips(
    words: Collection[str],
    verbs: Collection[str],
    *,
    real_words: Collection[str],
    known_words: Collection[str],
) -> KeySlips:
    """Return the slips towards words and verbs; no real or known word is a slip.

    A verb's last two letters stay, because they are what makes a wish of it.
    """
    meant: dict[str, str] = {}
    masked: dict[str, str] = {}
    for core in (*words, *verbs):
        is_verb = core in verbs
        for slip in _list_slips(core):
            kept_ending = not is_verb or slip[-2:] == core[-2:]
            if slip not in known_words and slip not in real_words and kept_ending:
                meant.setdefault(slip, core)
        if len(core) >= _LONG_WORD:
            last = len(core) - 2 if is_verb else len(core)
            masked |= {core[:at] + "." + core[at + 1 :]: core for at in range(1, last)}
    return KeySlips(meant, masked, real_words)


def _list_slips(core: str) -> Iterator[str]:
    for at, letter in enumerate(core):
        yield core[:at] + letter + core[at:]
        if at:
            yield core[:at] + core[at + 1 :]
            yield core[: at - 1] + letter + core[at - 1] + core[at + 1 :]
        for other in _SWAPPED_SOUNDS.get(letter, ""):
            yield core[:at] + other + core[at + 1 :]


def _mask_letters(word: str) -> Iterator[str]:
    return (word[:at] + "." + word[at + 1 :] for at in range(1, len(word)))
