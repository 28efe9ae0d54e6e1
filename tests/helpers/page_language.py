"""Finds what a page says in another language than its own, and words from inside on it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from daemon.http.console import language
from daemon.http.console.language import LANGUAGES, load_language

SHOWN_ATTRIBUTES: Final = {
    *("title", "aria-label", "placeholder", "alt", "data-done", "data-announce", "data-confirm"),
}
NOT_TEXT: Final = {"script", "style", "code", "pre", "template", "kbd"}
"""Elements whose text is for programs, a key, or quoted from a file as it is."""
VOID: Final = {"meta", "link", "input", "br", "img", "hr", "path", "rect", "circle", "line"}
FUNCTION_WORDS: Final = {
    "en": re.compile(
        r"\b(?:the|is|are|was|were|of|to|with|for|by|not|and|it|its|they|their|them|has|have|from"
        r"|this|that|on|in|at|be|can|can't|been|there|nobody|somebody|which|until|than|will)\b",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"\b(?:el|los|las|del|al|que|qué|para|por|con|sin|una|está|están|hay|lo|le|les|su|sus|se"
        r"|y|más|desde|hasta|cuando|nadie|alguien|todavía|ningún|ninguna|esta|este|esto|pero)\b",
        re.IGNORECASE,
    ),
}
"""Words without which hardly a sentence of a language is written, and which the other lacks."""


def _list_own_labels(code: str) -> Collection[str]:
    """Return the labels of a catalogue that are in no other."""
    others = {
        word for each in LANGUAGES if each != code for word in load_language(each).words.values()
    }
    own = load_language(code).words.values()
    return {word for word in own if "{" not in word and len(word) > 2} - others


OWN_LABELS: Final[Mapping[str, Collection[str]]] = {
    code: _list_own_labels(code) for code in LANGUAGES
}


INSIDE: Final = re.compile(
    r"\b(?:gates?|outbox|listeners?|cleared|degraded|veto(?:es|ed)?|suppress\w*|judg(?:e|es|ed)"
    r"|deferred|wire|ruleset|payload|enqueue\w*|backoff|daemon|lease)\b",
    re.IGNORECASE,
)
"""Names of the code for which an English page has a plain word."""
_FOR_PROGRAMS: Final = re.compile(
    r"\b[a-z]{3}_[0-9A-HJKMNP-TV-Z]{10,}"  # an id
    r"|(?<![\w/.-])[a-z]+(?:_[a-z\d]+)+\b"  # a name in snake case
    r"|(?<![\w/.@-])[a-z_]+\.(?!csv|xlsx|vcf|toml|yaml|lan)[a-z_]{3,}\b"  # a fact, an event
    r'|[{\[]\s*"\w+":'  # JSON
    r"|\d{4}-\d\d-\d\d(?! \d\d:\d\d:\d\d)"  # a date as programs write it
)
_SPANISH_FILE: Final = Path(language.__file__).parent / "words" / "es.toml"
_VARIABLE: Final = re.compile(r"\{\w+\}")
"""A variable of a text, as its writer writes it."""


@cache
def _list_state_names() -> re.Pattern[str]:
    """Return a pattern of the names of states, actions and causes that no Spanish page may show."""
    sentences = tomllib.loads(_SPANISH_FILE.read_text(encoding="utf-8"))["sentences"]
    said = (*load_language("es").words.values(), *sentences.values())
    known = {word.lower() for each in said for word in _WORD.findall(each)}
    names = {
        str(member)
        for enum in set(_list_subclasses(StrEnum))
        if enum.__module__.partition(".")[0] in {"daemon", "storage", "statemachines", "rules"}
        for member in enum.__members__.values()
    }
    inside = sorted(each for each in names if re.fullmatch(r"[a-z_]{4,}", each))
    pattern = "|".join(each for each in inside if each not in known)
    return re.compile(rf"(?<![\w.@«“])(?:{pattern})(?![\w@])")


def _list_subclasses(kind: type[StrEnum]) -> Iterator[type[StrEnum]]:
    each: type[StrEnum]
    for each in kind.__subclasses__():
        yield each
        yield from _list_subclasses(each)


_WORD: Final = re.compile(r"\w+")


def find_internal_words(code: str, document: str, people_wrote: Collection[str] = ()) -> list[str]:
    """Return the texts of a page with a name from inside: an id, a state, a column, a command."""
    texts = read_page(document)
    for part in sorted(people_wrote, key=len, reverse=True):
        texts = [each.replace(part, "…") for each in texts]
    texts = [_VARIABLE.sub("…", each) for each in texts]
    patterns = [_FOR_PROGRAMS, INSIDE if code == "en" else _list_state_names()]
    return [each for each in texts if any(pattern.search(each) for pattern in patterns)]


class PageText(HTMLParser):
    """Collects what a page says: its texts and the attributes that are read out or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the attributes, and remember which element the next text is in."""
        given = dict(attrs)
        # The name of a language is in that language.
        foreign = tag != "html" and "lang" in given
        if not foreign:
            self.texts += [value for name, value in attrs if name in SHOWN_ATTRIBUTES and value]
        if tag not in VOID:
            self._open.append((tag, foreign))

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Take a text that is for people."""
        is_hidden = any(tag in NOT_TEXT or foreign for tag, foreign in self._open)
        if not is_hidden and data.strip():
            self.texts.append(" ".join(data.split()))


def read_page(document: str) -> list[str]:
    """Return what a page says, text by text."""
    parser = PageText()
    parser.feed(document)
    return parser.texts


def find_language(code: str, texts: list[str]) -> list[str]:
    """Return the texts in a language: a sentence, or a label that only its catalogue has."""
    words, labels = FUNCTION_WORDS[code], OWN_LABELS[code]
    return [each for each in texts if words.search(each) or each in labels]


def find_foreign_texts(code: str, document: str, people_wrote: Collection[str] = ()) -> list[str]:
    """Return what a page in a language says in another one, without what people wrote."""
    texts = read_page(document)
    for part in sorted(people_wrote, key=len, reverse=True):
        texts = [each.replace(part, "…") for each in texts]
    return [text for other in LANGUAGES if other != code for text in find_language(other, texts)]


def list_written_texts(document: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON document
    """Yield the texts in a JSON document, those in lists and objects too."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from list_written_texts(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from list_written_texts(value)
