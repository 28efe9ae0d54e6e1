"""The console's languages: a catalogue of words for each, and translations of sentences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

LANGUAGES: Final = {"en": "English", "es": "Español"}
"""Each language by its code, named in itself; the first is the default."""
DEFAULT_LANGUAGE: Final = next(iter(LANGUAGES))
_WORDS_FOLDER: Final = Path(__file__).parent / "words"
_SENTENCES_TABLE: Final = "sentences"
_SCRIPT_PREFIX: Final = "script."
_TIME_PREFIX: Final = "time."
_FIELD_PREFIX: Final = "field."
_PLURAL_FORMS: Final[Mapping[object, str]] = {0: "none", 1: "one"}
_PLACE_PREFIX: Final = re.compile(r"(?P<place>(?:[\w.\[\]-]+|[^\n]+?:\d+:\d+): )(?=\S)")
"""What a sentence is about: the field of a request, or a place in a rule file."""
_DATE: Final = re.compile(
    r"(?<![\w.:/-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\w:/-]| \d\d:)"
)
"""A date as programs write it, with no time behind it."""
_DATE_KEY: Final = "near_day.day"
_PLACEHOLDER: Final = re.compile(r"\\\{(\w+)\\\}")


class Language:
    """One language: call it with a key for a word of the pages; `translate` is for sentences."""

    def __init__(self, code: str, document: Mapping[str, Any]) -> None:
        self.code = code
        sentences: Mapping[str, str] = document.get(_SENTENCES_TABLE, {})
        pages = {name: table for name, table in document.items() if name != _SENTENCES_TABLE}
        self.words: Mapping[str, str] = dict(_flatten(pages))
        # What has more words of its own first: another may be its beginning, with a placeholder.
        self._sentences = [
            (_compile_sentence(sentence), sentences[sentence])
            for sentence in sorted(sentences, key=_count_own_letters, reverse=True)
        ]

    def __call__(self, key: str, **values: object) -> str:
        """Return the word of a key; where `n` is 0 or 1 its `.none` or `.one` form, if it has one.

        With an element among the values, such as a time, the word is markup; the rest is escaped.
        Raises KeyError for a key that the catalogue lacks: that is a defect of the page.
        """
        form = _PLURAL_FORMS.get(values.get("n"))
        if form and f"{key}.{form}" in self.words:
            key = f"{key}.{form}"
        has_markup = any(isinstance(value, Markup) for value in values.values())
        word = Markup(self.words[key]) if has_markup else self.words[key]  # noqa: S704 - our own
        return word.format(**values) if values else word

    def has(self, key: str) -> bool:
        """Return whether the catalogue has this key."""
        return key in self.words

    def script_words(self) -> dict[str, str]:
        """Return the words for scripts: [script] without its prefix, [time] with it."""
        own = {
            key.removeprefix(_SCRIPT_PREFIX): word
            for key, word in self.words.items()
            if key.startswith(_SCRIPT_PREFIX)
        }
        times = {key: word for key, word in self.words.items() if key.startswith(_TIME_PREFIX)}
        return own | times

    def translate(self, sentence: str) -> str:
        """Return a sentence of the server in this language; unchanged if it is not known.

        The values of its placeholders are kept where they are no sentences themselves, and so is a
        field or a place before it. Several sentences are translated one by one. A date is written
        as people of the language do.
        """
        translated = []
        while sentence:
            translation, sentence = self._translate_first(sentence)
            translated.append(translation)
        found = " ".join(translated)
        return _DATE.sub(self._write_date, found) if self.has(_DATE_KEY) else found

    def _write_date(self, match: re.Match[str]) -> str:
        try:
            return self(_DATE_KEY, at=date.fromisoformat(match[0]))
        except ValueError:  # such as 30 February
            return match[0]

    def _translate_first(self, text: str) -> tuple[str, str]:
        for pattern, translation in self._sentences:
            if match := pattern.match(text):
                values = {name: self._translate_value(v) for name, v in match.groupdict().items()}
                return translation.format(**values), text[match.end() :].lstrip()
        if prefix := _PLACE_PREFIX.match(text):
            translation, rest = self._translate_first(text[prefix.end() :])
            return self._name_field(prefix["place"]) + translation, rest
        return text, ""

    def _name_field(self, place: str) -> str:
        """Return the field of a request by its label on the page; a place in a file as it is."""
        label = self.words.get(f"{_FIELD_PREFIX}{place.removesuffix(': ')}")
        return f"{label}: " if label else place

    def _translate_value(self, text: str) -> str:
        """Return the value of a placeholder, translated where all of it is known sentences."""
        translated, rest = [], text if " " in text else ""
        while rest:
            before = rest
            translation, rest = self._translate_first(rest)
            if translation == before:  # a value, such as a name
                return text
            translated.append(translation)
        return " ".join(translated) or text


def _flatten(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value)


def _count_own_letters(sentence: str) -> int:
    return len(_PLACEHOLDER.sub("", re.escape(sentence)))


def _compile_sentence(sentence: str) -> re.Pattern[str]:
    """Return a pattern that matches the sentence at the start of a text."""
    # A placeholder matches as little as possible, and up to a blank: several sentences may follow
    # each other in one text.
    return re.compile(_PLACEHOLDER.sub(r"(?P<\1>.+?)", re.escape(sentence)) + r"(?=\s|$)")


@cache
def load_language(code: str) -> Language:
    """Return a language by its code; the default language for an unknown code."""
    chosen = code if code in LANGUAGES else DEFAULT_LANGUAGE
    text = (_WORDS_FOLDER / f"{chosen}.toml").read_text(encoding="utf-8")
    return Language(chosen, tomllib.loads(text))


def choose_language(cookie: str | None, accept_language: str) -> Language:
    """Return the language of the cookie, else the first known one that the browser accepts."""
    if cookie in LANGUAGES:
        return load_language(cookie)
    # In the order given: browsers send their favourite first, so the q values are not needed.
    for part in accept_language.split(","):
        code = part.split(";")[0].strip().split("-")[0].lower()
        if code in LANGUAGES:
            return load_language(code)
    return load_language(DEFAULT_LANGUAGE)
