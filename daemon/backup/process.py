"""The program that makes backups: `python -m daemon.backup.process`. It answers one request."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from daemon.backup import copies, keys
from daemon.backup.requests import (
    PROTOCOL,
    BackupAnswer,
    BackupRefusal,
    BackupReply,
    BackupRequest,
    BackupStep,
    ConfirmKeyRequest,
    CopyPart,
    MakeCopyRequest,
    MakeKeyRequest,
    ReadCopyRequest,
    RefreshRequest,
    SealJournalRequest,
    find_config,
)
from daemon.backup.status import read_status, require_readable
from daemon.errors import LeadMasterError
from daemon.settings import Settings, load_settings
from daemon.worker_protocol import FrameWriter, serve_requests, take_standard_streams
from storage.column_formats import utc_now
from storage.errors import StorageError

_PRIVATE_UMASK: Final = 0o077


class BackupProgram:
    """Answers requests, with the settings of this installation."""

    def __init__(self, settings: Settings, config: Path | None) -> None:
        self._settings = settings
        self._config = config

    def send_answer(
        self,
        request: BackupRequest,
        writer: FrameWriter[BackupReply, BackupStep, None],
    ) -> None:
        """Do what was asked, and send the answer."""
        try:
            answer = self._handle(request, writer)
        except LeadMasterError as error:
            writer.send_answer(BackupRefusal(error.code, str(error), error.hint))
        except StorageError as error:
            writer.send_answer(BackupRefusal("backup_failed", error.sentence, error.hint))
        except OSError as error:
            writer.send_answer(BackupRefusal("backup_failed", f"{error}.", ""))
        else:
            writer.send_answer(answer)

    def _handle(
        self,
        request: BackupRequest,
        writer: FrameWriter[BackupReply, BackupStep, None],
    ) -> BackupAnswer:
        settings, now = self._settings, utc_now()
        match request:
            case MakeCopyRequest():
                copy = copies.make_copy(
                    settings, self._config, now, lambda name: writer.send_progress(BackupStep(name))
                )
                return BackupAnswer(read_status(settings), copy=copy)
            case SealJournalRequest():
                copies.seal_journal(settings, now)
            case MakeKeyRequest(replace):
                with copies.opened_copies(settings) as folder:
                    require_readable(read_status(settings))
                    key = keys.make_key(folder, now, replace=replace)
                return BackupAnswer(copies.refresh_status(settings), key=key)
            case ConfirmKeyRequest(typed):
                with copies.opened_copies(settings) as folder:
                    keys.confirm_key(folder, typed, now)
            case ReadCopyRequest(name):
                # Without the lock: a copy is whole once it has its name, and never changes.
                for part in copies.read_parts(settings.backup_dir, name):
                    writer.send_answer(CopyPart(part))
                return BackupAnswer(read_status(settings))
            case RefreshRequest():
                pass
        return BackupAnswer(copies.refresh_status(settings))


def main(arguments: Sequence[str], requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol, until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m daemon.backup.process")
    parser.add_argument("--settings", help="the daemon's settings as JSON; else they are read")
    parser.add_argument("--config", type=Path, help="the settings file, of which a copy is made")
    options = parser.parse_args(arguments)
    os.umask(_PRIVATE_UMASK)
    config = options.config or find_config()
    if options.settings:
        settings = msgspec.json.decode(options.settings, type=Settings)
    else:
        settings = load_settings(config)
    serve_requests(PROTOCOL, BackupProgram(settings, config).send_answer, requests, answers)


if __name__ == "__main__":
    main(sys.argv[1:], *take_standard_streams())
