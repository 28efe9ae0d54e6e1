"""The protobuf messages of the wire, as the linked-device library itself brings them.

They are imported from the library's folder, not through its package: importing the package starts
the library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIBRARY_PACKAGE = "neonize"


def find_library_folder() -> Path:
    """Return the folder of the installed library; raise :class:`LibraryMissing` without it."""
    spec = find_spec(LIBRARY_PACKAGE)
    if spec is None or spec.origin is None:
        raise LibraryMissing
    return Path(spec.origin).parent


class LibraryMissing(Exception):
    """The linked-device library is not installed; `make venv` installs it."""

    def __str__(self) -> str:
        """Say what is missing, and how it gets there."""
        return "The linked-device library is not installed here: run `make venv`."


def import_message(module: str, name: str) -> Any:  # noqa: ANN401 - generated at run time
    """Return a message by its module and name; raise :class:`LibraryMissing` without them."""
    folder = str(find_library_folder() / "proto")
    if folder not in sys.path:
        sys.path.append(folder)  # the generated modules import each other by these names
    return getattr(import_module(module), name)


HandshakeMessage = import_message("waWa6.WAWebProtobufsWa6_pb2", "HandshakeMessage")
ClientPayload = import_message("waWa6.WAWebProtobufsWa6_pb2", "ClientPayload")
CertChain = import_message("waCert.WACert_pb2", "CertChain")
ADVDeviceIdentity = import_message("waAdv.WAAdv_pb2", "ADVDeviceIdentity")
ADVSignedDeviceIdentity = import_message("waAdv.WAAdv_pb2", "ADVSignedDeviceIdentity")
ADVSignedDeviceIdentityHMAC = import_message("waAdv.WAAdv_pb2", "ADVSignedDeviceIdentityHMAC")
Message = import_message("waE2E.WAWebProtobufsE2E_pb2", "Message")
HistorySync = import_message("waHistorySync.WAWebProtobufsHistorySync_pb2", "HistorySync")
