"""Lets the linked-device library of this process trust the root key of a virtual WhatsApp.

Python imports this file by itself where its folder is on `PYTHONPATH`. As soon as the library is
loaded, WhatsApp's root key (32 bytes, once in its writable memory) is overwritten with the one in
`VIRTUAL_WHATSAPP_ROOT_KEY`. Where the key is not found, the process ends with a sentence that says
what to do: an upgrade of the library has changed or moved it. Where
`VIRTUAL_WHATSAPP_KEEP_ALIVE` is set, so are the library's pauses between two keep-alives.

Every process of a test reads this first, so it imports next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NoReturn

ROOT_KEY_VARIABLE = "VIRTUAL_WHATSAPP_ROOT_KEY"
SLOW_END_VARIABLE = "VIRTUAL_WHATSAPP_SLOW_END"
"""Seconds that a process takes to end, as on a machine that is busy; the library runs meanwhile."""
SLOW_LOG_VARIABLE = "VIRTUAL_WHATSAPP_SLOW_LOG"
"""Seconds, and a word: so much later the library's log has a received frame with this word."""
FRAME_LOGGER = "whatsmeow.Client.Recv"
ROOT_KEY = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
KEEP_ALIVE_VARIABLE = "VIRTUAL_WHATSAPP_KEEP_ALIVE"
KEEP_ALIVE = struct.pack("<4q", 10 * 10**9, 20 * 10**9, 30 * 10**9, 180 * 10**9)
"""Nanoseconds: the time to answer, the shortest and the longest pause, and when it gives up."""
LOADING_MODULE = "neonize._binder"
LIBRARY_NAME = "neonize-linux-"
NOT_FOUND_STATUS = 70
NOT_FOUND = """\
WhatsApp's root key is {count} times in the linked-device library ({where}), not once, so that no
process of it comes to the virtual WhatsApp. Was the library upgraded? Look up WACertPubKey in the
file handshake.go of the whatsmeow that this version is built from, and put it into ROOT_KEY in
tests/virtual_whatsapp/preload/sitecustomize.py; where it is the same, the search in that file has
to follow what changed.
"""
NO_PAUSES = """\
The pauses between keep-alives are {count} times in the linked-device library, not once. Was it
upgraded? Look up the variables of keepalive.go in the whatsmeow that this version is built from,
and put them into KEEP_ALIVE in tests/virtual_whatsapp/preload/sitecustomize.py.
"""


def overwrite_root_key(key: bytes) -> None:
    """Overwrite the root key; end the process where it is not found exactly once."""
    places = list(find_places(ROOT_KEY))
    if len(places) != 1:
        sys.stderr.write(NOT_FOUND.format(count=len(places), where="in the memory of this process"))
        os._exit(NOT_FOUND_STATUS)
    ctypes.memmove(places[0], key, len(key))


def overwrite_pauses(seconds: str) -> None:
    """Overwrite the time to answer a keep-alive, and the two pauses; three numbers in a text."""
    places = list(find_places(KEEP_ALIVE))
    if len(places) != 1:
        sys.stderr.write(NO_PAUSES.format(count=len(places)))
        os._exit(NOT_FOUND_STATUS)
    new = struct.pack("<3q", *(int(float(each) * 10**9) for each in seconds.split()))
    ctypes.memmove(places[0], new, len(new))


def find_places(known: bytes) -> Iterator[int]:
    """Yield each address at which these bytes are in the library's writable memory."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        addresses, rights, *_ = line.split()
        if LIBRARY_NAME in line and "w" in rights:
            begin, end = (int(each, 16) for each in addresses.split("-"))
            memory = ctypes.string_at(begin, end - begin)
            place = memory.find(known)
            while place >= 0:
                yield begin + place
                place = memory.find(known, place + 1)


class OverwritingLoader(Loader):
    """Loads the module that loads the library, then overwrites the key."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as it would be without us."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load the library, and overwrite the key before anybody calls it."""
        self._loader.exec_module(module)
        overwrite_root_key(bytes.fromhex(os.environ[ROOT_KEY_VARIABLE]))
        if KEEP_ALIVE_VARIABLE in os.environ:
            overwrite_pauses(os.environ[KEEP_ALIVE_VARIABLE])


class LibraryFinder(MetaPathFinder):
    """Finds the module that loads the library."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, with a loader that overwrites the key."""
        if fullname != LOADING_MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = OverwritingLoader(spec.loader)
        return spec


def slow_down_end(seconds: float) -> None:
    """Let the process end later than it wants to."""
    end = os._exit

    def end_later(status: int) -> NoReturn:
        time.sleep(seconds)
        end(status)

    os._exit = end_later


def slow_down_log(seconds: float, word: str) -> None:
    """Let the thread that writes the library's log come late to a frame."""
    import logging  # noqa: PLC0415 - for the few processes that ask for it

    def wait(record: logging.LogRecord) -> bool:
        if word in record.getMessage():
            time.sleep(seconds)
        return True

    logging.getLogger(FRAME_LOGGER).addFilter(wait)


if SLOW_END_VARIABLE in os.environ:
    slow_down_end(float(os.environ[SLOW_END_VARIABLE]))
if SLOW_LOG_VARIABLE in os.environ:
    seconds, word = os.environ[SLOW_LOG_VARIABLE].split()
    slow_down_log(float(seconds), word)
if ROOT_KEY_VARIABLE in os.environ:
    sys.meta_path.insert(0, LibraryFinder())
