"""Runs durable-rules as a pure matcher: assert one fact, drain the actions, retract it.

The library has sharp edges, each held by a test in tests/rules/test_durable_rules_edges.py. It is
used here in the one narrow way that avoids them.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from rules.compiler import CANARY, SID

try:
    import durable_rules_engine
except ImportError:  # not installed, or built without what pyproject.toml says
    durable_rules_engine = None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.compiler import Shard
    from rules.known_values import KnownValue

_MAX_ACTIONS = 256  # a shard of 48 conditions has far fewer rules; bounds the loop that drains them


_C: Any = durable_rules_engine

ENGINE_AVAILABLE: bool = _C is not None
"""Whether the C extension is there; `pyproject.toml` says how it is built for every Python."""


class EngineFault(Exception):
    """The engine failed or gave an incomplete answer; `str(error)` says how."""


class DurableMatcher:
    """The compiled shards of one ruleset; safe to call from several threads.

    The networks are freed by `close`, or when the matcher is no longer referenced: a ruleset that
    was replaced is in use until the last decision that began with it has ended.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Build every shard's network. Raises `EngineFault` when the engine refuses one."""
        if not ENGINE_AVAILABLE:
            message = "durable-rules is not installed for this Python"
            raise EngineFault(message)
        # Threads on one network make the engine skip rules without a sign, which would fail open.
        self._lock = threading.Lock()
        self._shards = tuple(shards)
        self._handles: list[int | None] = [None] * len(self._shards)
        self._used = [False] * len(self._shards)
        self._forgotten = weakref.finalize(self, _free_networks, self._handles, self._used)
        # At exit the process frees everything anyway.
        self._forgotten.atexit = False
        for index in range(len(self._shards)):
            self._build(index)

    def fired(self, values: Mapping[str, KnownValue]) -> frozenset[str]:
        """Return the ids of the rules that fire on these values. Raises `EngineFault`."""
        with self._lock:
            found: set[str] = set()
            for index, shard in enumerate(self._shards):
                found.update(self._fired_in(index, shard, values))
            return frozenset(found)

    def close(self) -> None:
        """Free the networks. Closing twice is harmless; `fired` raises `EngineFault` afterwards."""
        with self._lock:
            _free_networks(self._handles, self._used)

    def _fired_in(self, index: int, shard: Shard, values: Mapping[str, KnownValue]) -> list[str]:
        handle = self._handles[index]
        if handle is None:
            message = f"Shard {index} of the rules is closed"
            raise EngineFault(message)
        fact = shard.fact(values)
        self._used[index] = True
        try:
            actions = _drain_actions(handle, fact)
        except Exception as error:
            # The fact may still be asserted: a fresh network, or the next decision would see it.
            self._rebuild(index)
            message = f"The rules engine failed in shard {index}: {error}"
            raise EngineFault(message) from error
        # Fails closed: without the canary at the end some rules did not run, perhaps a veto.
        if actions[-1:] != [CANARY]:
            self._rebuild(index)
            message = f"Shard {index} of the rules lost its canary: some rules did not run"
            raise EngineFault(message)
        return [shard.rules[action] for action in actions[:-1]]

    def _build(self, index: int) -> None:
        try:
            self._handles[index] = _C.create_ruleset("rules", self._shards[index].definition)
        except Exception as error:
            message = f"The rules engine refused shard {index}: {error}"
            raise EngineFault(message) from error

    def _rebuild(self, index: int) -> None:
        _free_network(self._handles, self._used, index, drained=False)
        self._build(index)


def _free_networks(handles: list[int | None], used: list[bool]) -> None:
    for index in range(len(handles)):
        _free_network(handles, used, index, drained=True)


def _free_network(
    handles: list[int | None], used: list[bool], index: int, *, drained: bool
) -> None:
    """Free one network, and its state (half a megabyte) where that is safe."""
    handle, handles[index] = handles[index], None
    if handle is None:
        return
    # `delete_state` kills the process, unless all actions of the state are drained.
    if drained and used[index]:
        _C.delete_state(handle, SID)
    used[index] = False
    _C.delete_ruleset(handle)


def _drain_actions(handle: int, fact: str) -> list[str]:
    """Assert a fact, return the names of all actions in order of priority, retract the fact."""
    _, state = _C.assert_fact(handle, fact)
    started = _C.start_action_for_state(handle, state)
    message = started[1] if started else None
    actions: list[str] = []
    while message and len(actions) < _MAX_ACTIONS:
        # An action is `{"name": …}` around a copy of the whole fact. Parsing that for each rule
        # that fires would cost more than the rest of a decision, and our names need no escapes.
        actions.append(message.split('"', 2)[1])
        message = _C.complete_and_start_action(handle, state)
    _C.retract_fact(handle, fact)
    return actions
