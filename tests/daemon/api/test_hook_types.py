"""Whoever writes a plugin finds every type that a hook mentions in `daemon.api`."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator
from typing import Any

import daemon.api
from daemon.events import EVENT_CLASSES
from daemon.hookspecs import Hooks

OURS = ("daemon", "rules", "statemachines", "storage")


def list_exports() -> set[object]:
    """Return everything that the modules of `daemon.api` define, or name in `__all__`."""
    exports: set[object] = set()
    for found in pkgutil.iter_modules(daemon.api.__path__, "daemon.api."):
        module = importlib.import_module(found.name)
        named = getattr(module, "__all__", [])
        exports |= {
            value
            for name, value in vars(module).items()
            if name in named or getattr(value, "__module__", None) == found.name
            if isinstance(value, type)
        }
    return exports


def iterate_types(annotation: object) -> Iterator[type]:
    """Yield the classes of ours that an annotation is made of."""
    if isinstance(annotation, list):  # the parameters of a Callable
        for each in annotation:
            yield from iterate_types(each)
    elif isinstance(annotation, type) and annotation.__module__.split(".")[0] in OURS:
        yield annotation
    for each in typing.get_args(annotation):
        yield from iterate_types(each)


def list_annotations(kind: type) -> list[Any]:
    """Return the annotations of a class's fields, and of its public methods."""
    methods = [
        method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    ]
    hints = [typing.get_type_hints(each) for each in (kind, *methods)]
    return [hint for each in hints for hint in each.values()]


def test_every_type_that_a_hook_mentions_is_exported() -> None:
    """Of arguments, of answers, and of what those are made of; events too."""
    seen: set[type] = set()
    waiting: collections.abc.Sequence[type] = [Hooks]
    while waiting:
        mentioned = {
            found
            for kind in waiting
            for annotation in list_annotations(kind)
            for found in iterate_types(annotation)
        }
        waiting = list(mentioned - seen)
        seen |= mentioned
    assert len(seen) > 20
    assert sorted(each.__qualname__ for each in seen - list_exports()) == []


def test_every_event_is_exported() -> None:
    """A listener tells them apart by class."""
    assert set(EVENT_CLASSES.values()) - list_exports() == set()
