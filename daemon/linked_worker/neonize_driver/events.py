"""Turns what the library reports into signals of the port."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from daemon.api.identity import Identity, IdentityKind, NotAContact, parse_identity
from daemon.api.signals import (
    AliasLearned,
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundKind,
    InboundMessage,
    KeepAliveLost,
    KeepAliveRestored,
    Origin,
    OwnMessage,
    Paired,
    PairingFailed,
    PhoneSeen,
    QrExhausted,
    Receipt,
    ReceiptKind,
    Scanned,
    Signal,
    StreamErrorUnknown,
    Synced,
)
from daemon.linked_worker.neonize_driver.content import is_call, is_written, read_content
from daemon.linked_worker.protocol import MAX_TEXT_CHARACTERS

_PAIRED: Final = 2
_RECEIPT_KINDS: Final[Mapping[int, ReceiptKind]] = {
    1: ReceiptKind.DELIVERED,
    4: ReceiptKind.READ,
    6: ReceiptKind.READ,  # a voice message that was played
}
_LOGOUT_CODES: Final[Mapping[int, int]] = {2: 401, 4: 403, 5: 406}
"""The library numbers the reasons itself; these are WhatsApp's codes."""
_BAN_CODES: Final[Mapping[int, int]] = {1: 101, 2: 102, 3: 103, 4: 104, 5: 106}
_OUTDATED, _REPLACED, _BANNED, _LOGGED_OUT = 405, 440, 402, 401
_PEER: Final = "peer"
"""The category of what a phone sends to its own devices: keys, settings, the notice of history."""
_ATTRIBUTE: Final = re.compile(r'(\w+)="([^"]*)"')
MAX_NAME_CHARACTERS: Final = 1000
"""A name is whatever its owner sent; a frame has to stay within its limit."""
_MILLISECONDS_FROM: Final = 1 << 40
"""A number of seconds as large as this would lie far in the future."""


FindPhone: TypeAlias = Callable[[Identity], Identity | None]
"""Returns whose number a hidden id is, as far as the library has stored it."""


class EventTranslator:
    """Turns events of one connection into signals; knows which hidden id is whose number."""

    def __init__(self, find_phone: FindPhone = lambda _: None) -> None:
        self._find_phone = find_phone
        self._connected = self._synced_early = self._synced = False
        self._phones: dict[str, Identity] = {}
        self.handlers: Mapping[str, Callable[[Any], Iterator[Signal]]] = {
            "PairStatus": _translate_pairing,
            "Connected": self._translate_connected,
            "OfflineSyncCompleted": self._translate_synced,
            "KeepAliveTimeout": lambda _: iter([KeepAliveLost()]),
            "KeepAliveRestored": lambda _: iter([KeepAliveRestored()]),
            "LoggedOut": _translate_logout,
            "StreamReplaced": lambda _: iter([ConnectionRefused.from_code(_REPLACED)]),
            "TemporaryBan": _translate_ban,
            "ConnectFailure": _translate_failure,
            "ClientOutdated": lambda _: iter([ConnectionRefused.from_code(_OUTDATED)]),
            "StreamError": lambda _: iter([StreamErrorUnknown()]),
            "Disconnected": lambda _: iter([Disconnected()]),
            "Message": self._translate_message,
            "UndecryptableMessage": self._translate_undecryptable,
            "Receipt": self._translate_receipt,
        }
        """By the name of the library's event."""

    def learn_alias(self, lid: Identity, phone: Identity) -> Iterator[Signal]:
        """Remember whose number a hidden id is; yield the news of it, once."""
        if self._phones.get(lid.value) != phone:
            self._phones[lid.value] = phone
            yield AliasLearned(lid, phone)

    def _translate_connected(self, _: Any) -> Iterator[Signal]:  # noqa: ANN401
        self._connected = True
        yield Connected()
        if self._synced_early:
            self._synced = True
            yield Synced()

    def _translate_synced(self, _: Any) -> Iterator[Signal]:  # noqa: ANN401
        """Report it after the connection, also where the library reports it before."""
        if not self._connected:
            self._synced_early = True
        elif not self._synced:
            self._synced = True
            yield Synced()

    def _translate_message(self, event: Any) -> Iterator[Signal]:  # noqa: ANN401
        source = event.Info.MessageSource
        if source.IsFromMe:
            yield from self._translate_own(event)
            return
        identities = self._list_identities(source.Sender, source.SenderAlt)
        if source.IsGroup or not identities or not _is_person(source.Chat):
            return
        yield from self._learn_from(identities)
        if is_call(event.Message):
            return
        content = read_content(event.Message, edited=event.IsEdit)
        yield InboundMessage(
            wire_id=event.Info.ID,
            sender=identities[0],
            text=content.text[:MAX_TEXT_CHARACTERS],
            written_at=read_time(event.Info.Timestamp),
            kind=content.kind,
            origin=self._get_origin(),
            aliases=tuple(identities[1:]),
            push_name=event.Info.Pushname[:MAX_NAME_CHARACTERS],
            quoted_id=content.quoted_id,
        )

    def _translate_own(self, event: Any) -> Iterator[Signal]:  # noqa: ANN401
        content = read_content(event.Message, edited=event.IsEdit)
        if event.Info.Category == _PEER or not is_written(event.Message, content):
            yield PhoneSeen(read_time(event.Info.Timestamp))
        else:
            yield from self._report_own(event.Info, content.text_hash)

    def _report_own(self, info: Any, text_hash: str | None) -> Iterator[Signal]:  # noqa: ANN401
        """Report what the owner wrote; without a hash where its text is not known."""
        source, written_at = info.MessageSource, read_time(info.Timestamp)
        yield PhoneSeen(written_at)
        identities = self._list_identities(source.Chat, source.RecipientAlt)
        if source.IsGroup or not identities or not _is_person(source.Chat):
            return
        yield from self._learn_from(identities)
        yield OwnMessage(info.ID, identities[0], written_at, text_hash, self._get_origin())

    def _translate_undecryptable(self, event: Any) -> Iterator[Signal]:  # noqa: ANN401
        """Report that somebody wrote; under an id of its own, for the message may come yet."""
        source = event.Info.MessageSource
        if source.IsFromMe:
            # Whatever it said, it was written: its receipts are not those of a message in doubt.
            yield from self._report_own(event.Info, None)
            return
        identities = self._list_identities(source.Sender, source.SenderAlt)
        if source.IsGroup or not identities or not _is_person(source.Chat):
            return
        yield from self._learn_from(identities)
        yield InboundMessage(
            wire_id=f"{event.Info.ID}-undecryptable",
            sender=identities[0],
            text="",
            written_at=read_time(event.Info.Timestamp),
            kind=InboundKind.UNSUPPORTED,
            origin=self._get_origin(),
            aliases=tuple(identities[1:]),
            push_name=event.Info.Pushname[:MAX_NAME_CHARACTERS],
        )

    def _translate_receipt(self, event: Any) -> Iterator[Signal]:  # noqa: ANN401
        source = event.MessageSource
        kind = _RECEIPT_KINDS.get(event.Type)
        identities = self._list_identities(source.Chat, source.SenderAlt)
        if kind is None or source.IsFromMe or source.IsGroup or not identities:
            return
        yield from self._learn_from(identities)
        for wire_id in event.MessageIDs:
            yield Receipt(wire_id, identities[0], kind, read_time(event.Timestamp))

    def _list_identities(self, *jids: Any) -> list[Identity]:  # noqa: ANN401
        """Return who these addresses are; the number is looked up where it does not come along."""
        identities = parse_addresses(map(format_jid, jids))
        if len(identities) == 1 and identities[0].kind is IdentityKind.LID:
            [lid] = identities
            if phone := self._phones.get(lid.value) or self._find_phone(lid):
                return [phone, lid]
        return identities

    def _learn_from(self, identities: list[Identity]) -> Iterator[Signal]:
        phones = [each for each in identities if each.kind is IdentityKind.PHONE]
        lids = [each for each in identities if each.kind is IdentityKind.LID]
        if phones and lids:
            yield from self.learn_alias(lids[0], phones[0])

    def _get_origin(self) -> Origin:
        """What comes before the queue is through has waited on the platform."""
        return Origin.LIVE if self._synced else Origin.OFFLINE


def format_jid(jid: Any) -> str:  # noqa: ANN401 - the library's type is made at run time
    """Return an address as text; empty where there is none."""
    return f"{jid.User}@{jid.Server}" if jid.User else ""


def _is_person(chat: Any) -> bool:  # noqa: ANN401
    try:
        parse_identity(format_jid(chat))
    except NotAContact:
        return False
    return True


def parse_addresses(addresses: Iterable[str]) -> list[Identity]:
    """Return the addresses that are a person's, the number first: opt-outs are matched by it."""
    identities = []
    for address in addresses:
        with contextlib.suppress(NotAContact):
            identities.append(parse_identity(address))
    return sorted(identities, key=lambda each: each.kind is not IdentityKind.PHONE)


def translate_login_status(status: str) -> Iterator[Signal]:
    """Report what became of the codes that were shown."""
    if status == "success":
        yield Scanned()
    elif status == "timeout":
        yield QrExhausted()
    elif status == "err-client-outdated":
        yield ConnectionRefused.from_code(_OUTDATED)
    else:
        yield PairingFailed()


def _translate_pairing(event: Any) -> Iterator[Signal]:  # noqa: ANN401
    if event.Status != _PAIRED:
        yield PairingFailed()
        return
    yield Paired(f"+{event.ID.User}")
    yield PhoneSeen(datetime.now(UTC))


def _translate_logout(event: Any) -> Iterator[Signal]:  # noqa: ANN401
    yield ConnectionRefused.from_code(_LOGOUT_CODES.get(event.Reason, _LOGGED_OUT))


def _translate_ban(event: Any) -> Iterator[Signal]:  # noqa: ANN401
    until = datetime.now(UTC) + timedelta(seconds=event.Expire) if event.Expire else None
    yield ConnectionRefused.from_code(_BANNED, _BAN_CODES.get(event.Code), until)


def _translate_failure(event: Any) -> Iterator[Signal]:  # noqa: ANN401
    """Take WhatsApp's own code: the library's numbering of the reasons runs together."""
    attributes = {each.name: each.text for each in event.Raw.Attrs}
    code = attributes.get("reason", "")
    yield ConnectionRefused.from_code(int(code) if code.isdecimal() else 0)


def read_failure(frame: str) -> ConnectionRefused:
    """Return why a login was refused, from WhatsApp's own frame: ``<failure reason="415" .../>``.

    For the codes that the library can't pass on.
    """
    attributes = dict(_ATTRIBUTE.findall(frame))
    numbers = {name: int(text) for name, text in attributes.items() if text.isdecimal()}
    seconds = numbers.get("expire")
    until = datetime.now(UTC) + timedelta(seconds=seconds) if seconds else None
    return ConnectionRefused.from_code(numbers.get("reason", 0), numbers.get("code"), until)


def read_time(number: int) -> datetime:
    """Return a time of the library, in seconds or milliseconds; now where there is none."""
    seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
    return datetime.fromtimestamp(seconds or time.time(), UTC)
