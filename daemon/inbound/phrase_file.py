"""The operator's own phrases: read at the start, and again when the daemon is asked to reload."""

from __future__ import annotations

from pathlib import Path

import structlog

from daemon.errors import PhrasesRejected
from daemon.inbound.contact_requests import ContactRequestReader, load_contact_request_reader
from daemon.inbound.contact_requests.listed_phrases import load_listed_phrases
from daemon.settings import InboundSettings

log = structlog.get_logger("inbound")


class PhraseFile:
    """The file of the setting `inbound.phrases_file`, and the reader that reads by it."""

    def __init__(self, settings: InboundSettings) -> None:
        """Read the file. Raises :class:`PhrasesRejected` with every problem and its line."""
        self._path = Path(settings.phrases_file) if settings.phrases_file else None
        self._reader = load_contact_request_reader(self._path)

    @property
    def reader(self) -> ContactRequestReader:
        """Return the reader, which follows every reload."""
        return self._reader

    def reload(self) -> bool:
        """Read the file again; return whether it was taken. A bad one changes nothing."""
        try:
            phrases = load_listed_phrases(own_path=self._path)
        except PhrasesRejected as error:
            log.error("phrases_rejected", problem=str(error))
            return False
        self._reader.use_phrases(phrases)
        log.info("phrases_reloaded")
        return True
