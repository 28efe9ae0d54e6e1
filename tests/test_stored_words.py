"""Words that databases, clients and rule files hold: a renamed class must not change one."""

from __future__ import annotations

import enum
import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

PINNED = Path(__file__).parent / "data" / "stored_words.json"
PACKAGES = ("daemon", "rules", "statemachines", "storage")


def list_vocabularies(kind: type[enum.StrEnum] = enum.StrEnum) -> Iterator[type[enum.StrEnum]]:
    """Yield every StrEnum of the product; their modules must be imported."""
    for each in kind.__subclasses__():
        if each.__module__.partition(".")[0] in PACKAGES:
            yield each
        yield from list_vocabularies(each)


def test_every_word_is_what_databases_and_clients_hold() -> None:
    """A word that changes, comes or goes is a change of the interface: it is written here too."""
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    words = {each.__name__: sorted(word.value for word in each) for each in list_vocabularies()}
    assert words == json.loads(PINNED.read_text(encoding="utf-8"))
