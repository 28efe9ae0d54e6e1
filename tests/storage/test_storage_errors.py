"""Which errors the disk is to blame for, and what a person is told."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from storage import errors
from storage.errors import DiskFault, DiskFull, StorageError, WriteFailed, classify_disk_error


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EIO, DiskFault),
        (errno.EROFS, DiskFault),
        (errno.ECONNRESET, type(None)),
    ],
)
def test_the_disks_errors_are_told_from_others(number: int, kind: type[WriteFailed | None]) -> None:
    """A full disk and a faulty one differ in code and hint; other errors stay what they are."""
    assert type(classify_disk_error(OSError(number, "why"), "/srv/leadmaster.db")) is kind


def test_a_jobs_own_errors_are_not_the_disks() -> None:
    """A broken constraint or a defect is no fault of the disk."""
    assert classify_disk_error(sqlite3.IntegrityError("UNIQUE"), "x") is None
    assert classify_disk_error(LookupError(), "x") is None


def test_every_error_has_a_code_of_its_own() -> None:
    """Codes are what programs match on, so no two kinds share one."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, StorageError)
    ]
    codes = {kind.code for kind in kinds}
    assert len(codes) == len(kinds)
    assert {"database_newer", "database_foreign", "database_corrupt", "database_cloned"} <= codes
    assert {
        "database_outdated",
        "database_missing",
        "database_read_only",
        "disk_full",
        "io",
        "closed",
    } <= codes
