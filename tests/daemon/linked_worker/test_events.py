"""What the library reports becomes a signal of the port, or nothing: kinds, names, times, origins.

The events are the library's own messages; how they come about is shown against a virtual WhatsApp.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.api.identity import Identity, IdentityKind
from daemon.api.signals import (
    AliasLearned,
    Connected,
    InboundKind,
    InboundMessage,
    Origin,
    OwnMessage,
    PairingFailed,
    PhoneSeen,
    Receipt,
    ReceiptKind,
    RefusalKind,
    Signal,
    Synced,
)
from daemon.api.text import hash_folded_text
from daemon.linked_worker.neonize_driver.events import EventTranslator, read_failure
from daemon.linked_worker.neonize_driver.history import translate_history
from tests.virtual_whatsapp.protobufs import import_message

PHONE = Identity(IdentityKind.PHONE, "+5491155550101")
LID = Identity(IdentityKind.LID, "15491155550101@lid")
CALLS = {"call", "callLogMesssage", "bcallMessage"}
WRITTEN = 1_790_000_000
MOMENT = datetime.fromtimestamp(WRITTEN, UTC)


def build_event(kind: str) -> Any:  # noqa: ANN401 - generated at run time
    """Return an empty event of the library."""
    return import_message("Neonize_pb2", kind)()


def set_jid(jid: Any, address: str) -> None:  # noqa: ANN401
    """Write an address into an event, with every field that the library sets."""
    jid.User, _, jid.Server = address.partition("@")
    jid.Device = jid.RawAgent = jid.Integrator = 0
    jid.IsEmpty = not address


def build_message(
    sender: str = "15491155550101@lid", alternative: str = "5491155550101@s.whatsapp.net"
) -> Any:  # noqa: ANN401
    """Return a message from a contact."""
    event = build_event("Message")
    source = event.Info.MessageSource
    set_jid(source.Chat, sender)
    set_jid(source.Sender, sender)
    set_jid(source.SenderAlt, alternative)
    event.Info.ID, event.Info.Timestamp, event.Info.Pushname = "WIRE1", WRITTEN, "Ana"
    return event


def translate(event: Any, translator: EventTranslator | None = None) -> list[Signal]:  # noqa: ANN401
    """Return the signals of an event."""
    return list((translator or EventTranslator()).handlers[type(event).__name__](event))


def read_message(event: Any) -> InboundMessage:  # noqa: ANN401
    """Return the one message among the signals of an event."""
    [message] = [each for each in translate(event) if isinstance(each, InboundMessage)]
    return message


def write_text(event: Any) -> None:  # noqa: ANN401
    """Write a plain text."""
    event.Message.conversation = "hola"


def write_quoting(event: Any) -> None:  # noqa: ANN401
    """Write an answer to a message."""
    event.Message.extendedTextMessage.text = "hola"
    event.Message.extendedTextMessage.contextInfo.stanzaID = "WIRE0"


def write_voice(event: Any) -> None:  # noqa: ANN401
    """Record a voice message."""
    event.Message.audioMessage.PTT = True


def write_image(event: Any) -> None:  # noqa: ANN401
    """Send a picture with a caption."""
    event.Message.imageMessage.caption = "hola"


def write_reaction(event: Any) -> None:  # noqa: ANN401
    """React to a message."""
    event.Message.reactionMessage.text = "👍"
    event.Message.reactionMessage.key.ID = "WIRE0"


def write_deletion(event: Any) -> None:  # noqa: ANN401
    """Delete a message."""
    event.Message.protocolMessage.type = 0
    event.Message.protocolMessage.key.ID = "WIRE0"


def write_edit(event: Any) -> None:  # noqa: ANN401
    """Change a message."""
    event.Message.protocolMessage.type = 14
    event.Message.protocolMessage.key.ID = "WIRE0"
    event.Message.protocolMessage.editedMessage.conversation = "hola, baja"


def write_location(event: Any) -> None:  # noqa: ANN401
    """Send a place."""
    event.Message.locationMessage.degreesLatitude = -34.6


def write_contact(event: Any) -> None:  # noqa: ANN401
    """Send a card."""
    event.Message.contactMessage.displayName = "Bea"


def write_poll(event: Any) -> None:  # noqa: ANN401
    """Ask several people."""
    event.Message.pollCreationMessage.name = "¿Cuándo?"


def write_nothing_known(event: Any) -> None:  # noqa: ANN401
    """Send what has no kind here."""
    event.Message.groupInviteMessage.groupName = "Feria"


@pytest.mark.parametrize(
    ("write", "kind", "text", "quoted"),
    [
        (write_text, InboundKind.TEXT, "hola", None),
        (write_quoting, InboundKind.TEXT, "hola", "WIRE0"),
        (write_voice, InboundKind.VOICE, "", None),
        (write_image, InboundKind.MEDIA, "hola", None),
        (write_reaction, InboundKind.REACTION, "👍", "WIRE0"),
        (write_deletion, InboundKind.DELETION, "", "WIRE0"),
        (write_edit, InboundKind.EDIT, "hola, baja", "WIRE0"),
        (write_location, InboundKind.LOCATION, "", None),
        (write_contact, InboundKind.CONTACT, "", None),
        (write_poll, InboundKind.POLL, "", None),
        (write_nothing_known, InboundKind.UNSUPPORTED, "", None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_message_is_what_it_is(
    write: Callable[[Any], None], kind: InboundKind, text: str, quoted: str | None
) -> None:
    """With its text or caption, and the message that it refers to."""
    event = build_message()
    write(event)
    message = read_message(event)
    assert (message.kind, message.text, message.quoted_id) == (kind, text, quoted)
    assert (message.wire_id, message.written_at, message.push_name) == ("WIRE1", MOMENT, "Ana")


def test_a_message_of_every_kind_of_whatsapps_is_read() -> None:
    """One that can't be read would end the worker, and be lost: WhatsApp was told that it came."""
    for field in build_message().Message.DESCRIPTOR.fields:
        event = build_message()
        part = getattr(event.Message, field.name)
        if field.message_type is None:
            setattr(event.Message, field.name, "hola")
        else:
            part.SetInParent()
        reported = [each for each in translate(event) if isinstance(each, InboundMessage)]
        assert len(reported) == (field.name not in CALLS), field.name


def test_words_are_read_in_each_wrapper_and_in_several() -> None:
    """A disappearing picture with a caption, an edit of a kind that is new."""
    event = build_message()
    event.Message.ephemeralMessage.message.viewOnceMessageV2.message.imageMessage.caption = "baja"
    assert (read_message(event).kind, read_message(event).text) == (InboundKind.MEDIA, "baja")
    event = build_message()
    edit = event.Message.editedMessage.message.protocolMessage
    edit.type, edit.editedMessage.imageMessage.caption = 14, "baja"
    assert (read_message(event).kind, read_message(event).text) == (InboundKind.EDIT, "baja")


@pytest.mark.parametrize("category", ["peer", ""])
def test_what_a_phone_tells_its_devices_is_no_message_of_its_owner(category: str) -> None:
    """Keys and history are not counted in the number's budget; the phone was there."""
    event = build_message("5491155550001@s.whatsapp.net", "")
    event.Info.MessageSource.IsFromMe, event.Info.Category = True, category
    if category:
        write_text(event)
    else:
        event.Message.protocolMessage.type = 6
    assert translate(event) == [PhoneSeen(MOMENT)]


def build_history(*entries: dict[str, Any], **chat: str) -> Any:  # noqa: ANN401
    """Return a part of the past with one chat."""
    history = import_message("waHistorySync.WAWebProtobufsHistorySync_pb2", "HistorySync")()
    added = history.conversations.add(**chat)
    for entry in entries:
        message = added.messages.add().message
        message.key.ID = entry["id"]
        message.messageTimestamp = entry.get("at", WRITTEN)
        if "text" in entry:
            message.message.conversation = entry["text"]
    return history


def test_the_past_is_told_oldest_first_with_both_names() -> None:
    """Phones tell the newest first."""
    history = build_history(
        {"id": "B", "text": "baja", "at": WRITTEN + 1},
        {"id": "A", "text": "hola"},
        ID="15491155550101@lid",
        pnJID="5491155550101@s.whatsapp.net",
    )
    assert list(translate_history(history)) == [
        AliasLearned(LID, PHONE),
        *(
            InboundMessage(wire_id, PHONE, text, at, origin=Origin.HISTORY, aliases=(LID,))
            for wire_id, text, at in (
                ("A", "hola", MOMENT),
                ("B", "baja", MOMENT + timedelta(seconds=1)),
            )
        ),
    ]


@pytest.mark.parametrize(
    "entry",
    [{"id": "A"}, {"id": "", "text": "hola"}, {"id": "A", "text": "hola", "at": 0}],
    ids=["a notice", "no id", "no time"],
)
def test_an_entry_of_the_past_without_message_id_or_time_is_left_out(entry: dict[str, Any]) -> None:
    """WhatsApp writes its own notices into chats, and says of a deleted message that it was."""
    assert list(translate_history(build_history(entry, ID="5491155550101@s.whatsapp.net"))) == []


@pytest.mark.parametrize(
    "chat", ["120363041234567890@g.us", "status@broadcast", "120363041234567890@newsletter", ""]
)
def test_of_the_past_of_groups_nothing_is_told(chat: str) -> None:
    """Nor of status updates and channels."""
    assert list(translate_history(build_history({"id": "A", "text": "hola"}, ID=chat))) == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("15491155550101@lid", "5491155550101@s.whatsapp.net"),
        ("5491155550101@s.whatsapp.net", "15491155550101@lid"),
    ],
)
def test_the_number_is_the_sender_whichever_name_comes_first(addresses: tuple[str, str]) -> None:
    """Opt-outs are matched by it; both names are learned, once."""
    translator = EventTranslator()
    event = build_message(*addresses)
    write_text(event)
    alias, message = translate(event, translator)
    assert alias == AliasLearned(LID, PHONE)
    assert isinstance(message, InboundMessage)
    assert (message.sender, message.aliases) == (PHONE, (LID,))
    assert len(translate(event, translator)) == 1


def test_a_sender_without_a_number_is_known_by_the_hidden_id() -> None:
    """It may never be told."""
    event = build_message(alternative="")
    write_text(event)
    assert read_message(event).sender == LID


def test_a_hidden_id_is_looked_up_where_no_number_comes_with_it() -> None:
    """The library has stored it, as of those we wrote to; a receipt never brings it."""
    translator = EventTranslator(lambda lid: PHONE if lid == LID else None)
    event = build_message(alternative="")
    write_text(event)
    alias, message = translate(event, translator)
    assert alias == AliasLearned(LID, PHONE)
    assert isinstance(message, InboundMessage)
    assert (message.sender, message.aliases) == (PHONE, (LID,))
    receipt = build_event("Receipt")
    set_jid(receipt.MessageSource.Chat, "15491155550101@lid")
    receipt.MessageIDs.append("WIRE1")
    receipt.Timestamp, receipt.Type = WRITTEN, 1
    assert translate(receipt, translator) == [
        Receipt("WIRE1", PHONE, ReceiptKind.DELIVERED, MOMENT)
    ]


@pytest.mark.parametrize(
    "chat", ["120363041234567890@g.us", "status@broadcast", "120363041234567890@newsletter"]
)
def test_what_was_written_to_many_is_not_reported(chat: str) -> None:
    """Groups and status updates are nobody's business here."""
    event = build_message()
    write_text(event)
    set_jid(event.Info.MessageSource.Chat, chat)
    assert [each for each in translate(event) if isinstance(each, InboundMessage)] == []


def test_a_message_before_the_queue_is_through_has_waited() -> None:
    """Afterwards it is live."""
    translator = EventTranslator()
    event = build_message()
    write_text(event)
    assert translate(build_event("Connected"), translator) == [Connected()]
    [_, waited] = translate(event, translator)
    assert translate(build_event("OfflineSyncCompleted"), translator) == [Synced()]
    [live] = translate(event, translator)
    assert isinstance(waited, InboundMessage)
    assert isinstance(live, InboundMessage)
    assert (waited.origin, live.origin) == (Origin.OFFLINE, Origin.LIVE)


def test_the_end_of_the_queue_is_reported_behind_the_connection() -> None:
    """The library reports them in either order."""
    translator = EventTranslator()
    assert translate(build_event("OfflineSyncCompleted"), translator) == []
    assert translate(build_event("Connected"), translator) == [Connected(), Synced()]


def test_a_message_typed_on_the_phone_is_reported_by_the_hash_of_its_text() -> None:
    """And the phone was there."""
    event = build_message("5491155550001@s.whatsapp.net", "")
    write_text(event)
    source = event.Info.MessageSource
    source.IsFromMe = True
    set_jid(source.Chat, "5491155550101@s.whatsapp.net")
    assert translate(event) == [
        PhoneSeen(MOMENT),
        OwnMessage("WIRE1", PHONE, MOMENT, hash_folded_text("hola"), Origin.OFFLINE),
    ]
    event.Message.Clear()
    write_reaction(event)
    assert translate(event) == [PhoneSeen(MOMENT)]


def test_a_message_that_can_not_be_decrypted_is_reported_under_an_id_of_its_own() -> None:
    """The real one may come yet, and must not be taken for a copy."""
    event = build_event("UndecryptableMessage")
    event.Info.CopyFrom(build_message().Info)
    [_, message] = translate(event)
    assert isinstance(message, InboundMessage)
    assert (message.kind, message.text) == (InboundKind.UNSUPPORTED, "")
    assert message.wire_id != "WIRE1"


def test_an_own_message_that_can_not_be_decrypted_was_written_all_the_same() -> None:
    """Under its id: a receipt of it must not be taken for that of a message in doubt."""
    event = build_event("UndecryptableMessage")
    event.Info.CopyFrom(build_message("5491155550001@s.whatsapp.net", "").Info)
    source = event.Info.MessageSource
    source.IsFromMe = True
    set_jid(source.Chat, "5491155550101@s.whatsapp.net")
    assert translate(event) == [
        PhoneSeen(MOMENT),
        OwnMessage("WIRE1", PHONE, MOMENT, None, Origin.OFFLINE),
    ]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1, ReceiptKind.DELIVERED),
        (4, ReceiptKind.READ),
        (6, ReceiptKind.READ),
        (3, None),
        (8, None),
    ],
)
def test_a_receipt_is_delivered_or_read_or_nothing(number: int, kind: ReceiptKind | None) -> None:
    """For each message that it names."""
    translator = EventTranslator()
    list(translator.learn_alias(LID, PHONE))
    event = build_event("Receipt")
    set_jid(event.MessageSource.Chat, "15491155550101@lid")
    set_jid(event.MessageSource.Sender, "15491155550101@lid")
    event.MessageIDs.extend(["WIRE1", "WIRE2"])
    event.Timestamp, event.Type = WRITTEN * 1000, number
    expected = [Receipt(each, PHONE, kind, MOMENT) for each in ("WIRE1", "WIRE2") if kind]
    assert translate(event, translator) == expected


def test_a_pairing_that_failed_is_said() -> None:
    """By the status that the library gives."""
    event = build_event("PairStatus")
    event.Status = 1
    assert translate(event) == [PairingFailed()]


def test_a_failure_is_read_off_the_frame_where_the_library_can_not_pass_it_on() -> None:
    """WhatsApp's own code, and how long a ban of a new kind lasts."""
    refused = read_failure('<failure location="vir" reason="418"/>')
    assert (refused.code, refused.kind) == (418, RefusalKind.REJECTED)
    banned = read_failure('<failure code="105" expire="60" location="vir" reason="402"/>')
    assert (banned.kind, banned.ban_code) == (RefusalKind.BANNED, 105)
    assert banned.until is not None
    assert banned.until - datetime.now(UTC) <= timedelta(seconds=60)
    assert read_failure("<failure/>").kind is RefusalKind.SERVER_TROUBLE
