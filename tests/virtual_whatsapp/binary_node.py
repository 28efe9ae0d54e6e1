"""WhatsApp's binary XML: nodes, and how they are written and read.

What we write holds plain strings only, which every reader takes. What a client writes is full of
tokens, for which a :class:`TokenTable` is needed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from tests.virtual_whatsapp.token_table import TokenTable

PHONE_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"


@dataclass(frozen=True, slots=True)
class Jid:
    """An address: a person's, or with ``device`` one device's; without ``user`` the server's."""

    user: str
    server: str = PHONE_SERVER
    device: int = 0

    def __str__(self) -> str:
        """Return the address as text."""
        device = f":{self.device}" if self.device else ""
        return f"{self.user}{device}@{self.server}" if self.user else self.server

    @property
    def person(self) -> Jid:
        """Return the address of the person whose device this is."""
        return Jid(self.user, self.server)

    def on_device(self, device: int) -> Jid:
        """Return the address of one of this person's devices."""
        return Jid(self.user, self.server, device)


SERVER_JID = Jid("", PHONE_SERVER)
Attribute: TypeAlias = str | Jid
Attributes: TypeAlias = dict[str, Attribute]


@dataclass(frozen=True, slots=True)
class Node:
    """An element: its tag, attributes, and children or bytes."""

    tag: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    content: tuple[Node, ...] | bytes | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        """Return the children; none where there are bytes, or nothing."""
        return self.content if isinstance(self.content, tuple) else ()

    @property
    def data(self) -> bytes:
        """Return the bytes; empty where there are children, or nothing."""
        return self.content if isinstance(self.content, bytes) else b""

    def text(self, attribute: str) -> str:
        """Return an attribute as text; empty where it is missing."""
        return str(self.attributes.get(attribute, ""))

    def jid(self, attribute: str) -> Jid:
        """Return an attribute that is an address; raise :class:`KeyError` where it is none."""
        value = self.attributes.get(attribute)
        if not isinstance(value, Jid):
            raise KeyError(f"<{self.tag}> has no address {attribute!r}")
        return value

    def find(self, *tags: str) -> Node | None:
        """Return the first node on a path of tags, or None."""
        found: Node | None = self
        for tag in tags:
            children = found.children if found else ()
            found = next((child for child in children if child.tag == tag), None)
        return found

    def require(self, *tags: str) -> Node:
        """Return the first node on a path of tags; raise :class:`KeyError` where there is none."""
        if (found := self.find(*tags)) is None:
            raise KeyError(f"<{self.tag}> has no <{'><'.join(tags)}>")
        return found

    def find_all(self, tag: str) -> Iterable[Node]:
        """Return every node of that tag below this one, in order."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.find_all(tag)


class _Tag(IntEnum):
    """Bytes that begin a value and are no token of their own."""

    EMPTY = 0
    DICTIONARY_0 = 236
    DICTIONARY_3 = 239
    DEVICE_JID = 247
    LIST_8 = 248
    LIST_16 = 249
    JID_PAIR = 250
    HEX_8 = 251
    BINARY_8 = 252
    BINARY_20 = 253
    BINARY_32 = 254
    NIBBLE_8 = 255


_COMPRESSED = 2
_DEVICE_SERVERS = {0: PHONE_SERVER, 1: LID_SERVER}
_DEVICE_DOMAINS = {server: domain for domain, server in _DEVICE_SERVERS.items()}
_NIBBLES = "0123456789-.\0\0\0\0"
_HEX = "0123456789ABCDEF"


def encode_node(node: Node) -> bytes:
    """Return a node as it travels, behind its byte of flags."""
    return b"\0" + _encode(node)


def _encode(node: Node) -> bytes:
    parts = [_encode_list_size(1 + 2 * len(node.attributes) + (node.content is not None))]
    parts.append(_encode_bytes(node.tag.encode()))
    for name, value in node.attributes.items():
        parts.append(_encode_bytes(name.encode()))
        parts.append(
            _encode_jid(value) if isinstance(value, Jid) else _encode_bytes(value.encode())
        )
    if isinstance(node.content, bytes):
        parts.append(_encode_bytes(node.content))
    elif node.content is not None:
        parts.append(_encode_list_size(len(node.content)))
        parts.extend(_encode(child) for child in node.content)
    return b"".join(parts)


def _encode_list_size(size: int) -> bytes:
    if size < 1 << 8:
        return bytes([_Tag.LIST_8, size])
    return bytes([_Tag.LIST_16]) + size.to_bytes(2, "big")


def _encode_bytes(data: bytes) -> bytes:
    if len(data) < 1 << 8:
        return bytes([_Tag.BINARY_8, len(data)]) + data
    return bytes([_Tag.BINARY_32]) + len(data).to_bytes(4, "big") + data


def _encode_jid(jid: Jid) -> bytes:
    if jid.device:
        head = bytes([_Tag.DEVICE_JID, _DEVICE_DOMAINS[jid.server], jid.device])
        return head + _encode_bytes(jid.user.encode())
    user = _encode_bytes(jid.user.encode()) if jid.user else bytes([_Tag.EMPTY])
    return bytes([_Tag.JID_PAIR]) + user + _encode_bytes(jid.server.encode())


class UnreadableNode(Exception):
    """What a client sent is no node; the text says at which byte, and why."""


def decode_node(frame: bytes, tokens: TokenTable) -> Node:
    """Return the node of a decrypted frame; raise :class:`UnreadableNode` where it is none."""
    if not frame:
        raise UnreadableNode("the frame is empty")
    body = zlib.decompress(frame[1:]) if frame[0] & _COMPRESSED else frame[1:]
    reader = _NodeReader(body, tokens)
    try:
        return reader.read_node()
    except (IndexError, UnicodeDecodeError) as error:
        raise UnreadableNode(f"at byte {reader.position}: {error}") from None


class _NodeReader:
    """Reads one node from its first byte on."""

    def __init__(self, data: bytes, tokens: TokenTable) -> None:
        self._data = data
        self._tokens = tokens
        self.position = 0

    def read_node(self) -> Node:
        """Return the node that begins here."""
        size = self._read_list_size(self._read_int(1))
        tag = self._read_text()
        attributes: dict[str, Attribute] = {}
        for _ in range((size - 1) // 2):
            name = self._read_text()
            attributes[name] = self._read_attribute()
        return Node(tag, attributes, self._read_content() if size % 2 == 0 else None)

    def _read_content(self) -> tuple[Node, ...] | bytes | None:
        kind = self._read_int(1)
        if kind in {_Tag.LIST_8, _Tag.LIST_16}:
            return tuple(self.read_node() for _ in range(self._read_list_size(kind)))
        value = self._read_value(kind)
        return str(value).encode() if isinstance(value, str | Jid) else value

    def _read_attribute(self) -> Attribute:
        value = self._read_value(self._read_int(1))
        if isinstance(value, bytes):
            return value.decode()
        return value or ""

    def _read_text(self) -> str:
        return str(self._read_attribute())

    def _read_value(self, kind: int) -> str | bytes | Jid | None:
        if kind == _Tag.EMPTY:
            return None
        if kind <= _Tag.DICTIONARY_3:
            return self._read_token(kind)
        if kind in _LENGTH_BYTES:
            return self._read_bytes(self._read_int(_LENGTH_BYTES[_Tag(kind)]))
        if kind in {_Tag.NIBBLE_8, _Tag.HEX_8}:
            return self._read_packed(_NIBBLES if kind == _Tag.NIBBLE_8 else _HEX)
        if kind in {_Tag.JID_PAIR, _Tag.DEVICE_JID}:
            return self._read_jid(with_device=kind == _Tag.DEVICE_JID)
        raise UnreadableNode(f"at byte {self.position}: {kind} begins no value")

    def _read_token(self, kind: int) -> str:
        if kind < _Tag.DICTIONARY_0:
            return self._tokens.single[kind]
        return self._tokens.double[kind - _Tag.DICTIONARY_0][self._read_int(1)]

    def _read_jid(self, *, with_device: bool) -> Jid:
        if not with_device:
            user = self._read_text()
            return Jid(user, self._read_text())
        domain, device = self._read_int(1), self._read_int(1)
        return Jid(self._read_text(), _DEVICE_SERVERS.get(domain, PHONE_SERVER), device)

    def _read_packed(self, alphabet: str) -> str:
        head = self._read_int(1)
        packed = self._read_bytes(head & 0x7F)
        text = "".join(alphabet[each >> 4] + alphabet[each & 0x0F] for each in packed)
        return text[:-1] if head >> 7 else text

    def _read_list_size(self, kind: int) -> int:
        if kind == _Tag.EMPTY:
            return 0
        if kind == _Tag.LIST_8:
            return self._read_int(1)
        if kind == _Tag.LIST_16:
            return self._read_int(2)
        raise UnreadableNode(f"at byte {self.position}: {kind} begins no list")

    def _read_int(self, size: int) -> int:
        return int.from_bytes(self._read_bytes(size), "big")

    def _read_bytes(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise IndexError("the node ends too early")
        data, self.position = self._data[self.position : end], end
        return data


_LENGTH_BYTES = {_Tag.BINARY_8: 1, _Tag.BINARY_20: 3, _Tag.BINARY_32: 4}
