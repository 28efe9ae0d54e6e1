"""Identities of senders and recipients, in the normal form that is stored and compared."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from msgspec import Struct


class IdentityKind(StrEnum):
    """The kind of identifier that a platform gives a person."""

    PHONE = "phone"
    """E.164 with its plus sign."""
    LID = "lid"
    """WhatsApp's hidden id: digits and ``@lid``."""
    BSUID = "bsuid"
    """Meta's business-scoped user id: a country code, a point, letters and digits."""


_FORMS: Final = {
    IdentityKind.PHONE: re.compile(r"\+[1-9][0-9]{6,14}"),
    IdentityKind.LID: re.compile(r"[0-9]{3,20}@lid"),
    IdentityKind.BSUID: re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}"),
}

_PHONE_SERVERS: Final = frozenset({"s.whatsapp.net", "c.us", "hosted"})
_LID_SERVERS: Final = frozenset({"lid", "hosted.lid"})
_SERVERS_OF_MANY: Final = {
    "g.us": ("group", "A group is not a contact."),
    "broadcast": ("broadcast", "Status updates and broadcast lists are not contacts."),
    "newsletter": ("newsletter", "A channel that the phone follows is not a contact."),
    "call": ("call", "A call is not a contact."),
    "bot": ("bot", "A WhatsApp bot is not a contact."),
}
_PLATFORM_ADDRESS: Final = "0"  # WhatsApp's own notices come from it
_MAX_RAW_LENGTH: Final = 200


class NotAContact(Exception):
    """A raw address belongs to no single person. ``sentence`` does not have the address in it.

    ``reason_code`` is stable: ``empty``, ``group``, ``broadcast``, ``newsletter``, ``call``,
    ``bot``, ``platform`` or ``unreadable``, the only one that could be a person's after all.
    """

    def __init__(self, reason_code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason_code = reason_code
        self.sentence = sentence


class Identity(Struct, frozen=True):
    """One identifier of one person: its kind, and its value in the normal form of that kind.

    Raises :class:`ValueError` for another form. Use :func:`parse_identity` for what a platform
    writes.
    """

    kind: IdentityKind
    value: str

    def __post_init__(self) -> None:
        """Raise ValueError for a value that is not in normal form, so that no other code checks."""
        if not _FORMS[self.kind].fullmatch(self.value):
            # The value stays out of the sentence: it may be somebody's number.
            raise ValueError(f"This is not the normal form of a {self.kind.value}.")

    def __str__(self) -> str:
        """Return the value, as it is stored."""
        return self.value

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return f"Identity({self.kind.value})"


def parse_identity(raw: str) -> Identity:
    """Return the identity of a raw address, as any WhatsApp library or webhook writes it.

    ``549…@s.whatsapp.net``, ``…@c.us``, ``…:12@…`` (a device), ``+549…`` and ``549…`` are one
    phone; ``…@lid`` is a hidden id; ``AR.1a2b`` a business-scoped id. Raises :class:`NotAContact`
    for groups, ``status@broadcast``, newsletters, an empty address, and what can't be read.
    """
    text = raw.strip()
    if not text:
        raise NotAContact("empty", "The name is empty.")
    if len(text) > _MAX_RAW_LENGTH:
        raise NotAContact("unreadable", "The name is too long for a contact's.")
    user, at, server = text.partition("@")
    if at:
        return _parse_address(user, server.lower())
    if _FORMS[IdentityKind.BSUID].fullmatch(text):
        return Identity(IdentityKind.BSUID, text)
    return _build_identity(IdentityKind.PHONE, f"+{text.removeprefix('+')}")


def parse_phone_identity(e164: str) -> Identity:
    """Return the identity of a number in E.164. Raises :class:`NotAContact` for anything else."""
    return _build_identity(IdentityKind.PHONE, e164)


def _parse_address(user: str, server: str) -> Identity:
    """Return the identity of ``user[.agent][:device]@server``, without agent and device."""
    if server in _SERVERS_OF_MANY:
        raise NotAContact(*_SERVERS_OF_MANY[server])
    # A point begins the agent, a colon the device; neither is part of the person.
    digits = re.split(r"[.:]", user, maxsplit=1)[0]
    if server in _PHONE_SERVERS:
        if digits == _PLATFORM_ADDRESS:
            raise NotAContact("platform", "WhatsApp itself is not a contact.")
        return _build_identity(IdentityKind.PHONE, f"+{digits.removeprefix('+')}")
    if server in _LID_SERVERS:
        return _build_identity(IdentityKind.LID, f"{digits}@lid")
    raise NotAContact("unreadable", "The address is not of a kind that a contact has.")


def _build_identity(kind: IdentityKind, value: str) -> Identity:
    try:
        return Identity(kind, value)
    except ValueError:
        raise NotAContact("unreadable", f"The name is no {kind.value} that can be used.") from None
