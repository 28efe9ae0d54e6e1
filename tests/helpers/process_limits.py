"""Limits for this process: file size, privileges, modes of files."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Make writes past a size fail for the length of the block, as on a full disk."""
    # Python ignores SIGXFSZ, so that a write past the limit raises an error.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOBODY_UID = 65534


@contextlib.contextmanager
def drop_privileges() -> Iterator[None]:
    """Run the block as a user other than root, to which file modes apply."""
    before = os.geteuid()
    if before == 0:
        # The effective id alone, so that root can be had back.
        os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(before)


@contextlib.contextmanager
def change_mode(path: Path, bits: int) -> Iterator[None]:
    """Give a path other permissions for the length of the block."""
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(0o700)
