"""The operator's own file of phrases while the daemon runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.api.effects import ContactRequest
from daemon.errors import PhrasesRejected
from daemon.inbound.phrase_file import PhraseFile
from daemon.settings import InboundSettings


def read(phrases: PhraseFile, text: str) -> ContactRequest:
    """Return what a message is read as now."""
    return phrases.reader.read(text).first.request


def test_a_reload_takes_a_good_file_and_keeps_the_last_good_one(tmp_path: Path) -> None:
    """The reader that the handlers hold follows; a bad file changes nothing."""
    path = tmp_path / "own.txt"
    path.write_text("[opt_out]\nchau chau\n", encoding="utf-8")
    phrases = PhraseFile(InboundSettings(phrases_file=str(path)))
    assert read(phrases, "chau chau") is ContactRequest.OPT_OUT
    path.write_text("[opt_out]\nhasta nunca\n", encoding="utf-8")
    assert phrases.reload()
    assert read(phrases, "hasta nunca") is ContactRequest.OPT_OUT
    assert read(phrases, "chau chau") is not ContactRequest.OPT_OUT
    path.write_text("[opt_out]\n-baja\n", encoding="utf-8")
    assert not phrases.reload()
    assert read(phrases, "hasta nunca") is ContactRequest.OPT_OUT
    path.unlink()
    assert not phrases.reload()
    assert read(phrases, "baja") is ContactRequest.OPT_OUT


def test_a_bad_file_at_the_start_is_refused(tmp_path: Path) -> None:
    """There is no last good one yet."""
    with pytest.raises(PhrasesRejected, match="can't be read"):
        PhraseFile(InboundSettings(phrases_file=str(tmp_path / "none.txt")))


def test_without_a_file_the_shipped_lists_count() -> None:
    """A reload reads them again."""
    phrases = PhraseFile(InboundSettings())
    assert phrases.reload()
    assert read(phrases, "baja") is ContactRequest.OPT_OUT
