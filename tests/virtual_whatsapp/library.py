"""The linked-device library, led to a virtual WhatsApp without a change of its files.

Three things lead it there, all in the environment of the process that loads it: a proxy, a file of
certificate authorities, and the public key of WhatsApp's root, which the process overwrites in its
own memory (`preload/sitecustomize.py`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

from tests.virtual_whatsapp.preload.sitecustomize import (
    KEEP_ALIVE_VARIABLE,
    NOT_FOUND,
    ROOT_KEY,
    ROOT_KEY_VARIABLE,
    SLOW_LOG_VARIABLE,
)
from tests.virtual_whatsapp.protobufs import LibraryMissing, find_library_folder

FAST_KEEP_ALIVE: Mapping[str, str] = {KEEP_ALIVE_VARIABLE: "1 0.3 0.4"}
"""With these variables the library looks every 0.3 s whether the server answers, not every 20."""
LATE_PASSKEY_LOG: Mapping[str, str] = {SLOW_LOG_VARIABLE: "0.3 passkey_prologue_request"}
"""With these variables the log has a request for a passkey later than the pairing has failed."""


class RootKeyNotFound(Exception):
    """The library's file does not hold WhatsApp's root key once; the text says what to do."""


def find_library() -> Path:
    """Return the library's own file; raise :class:`LibraryMissing` where there is none."""
    found = sorted(find_library_folder().glob("neonize-linux-*.so"))
    if not found:
        raise LibraryMissing
    return found[0]


@functools.cache
def check_root_key(library: Path) -> None:
    """Raise :class:`RootKeyNotFound` where a process of this library could not be led anywhere.

    Such a process ends by itself, but nobody reads what a worker prints: a test would only wait.
    """
    count = library.read_bytes().count(ROOT_KEY)
    if count != 1:
        raise RootKeyNotFound(NOT_FOUND.format(count=count, where=library.name))


def build_environment(proxy: str, authority_file: Path, root_key: bytes) -> Mapping[str, str]:
    """Return the variables that lead a process's library to a virtual WhatsApp."""
    folder = str(Path(__file__).with_name("preload"))
    inherited = os.environ.get("PYTHONPATH")
    return {
        "HTTPS_PROXY": proxy,
        "SSL_CERT_FILE": str(authority_file),
        "PYTHONPATH": f"{folder}:{inherited}" if inherited else folder,
        ROOT_KEY_VARIABLE: root_key.hex(),
    }
