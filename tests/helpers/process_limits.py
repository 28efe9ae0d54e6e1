"""What the kernel refuses this process: files past a size, other users' files."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Make the kernel refuse to write past a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOBODY_UID = 65534


@contextlib.contextmanager
def drop_privileges() -> Iterator[None]:
    """Be a user whom modes stop: root ignores them."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(before)


@contextlib.contextmanager
def change_mode(path: Path, bits: int) -> Iterator[None]:
    """Give a path other rights for a while."""
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(0o700)
