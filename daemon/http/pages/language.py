"""The console's two languages: a catalogue each, and the server's sentences by whole sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = {"en": "English", "es": "Español"}
"""Each language by its code, named in itself; the first is what nobody asked for."""
DEFAULT: Final = next(iter(LANGUAGES))
COOKIE: Final = "language"
_FOLDER: Final = Path(__file__).parent / "words"
_SENTENCES: Final = "sentences"
_FORMS: Final[Mapping[object, str]] = {0: "none", 1: "one"}
_HOLE: Final = re.compile(r"\\\{(\w+)\\\}")


class Language:
    """One language's words. Call it with a key for the page's own; `say` is for the server's."""

    def __init__(self, code: str, document: Mapping[str, Any]) -> None:
        self.code = code
        sentences: Mapping[str, str] = document.get(_SENTENCES, {})
        pages = {name: table for name, table in document.items() if name != _SENTENCES}
        self.words: Mapping[str, str] = dict(_flat(pages))
        self._sentences = [(_pattern(said), theirs) for said, theirs in sentences.items()]

    def __call__(self, key: str, **values: object) -> str:
        """Return a word of the page; where `n` is 0 or 1, its `.none` or `.one` if it has one.

        Raises KeyError for a key that the catalogue lacks: a page without words is a defect.
        """
        form = _FORMS.get(values.get("n"))
        if form and f"{key}.{form}" in self.words:
            key = f"{key}.{form}"
        return self.words[key].format(**values) if values else self.words[key]

    def has(self, key: str) -> bool:
        """Tell whether the catalogue has this key."""
        return key in self.words

    def table(self, name: str) -> dict[str, str]:
        """Return the words of one table by their own names: what a script is given."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): word
            for key, word in self.words.items()
            if key.startswith(prefix)
        }

    def say(self, sentence: str) -> str:
        """Return a sentence of the server in this language; as it is where none is known.

        What stands in holes (times, names) is kept; sentences in a row are taken one by one.
        """
        said = []
        while sentence:
            theirs, sentence = self._first(sentence)
            said.append(theirs)
        return " ".join(said)

    def knows(self, sentence: str) -> bool:
        """Tell whether `say` has words of its own for the beginning of this sentence."""
        return any(pattern.match(sentence) for pattern, _ in self._sentences)

    def _first(self, text: str) -> tuple[str, str]:
        for pattern, theirs in self._sentences:
            if found := pattern.match(text):
                return theirs.format(**found.groupdict()), text[found.end() :].lstrip()
        return text, ""


def _flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value)


def _pattern(said: str) -> re.Pattern[str]:
    """Return what finds this sentence, whole, at the beginning of a text; `{hole}` is anything."""
    return re.compile(_HOLE.sub(r"(?P<\1>.+?)", re.escape(said)) + r"(?=\s|$)")


@cache
def language(code: str) -> Language:
    """Return a language by its code; the default one for a code that is none of ours."""
    known = code if code in LANGUAGES else DEFAULT
    text = (_FOLDER / f"{known}.toml").read_text(encoding="utf-8")
    return Language(known, tomllib.loads(text))


def preferred(cookie: str | None, accepted: str) -> Language:
    """Return the language that was chosen, else the first of ours that the browser accepts."""
    if cookie in LANGUAGES:
        return language(cookie)
    for part in accepted.split(","):
        code = part.split(";")[0].strip().split("-")[0].lower()
        if code in LANGUAGES:
            return language(code)
    return language(DEFAULT)
