"""Turns the past that a phone replays, once it is linked, into signals of the port."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import AliasLearned, InboundMessage, Origin, OwnMessage, Signal
from daemon.linked_worker.neonize_driver.content import is_call, is_written, read_content
from daemon.linked_worker.neonize_driver.events import (
    MAX_NAME_CHARACTERS,
    parse_addresses,
    read_time,
)
from daemon.linked_worker.protocol import MAX_TEXT_CHARACTERS
from daemon.worker_protocol import describe_defect

_MAX_PARTS: Final = 16
"""WhatsApp sends the past in parts; with more than these waiting, what is live waits too."""


class HistoryReplay:
    """Reports the past in a thread of its own, so that what is live does not wait for it.

    ``report`` may block while the daemon has much to store; ``end`` ends the process, with the
    reason.
    """

    def __init__(self, report: Callable[[Signal], None], end: Callable[[str], None]) -> None:
        self._report = report
        self._end = end
        self._parts: queue.Queue[Any] = queue.Queue(_MAX_PARTS)

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, daemon=True).start()

    def add(self, history: Any) -> None:  # noqa: ANN401 - the library's type is made at run time
        """Report a part of the past, once those before it are through."""
        self._parts.put(history)

    def _run(self) -> None:
        try:
            while True:
                for signal in translate_history(self._parts.get()):
                    self._report(signal)
        except Exception as error:  # noqa: BLE001 - whatever it is, a part of the past is missing
            self._end(f"the past could not be read: {describe_defect(error)}")


def translate_history(history: Any) -> Iterator[Signal]:  # noqa: ANN401 - made at run time
    """Yield who is who, and what was written between the phone and each person, oldest first.

    Nothing of groups, status updates and channels, and nothing that was deleted since.
    """
    for pair in history.phoneNumberToLidMappings:
        yield from _pair_names(parse_addresses((pair.pnJID, pair.lidJID)))
    for chat in history.conversations:
        if not parse_addresses((chat.ID,)):
            continue
        identities = parse_addresses((chat.ID, chat.pnJID or chat.lidJID))
        yield from _pair_names(identities)
        for entry in reversed(chat.messages):
            yield from _translate_message(entry.message, identities)


def _pair_names(identities: Sequence[Identity]) -> Iterator[Signal]:
    if [each.kind for each in identities] == [IdentityKind.PHONE, IdentityKind.LID]:
        phone, lid = identities
        yield AliasLearned(lid, phone)


def _translate_message(entry: Any, identities: Sequence[Identity]) -> Iterator[Signal]:  # noqa: ANN401
    """Yield what one entry of a chat is; a notice of WhatsApp's has no message in it."""
    if not entry.key.ID or not entry.messageTimestamp or not entry.HasField("message"):
        return
    if entry.key.fromMe:
        yield from _translate_own(entry, identities[0], read_time(entry.messageTimestamp))
    elif not is_call(entry.message):
        content = read_content(entry.message)
        yield InboundMessage(
            wire_id=entry.key.ID,
            sender=identities[0],
            text=content.text[:MAX_TEXT_CHARACTERS],
            written_at=read_time(entry.messageTimestamp),
            kind=content.kind,
            origin=Origin.HISTORY,
            aliases=tuple(identities[1:]),
            push_name=entry.pushName[:MAX_NAME_CHARACTERS],
            quoted_id=content.quoted_id,
        )


def _translate_own(entry: Any, recipient: Identity, written_at: datetime) -> Iterator[Signal]:  # noqa: ANN401
    content = read_content(entry.message)
    if is_written(entry.message, content):
        yield OwnMessage(
            entry.key.ID, recipient, written_at, content.text_hash, origin=Origin.HISTORY
        )
