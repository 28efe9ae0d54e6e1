"""The linked-device library, led to a virtual WhatsApp without a change of its files.

Three things lead it there, all in the environment of the process that loads it: a proxy, a file of
certificate authorities, and the public key of WhatsApp's root, which the process overwrites in its
own memory (`sitecustomize.py` beside this file).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.virtual_whatsapp.protobufs import LibraryMissing, find_library_folder

ROOT_KEY_VARIABLE = "VIRTUAL_WHATSAPP_ROOT_KEY"


def find_library() -> Path:
    """Return the library's own file; raise :class:`LibraryMissing` where there is none."""
    found = sorted(find_library_folder().glob("neonize-linux-*.so"))
    if not found:
        raise LibraryMissing
    return found[0]


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
