"""The console's English words for what is stored as a name: states, outcomes and kinds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import daemon

_CATALOGUE: Final = Path(daemon.__file__).parent / "http" / "console" / "words" / "en.toml"
"""Read as a file, because its package is the server's, which no command loads."""


def get_word(section: str, name: str) -> str:
    """Return the word for a stored name, in lower case, such as `new, landline`.

    `section` is one of the catalogue, such as `outcome` or `history.kind`. Where it has no word,
    the name is returned, with blanks in place of underscores.
    """
    words: Any = _load_catalogue()
    for part in section.split("."):
        words = words.get(part, {})
    word = words.get(name)
    return word[:1].lower() + word[1:] if isinstance(word, str) else name.replace("_", " ")


def get_counted_word(section: str, name: str, n: int, /, **values: object) -> str:
    """Return the word for so many of something, with its placeholders filled."""
    one = f"{name}.one"
    form = one if n == 1 and get_word(section, one) != one.replace("_", " ") else name
    return get_word(section, form).format(n=n, **values)


def format_counts(counts: Mapping[str, int], section: str) -> str:
    """Return counts by stored name in words, without those of 0: `417 new; 28 new, landline`."""
    text = "; ".join(
        f"{count} {get_word(section, name)}" for name, count in counts.items() if count
    )
    return text or "nothing"


@cache
def _load_catalogue() -> Mapping[str, Any]:
    return tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))
