"""A plugin from outside: one object with the hooks that it implements."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from daemon.api import hookimpl
from daemon.api.events import DomainEvent
from daemon.api.imports import ImportSource
from daemon.api.opinions import Opinion, OpinionRequest
from daemon.api.transport import Capabilities, Channel
from leadmaster_stranger.channel import open_folder
from leadmaster_stranger.lines import open_lines
from leadmaster_stranger.opinion import opinion_on

__all__ = ["Stranger", "plugin"]


class Stranger:
    """``quiet`` holds country codes (ISO 3166) where nobody is written to."""

    def __init__(self, quiet: frozenset[str]) -> None:
        self.quiet = quiet
        self.counts: Counter[str] = Counter()

    @hookimpl
    def leadmaster_declare_channels(self) -> Sequence[Channel]:
        """Bring a channel that writes files."""
        return [
            Channel(
                "folder",
                "Writes each message into a folder",
                open_folder,
                Capabilities(acks=True, chooses_id=True),
                probe="leadmaster_stranger.probe:FolderProbe",
            )
        ]

    @hookimpl
    def leadmaster_declare_sources(self) -> Sequence[ImportSource]:
        """Bring an import source."""
        return [
            ImportSource(
                "lines", "One number a line, then a name", (".numbers",), open_lines, unit="line"
            )
        ]

    @hookimpl
    async def leadmaster_judge_message(self, request: OpinionRequest) -> Opinion | None:
        """Be stricter than the rules."""
        return opinion_on(request, self.quiet)

    @hookimpl
    async def leadmaster_observe_event(self, event: DomainEvent) -> None:
        """Count what happens."""
        self.counts[event.type] += 1


plugin = Stranger(frozenset(os.environ.get("LEADMASTER_STRANGER_QUIET", "").split(",")) - {""})
"""What the entry point names."""
