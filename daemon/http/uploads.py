"""Stores uploaded files in the state folder for some days, each under an id."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Final

from daemon.errors import BadRequest, NotFound
from daemon.http.middleware import build_body_too_large
from storage.errors import translate_disk_errors

FILE_LIMIT: Final = 64 << 20
_UPLOAD_ID: Final = re.compile(r"up_[0-9a-f]{16}")
_UNSAFE: Final = re.compile(r"[^\w.() -]+")
_MAX_NAME_LENGTH: Final = 120


class UploadStore:
    """The uploads of one installation; each file has its own name, in a folder of its own."""

    def __init__(self, state_dir: Path, limit: int = FILE_LIMIT) -> None:
        self._folder = state_dir / "uploads"
        self._limit = limit

    async def save(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Store a file and return its id; raise :class:`BodyTooLarge` past the limit.

        Nothing is left of an upload that fails. Raises WriteFailed where the disk refuses it.
        """
        upload = f"up_{secrets.token_hex(8)}"
        folder = self._folder / upload
        try:
            with translate_disk_errors(self._folder):
                path = await asyncio.to_thread(self._create_file, upload, name)
                await self._write_chunks(path, chunks)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return upload

    async def _write_chunks(self, path: Path, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._limit:
                raise build_body_too_large(self._limit, "Split the file into several.")
            await asyncio.to_thread(_append_chunk, path, chunk)

    def get_path(self, upload: str) -> Path:
        """Return the path of an upload; raise :class:`NotFound` for an unknown id."""
        folder = self._folder / upload
        # The id comes from the client: nothing but the form of our own may become a path.
        if not _UPLOAD_ID.fullmatch(upload) or not folder.is_dir():
            raise NotFound(
                f"There is no upload {upload}.", hint="Uploads are kept for a few days only."
            )
        return next(folder.iterdir())

    def delete_older(self, before: datetime) -> int:
        """Delete the uploads older than a moment; return how many."""
        old = [
            folder
            for folder in self._folder.glob("up_*")
            if folder.stat().st_mtime < before.timestamp()
        ]
        for folder in old:
            shutil.rmtree(folder)
        return len(old)

    def _create_file(self, upload: str, name: str) -> Path:
        """Create an empty private file with the safe part of the name; return its path."""
        plain = _UNSAFE.sub("_", Path(name).name).strip()[-_MAX_NAME_LENGTH:]
        if not plain.strip("._ "):
            raise BadRequest("filename: it is empty.", hint="Give the file's name: ?filename=…")
        folder = self._folder / upload
        folder.mkdir(mode=0o700, parents=True)
        path = folder / plain
        path.touch(mode=0o600)
        return path


def _append_chunk(path: Path, chunk: bytes) -> None:
    with path.open("ab") as file:
        file.write(chunk)
