"""Reads the content of a message: its kind, its text or caption, and the message it refers to."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from daemon.api.signals import InboundKind
from daemon.api.text import hash_folded_text

_KINDS: Final[tuple[tuple[str, InboundKind], ...]] = (
    ("imageMessage", InboundKind.MEDIA),
    ("videoMessage", InboundKind.MEDIA),
    ("ptvMessage", InboundKind.MEDIA),
    ("documentMessage", InboundKind.MEDIA),
    ("stickerMessage", InboundKind.MEDIA),
    ("albumMessage", InboundKind.MEDIA),
    ("stickerPackMessage", InboundKind.MEDIA),
    ("locationMessage", InboundKind.LOCATION),
    ("liveLocationMessage", InboundKind.LOCATION),
    ("contactMessage", InboundKind.CONTACT),
    ("contactsArrayMessage", InboundKind.CONTACT),
    ("pollCreationMessage", InboundKind.POLL),
    ("pollCreationMessageV2", InboundKind.POLL),
    ("pollCreationMessageV3", InboundKind.POLL),
    ("pollCreationMessageV4", InboundKind.POLL),
    ("pollCreationMessageV5", InboundKind.POLL),
    ("pollCreationMessageV6", InboundKind.POLL),
)
_CALLS: Final = ("call", "callLogMesssage", "bcallMessage")
_WRAPPER: Final = "FutureProofMessage"
"""The type of the fields that hold a whole message: a disappearing one, one to be viewed once."""
_MAX_WRAPPERS: Final = 8
_EDIT_WRAPPER: Final = "editedMessage"
_NOT_WRITTEN: Final = frozenset({InboundKind.REACTION, InboundKind.DELETION, InboundKind.EDIT})
_REVOKED: Final = 0
_EDITED: Final = 14


class MessageContent(Struct, frozen=True):
    """What a message is. ``quoted_id`` is the message that it answers, changes or reacts to."""

    kind: InboundKind
    text: str = ""
    quoted_id: str | None = None

    @property
    def text_hash(self) -> str | None:
        """Return the hash of the text, by which it is known as an approved one; None without."""
        return hash_folded_text(self.text) if self.text else None


def is_call(message: Any) -> bool:  # noqa: ANN401 - the library's type is made at run time
    """Return whether it is the note of a call, which is no message."""
    return any(message.HasField(name) for name in _CALLS)


def is_written(message: Any, content: MessageContent) -> bool:  # noqa: ANN401
    """Return whether it is a message, and not what changes one, a call, or a setting of a chat."""
    is_note = message.HasField("protocolMessage") or is_call(message)
    return content.kind not in _NOT_WRITTEN and not is_note


def read_content(message: Any, *, edited: bool = False) -> MessageContent:  # noqa: ANN401
    """Return what a message is; ``edited``: the library took it out of an edit's wrapper.

    Whatever is not known is ``unsupported``. Never raises, whatever its sender filled in.
    """
    for _ in range(_MAX_WRAPPERS):
        wrapper = _find_wrapper(message)
        if wrapper is None:
            break
        edited = edited or wrapper == _EDIT_WRAPPER
        message = getattr(message, wrapper).message
    return _read_unwrapped(message, edited=edited)


def _find_wrapper(message: Any) -> str | None:  # noqa: ANN401
    """Return the field that holds the message itself, if there is one."""
    for field, value in message.ListFields():
        is_wrapper = field.message_type is not None and field.message_type.name == _WRAPPER
        if is_wrapper and value.HasField("message"):
            return str(field.name)
    return None


def _read_unwrapped(message: Any, *, edited: bool) -> MessageContent:  # noqa: ANN401
    if message.HasField("protocolMessage"):
        return _read_protocol_message(message.protocolMessage)
    if message.HasField("reactionMessage"):
        reaction = message.reactionMessage
        return MessageContent(InboundKind.REACTION, reaction.text, reaction.key.ID or None)
    if message.HasField("pollUpdateMessage"):
        vote = message.pollUpdateMessage
        return MessageContent(InboundKind.POLL, "", vote.pollCreationMessageKey.ID or None)
    if message.HasField("audioMessage"):
        kind = InboundKind.VOICE if message.audioMessage.PTT else InboundKind.MEDIA
        return MessageContent(kind, "", _get_quoted_id(message.audioMessage))
    for name, kind in _KINDS:
        if message.HasField(name):
            part = getattr(message, name)
            return MessageContent(kind, getattr(part, "caption", ""), _get_quoted_id(part))
    return _read_text(message, edited=edited)


def _read_text(message: Any, *, edited: bool) -> MessageContent:  # noqa: ANN401
    kind = InboundKind.EDIT if edited else InboundKind.TEXT
    if message.HasField("extendedTextMessage"):
        extended = message.extendedTextMessage
        return MessageContent(kind, extended.text, _get_quoted_id(extended))
    if message.HasField("conversation"):
        return MessageContent(kind, message.conversation)
    return MessageContent(InboundKind.UNSUPPORTED)


def _read_protocol_message(protocol: Any) -> MessageContent:  # noqa: ANN401
    if protocol.type == _REVOKED:
        return MessageContent(InboundKind.DELETION, "", protocol.key.ID or None)
    if protocol.type == _EDITED:
        text = read_content(protocol.editedMessage).text  # of a picture, it is the caption
        return MessageContent(InboundKind.EDIT, text, protocol.key.ID or None)
    return MessageContent(InboundKind.UNSUPPORTED)


def _get_quoted_id(part: Any) -> str | None:  # noqa: ANN401
    """Return the id of the message that a part quotes, where parts of its kind can quote one."""
    context = getattr(part, "contextInfo", None)
    return (context.stanzaID or None) if context is not None else None
