"""Compare two outputs of seeded_run.py, and name each line that differs in more than renamed words.

`python tools/compare_runs.py BEFORE AFTER [MAP]` ends with 1 where one is left. A word
that the map renames to nothing is a key that is gone.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FILES = ("answers", "events", "database")
DOCUMENT = re.compile(r"[{\[].*", re.DOTALL)

Words = dict[str, list[str]]


def load_words(path: Path) -> Words:
    """Return the renamed words of data, each with its new names."""
    words = tomllib.loads(path.read_text(encoding="utf-8")).get("words", {})
    return {old: [new] if isinstance(new, str) else new for old, new in words.items()}


def unify_words(line: str, words: Words) -> str:
    """Return a line with renamed words unified and its keys sorted."""
    found = DOCUMENT.search(line)
    if found is None:
        return line
    document = unify_document(json.loads(found[0]), words)
    return line[: found.start()] + json.dumps(document, sort_keys=True, ensure_ascii=False)


def unify_document(document: Any, words: Words) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return a document in which old and new names of a key are the same."""
    if isinstance(document, list):
        return [unify_document(each, words) for each in document]
    if isinstance(document, dict):
        named = ((unify_word(key, words), value) for key, value in document.items())
        return {key: unify_document(value, words) for key, value in named if key}
    if isinstance(document, str) and document[:1] in {"{", "["}:  # JSON in a column
        try:
            return unify_document(json.loads(document), words)
        except ValueError:
            return document
    return document


def unify_word(word: str, words: Words) -> str:
    """Return the unified name of a word; empty for one that was removed."""
    if word in words:
        return "" if words[word] == [""] else f"<{'|'.join([word, *words[word]])}>"
    old = next((old for old, new in words.items() if word in new), None)
    return word if old is None else unify_word(old, words)


def compare_file(before: Path, after: Path, words: Words) -> list[str]:
    """Return the lines that only one of the two files has, as - and +."""
    old, new = (
        Counter(unify_words(line, words) for line in path.read_text(encoding="utf-8").splitlines())
        for path in (before, after)
    )
    # As counted sets: the order of lines may differ from run to run.
    gone, added = sorted((old - new).elements()), sorted((new - old).elements())
    return [*(f"- {line}" for line in gone), *(f"+ {line}" for line in added)]


def main(before: Path, after: Path, renames: Path) -> int:
    """Print the differences of the three files; return 1 where there are any."""
    words, left = load_words(renames), 0
    for name in FILES:
        lines = (before / name).read_text(encoding="utf-8").count("\n")
        found = compare_file(before / name, after / name, words)
        left += len(found)
        print(f"{name}: {lines} lines before, {len(found)} differ in more than renamed words")
        print("".join(f"  {line[:400]}\n" for line in found[:20]), end="")
    return int(left > 0)


if __name__ == "__main__":
    BEFORE, AFTER, *REST = map(Path, sys.argv[1:])
    sys.exit(main(BEFORE, AFTER, REST[0] if REST else ROOT / "tools" / "renames.toml"))
