"""What is asked of the program that makes backups, and how: over its unit's socket, or a child's.

Under systemd the program is a unit of its own, started by a connection, since the daemon may not
read the folders of the linked phones' workers. Elsewhere it is a child, with the daemon's settings.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from daemon.backup.errors import BackupFailed
from daemon.backup.status import BackupStatus, SealedCopy
from daemon.errors import LeadMasterError
from daemon.settings import Settings
from daemon.worker_launcher import open_request_worker
from daemon.worker_protocol import (
    Progress,
    WorkerFailed,
    WorkerPipes,
    WorkerProtocol,
    ask_worker,
)

CONFIG_VARIABLE: Final = "LEADMASTER_CONFIG"
DEFAULT_CONFIG: Final = Path("/etc/leadmaster/leadmaster.toml")
STALL_SECONDS: Final = 1800.0
"""The longest time between two steps: a slow disk, a large database, an owner's command."""
_MAX_LINE_BYTES: Final = 1 << 20


class NewBackupKey(msgspec.Struct, frozen=True):
    """A key that was made now: the only moment at which its private half is known here.

    `row` is the row of its sheet that confirms it.
    """

    private: str
    recipient: str
    made_at: datetime
    row: int


class MakeCopyRequest(msgspec.Struct, frozen=True, tag="make_copy"):
    """Make a sealed copy now."""


class SealJournalRequest(msgspec.Struct, frozen=True, tag="seal_journal"):
    """Seal the suppression journal as it is now."""


class RefreshRequest(msgspec.Struct, frozen=True, tag="refresh"):
    """Bring what is known in line with the files that are there."""


class MakeKeyRequest(msgspec.Struct, frozen=True, tag="make_key"):
    """Make a key; with `replace`, also where there is a confirmed one."""

    replace: bool = False


class ConfirmKeyRequest(msgspec.Struct, frozen=True, tag="confirm_key"):
    """Confirm the key with a row of its sheet."""

    typed: str


class ReadCopyRequest(msgspec.Struct, frozen=True, tag="read_copy"):
    """Read a sealed copy, part by part."""

    name: str


BackupRequest: TypeAlias = (
    MakeCopyRequest
    | SealJournalRequest
    | RefreshRequest
    | MakeKeyRequest
    | ConfirmKeyRequest
    | ReadCopyRequest
)


class CopyPart(msgspec.Struct, frozen=True, tag="part"):
    """A part of a sealed copy, in order; base64 on the wire."""

    content: bytes


class BackupAnswer(msgspec.Struct, frozen=True, tag="answer"):
    """What is known now; with the copy or the key that was made."""

    status: BackupStatus
    copy: SealedCopy | None = None
    key: NewBackupKey | None = None


class BackupRefusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Why nothing was done: the code of the error, its sentence and hint."""

    code: str
    sentence: str
    hint: str


class BackupStep(msgspec.Struct, frozen=True, tag="step"):
    """The step that begins now."""

    name: str


BackupReply: TypeAlias = BackupAnswer | BackupRefusal | CopyPart
PROTOCOL: Final[WorkerProtocol[BackupRequest, BackupReply, BackupStep, None]] = WorkerProtocol(
    request=BackupRequest,
    answer=BackupReply,
    progress=BackupStep,
    max_line_bytes=_MAX_LINE_BYTES,
)


async def ask_backup(
    settings: Settings, request: BackupRequest, *, config: Path | None = None
) -> BackupAnswer:
    """Ask the program for something, and return its answer.

    Raises the program's own error, or :class:`BackupFailed` where it gave no answer.
    """
    async with contextlib.aclosing(_list_replies(settings, request, config)) as replies:
        answers = [reply async for reply in replies]
    answer = answers[-1] if answers else None
    if isinstance(answer, BackupAnswer):
        return answer
    raise _build_error(answer if isinstance(answer, BackupRefusal) else None)


async def read_copy(
    settings: Settings, name: str, *, config: Path | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a sealed copy, which this process may not be able to read itself.

    Raises the program's own error, or :class:`BackupFailed` where it did not answer in full.
    """
    asked = _list_replies(settings, ReadCopyRequest(name), config)
    async with contextlib.aclosing(asked) as replies:
        async for reply in replies:
            if isinstance(reply, BackupRefusal):
                raise _build_error(reply)
            if isinstance(reply, CopyPart):
                yield reply.content


async def _list_replies(
    settings: Settings, request: BackupRequest, config: Path | None
) -> AsyncGenerator[BackupReply, None]:
    try:
        async with _open_program(settings, config) as pipes:
            asked = ask_worker(PROTOCOL, pipes, request, stall_seconds=STALL_SECONDS)
            async with contextlib.aclosing(asked) as messages:
                async for message in messages:
                    if not isinstance(message, Progress) and message.body is not None:
                        yield message.body
    except (WorkerFailed, OSError) as error:
        reason = error.detail if isinstance(error, WorkerFailed) else str(error)
        raise BackupFailed(f"The backup's program did not answer: {reason or error}.") from error


def _build_error(refusal: BackupRefusal | None) -> LeadMasterError:
    if refusal is None:
        return BackupFailed("The backup's program said nothing.")
    kind = LeadMasterError.registry.get(refusal.code, BackupFailed)
    return kind(refusal.sentence, hint=refusal.hint)


def _open_program(
    settings: Settings, config: Path | None
) -> contextlib.AbstractAsyncContextManager[WorkerPipes]:
    document = msgspec.json.encode(settings).decode()
    command = [sys.executable, "-m", "daemon.backup.process", "--settings", document]
    if config:
        command += ["--config", str(config)]
    return open_request_worker(settings.backup.socket, command, _MAX_LINE_BYTES)


def find_config(environ: dict[str, str] | None = None) -> Path | None:
    """Return the settings file by the environment, or the usual one if it is there."""
    named = (os.environ if environ is None else environ).get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None
