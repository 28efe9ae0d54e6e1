"""The check at the port: what of a transport's signals counts, and what is kept of the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.api.identity import Identity, parse_identity
from daemon.api.signals import (
    AliasLearned,
    Connected,
    ConnectionRefused,
    Disconnected,
    InboundKind,
    InboundMessage,
    KeepAlive,
    Origin,
    OwnMessage,
    Paired,
    PhoneSeen,
    QrIssued,
    Receipt,
    ReceiptKind,
    RefusalKind,
    SendingRestricted,
    Signal,
    TransportDied,
)
from daemon.api.text import hash_folded_text
from daemon.api.transport import Capabilities, Channel, Pairing
from daemon.sessions.signal_check import MAX_TEXT_LENGTH, CheckedSignal, SignalChecker
from daemon.sessions.signal_mapping import ConnectionOpened
from tests.helpers.clock import MIDDAY
from tests.helpers.hypothesis_profiles import examples

ANA = parse_identity("+5491151000007")
ANA_LID = parse_identity("199999000010@lid")
BAJA = InboundMessage("in-1", ANA, "BAJA", MIDDAY)
CHANNEL = Channel("pigeon", "", None, Capabilities(receipts=True, pairing=Pairing.QR))
HALF = "\ud83d"
"""The first half of an emoji, as a careless decoder leaves it."""


def check(signal: object, channel: Channel = CHANNEL) -> CheckedSignal:
    """Check a signal of session ``ventas``."""
    return SignalChecker("ventas", channel).check(signal)


def change(signal: Any, **values: object) -> Any:  # noqa: ANN401 - any signal, any field
    """Return the same signal with other values, whatever their types."""
    return replace(signal, **values)


def reject(signal: object, channel: Channel = CHANNEL) -> tuple[str, str]:
    """Return reason code and sentence of a signal that must not count."""
    checked = check(signal, channel)
    assert checked.signal is None
    assert checked.rejected is not None
    return checked.rejected.reason_code, checked.rejected.sentence


class TornMessage(InboundMessage, frozen=True):
    """A channel's own kind of message, which has lost its id."""

    def __getattribute__(self, name: str) -> object:
        if name == "wire_id":
            raise AttributeError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "signal",
    [
        BAJA,
        InboundMessage(
            "in-2",
            ANA_LID,
            "👍",
            MIDDAY,
            InboundKind.REACTION,
            Origin.HISTORY,
            (ANA,),
            "Ana",
            "wire-1",
            automatic=True,
        ),
        OwnMessage("own-1", ANA, MIDDAY, hash_folded_text("Hola"), Origin.OFFLINE),
        Receipt("wire-1", ANA, ReceiptKind.FAILED, MIDDAY, "undeliverable", 131026),
        AliasLearned(ANA_LID, ANA),
        ConnectionRefused.from_code(402, 101, MIDDAY),
        SendingRestricted("reach_out_timelock", None),
        QrIssued("secret", 1, 6, 60.0),
        Paired("+5491151000007"),
        PhoneSeen(MIDDAY),
        Disconnected("connection reset"),
        Connected(),
    ],
    ids=lambda signal: type(signal).__name__,
)
def test_what_is_right_passes_as_it_is(signal: Signal) -> None:
    """Every field of it."""
    assert check(signal) == CheckedSignal(signal)


@pytest.mark.parametrize(
    ("signal", "reason_code", "told"),
    [
        (
            change(BAJA, wire_id=7),
            "wrong_type",
            "InboundMessage.wire_id, which must be str, not int",
        ),
        (change(BAJA, text=None), "wrong_type", "InboundMessage.text, which must be str"),
        (change(BAJA, text=b"BAJA"), "wrong_type", "not bytes"),
        (change(BAJA, push_name=None), "wrong_type", "InboundMessage.push_name"),
        (change(BAJA, sender=None), "wrong_type", "must be Identity, not NoneType"),
        (change(BAJA, sender=5491151000007), "wrong_type", "must be Identity, not int"),
        (change(BAJA, aliases=(None,)), "wrong_type", "InboundMessage.aliases"),
        (change(BAJA, aliases="5491151000007"), "wrong_type", "must be tuple"),
        (change(BAJA, aliases=(ANA,) * 17), "too_long", "InboundMessage.aliases"),
        (change(BAJA, written_at="2026-03-03"), "wrong_type", "InboundMessage.written_at"),
        (change(BAJA, written_at=1772550000), "wrong_type", "must be datetime, not int"),
        (change(BAJA, automatic=1), "wrong_type", "InboundMessage.automatic"),
        (change(BAJA, kind="sticker"), "unknown_word", "is no word of InboundKind"),
        (change(BAJA, origin=None), "wrong_type", "must be Origin"),
        (change(BAJA, wire_id=""), "empty", "InboundMessage.wire_id, which is empty"),
        (change(BAJA, wire_id="x" * 256), "too_long", "longer than 255 characters"),
        (change(BAJA, wire_id=f"x{HALF}"), "text_unstorable", "half a character"),
        (change(BAJA, quoted_id=3), "wrong_type", "InboundMessage.quoted_id, which must be str"),
        (change(BAJA, text=f"hola {HALF}"), "text_unstorable", "holds half a character"),
        (change(BAJA, text="ba\0ja"), "text_unstorable", "holds a NUL character"),
        (change(BAJA, text="x" * (MAX_TEXT_LENGTH + 1)), "too_long", "than 65,536 characters"),
        (change(BAJA, written_at=MIDDAY.replace(tzinfo=None)), "time_without_zone", "no time zone"),
        (change(BAJA, written_at=datetime.max.replace(tzinfo=UTC)), "time_unusable", "written_at"),
        (
            change(BAJA, written_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))),
            "time_unusable",
            "written_at",
        ),
        (change(BAJA, sender="Ana Gómez"), "name_unreadable", "InboundMessage.sender"),
        (change(BAJA, aliases=("Ana",)), "name_unreadable", "InboundMessage.aliases"),
        (Receipt("w", ANA, cast("ReceiptKind", "seen"), MIDDAY), "unknown_word", "Receipt.kind"),
        (Receipt("w", ANA, ReceiptKind.READ, MIDDAY, code=True), "wrong_type", "must be int"),
        (Receipt("w", ANA, ReceiptKind.READ, MIDDAY, code=10**400), "number_unusable", "between"),
        (QrIssued("secret", 1, 6, float("nan")), "number_unusable", "QrIssued.valid_seconds"),
        (QrIssued("secret", 1, 6, 10.0**300), "number_unusable", "QrIssued.valid_seconds"),
        (QrIssued("secret", 0, 6, 60), "number_unusable", "QrIssued.index"),
        (QrIssued("", 1, 6, 60), "empty", "QrIssued.code"),
        (Paired("Ana"), "name_unreadable", "Paired.phone, which is no phone number"),
        (Paired("status@broadcast"), "name_unreadable", "Paired.phone"),
        (Paired("123456@lid"), "name_unreadable", "Paired.phone"),
        (TornMessage("in-1", ANA, "BAJA", MIDDAY), "field_missing", "InboundMessage.wire_id"),
        (ConnectionOpened(), "signal_unknown", "ConnectionOpened, which is no signal of the port"),
        (None, "not_a_signal", "NoneType, which is no signal at all"),
        ({"text": "BAJA"}, "not_a_signal", "dict, which"),
        (InboundMessage, "not_a_signal", "StructMeta, which"),
    ],
)
def test_a_fault_is_the_channels_and_is_said_by_name(
    signal: object, reason_code: str, told: str
) -> None:
    """Channel, signal and field; the sentence quotes nothing of the content."""
    code, sentence = reject(signal)
    assert (code, sentence.startswith("The channel pigeon reported ")) == (reason_code, True)
    assert told in sentence
    assert not {"BAJA", "hola", "secret", "5491151000007"} & set(sentence.split())


@pytest.mark.parametrize(
    "raw", ["5491151000007@s.whatsapp.net", "5491151000007:12@c.us", "5491151000007"]
)
def test_a_raw_name_becomes_an_identity(raw: str) -> None:
    """Of the sender, the recipient and every other name, and each once."""
    signal = change(BAJA, sender="199999000010@lid", aliases=[raw, ANA, raw])
    assert check(signal) == CheckedSignal(replace(BAJA, sender=ANA_LID, aliases=(ANA,)))
    for own in (
        OwnMessage("own-1", ANA, MIDDAY),
        Receipt("wire-1", ANA, ReceiptKind.READ, MIDDAY),
    ):
        assert check(change(own, recipient=raw)) == CheckedSignal(own)
    assert check(AliasLearned(cast("Identity", "199999000010@lid"), cast("Identity", raw))) == (
        CheckedSignal(AliasLearned(ANA_LID, ANA))
    )
    assert check(Paired(raw)) == CheckedSignal(Paired("+5491151000007"))


@pytest.mark.parametrize(
    ("raw", "reason_code"),
    [
        ("120363041234567890@g.us", "group"),
        ("status@broadcast", "broadcast"),
        ("120363041234567890@newsletter", "newsletter"),
        ("0@s.whatsapp.net", "platform"),
        ("", "empty"),
    ],
)
def test_what_belongs_to_no_contact_is_dropped(raw: str, reason_code: str) -> None:
    """It is no fault of the channel's; nothing of it is kept."""
    nobody = CheckedSignal(None, nobody=(reason_code,))
    assert check(change(BAJA, sender=raw)) == nobody
    assert check(change(OwnMessage("own-1", ANA, MIDDAY), recipient=raw)) == nobody
    assert check(change(Receipt("w", ANA, ReceiptKind.READ, MIDDAY), recipient=raw)) == nobody
    assert check(AliasLearned(ANA_LID, cast("Identity", raw))) == nobody


def test_a_message_is_heard_without_a_name_that_is_nobodys() -> None:
    """A hidden id whose number came empty still says BAJA."""
    checked = check(change(BAJA, sender=ANA_LID, aliases=("", ANA)))
    assert checked == CheckedSignal(
        replace(BAJA, sender=ANA_LID, aliases=(ANA,)), nobody=("empty",)
    )


def test_plain_words_times_of_other_zones_and_split_emojis_are_put_right() -> None:
    """What can be read without a doubt is no fault."""
    elsewhere = MIDDAY.astimezone(timezone(timedelta(hours=-3)))
    signal = change(
        BAJA,
        kind="voice",
        origin="offline",
        written_at=elsewhere,
        quoted_id="",
        text="a \ud83d\ude00",
    )
    checked = check(signal)
    assert checked == CheckedSignal(
        replace(BAJA, kind=InboundKind.VOICE, origin=Origin.OFFLINE, text="a 😀")
    )
    assert isinstance(checked.signal, InboundMessage)
    assert checked.signal.kind is InboundKind.VOICE
    assert checked.signal.written_at.tzinfo is UTC


def test_nobodys_opt_out_is_lost_for_what_only_people_read() -> None:
    """Half an emoji in a name is replaced, and a name without end is cut."""
    checked = check(change(BAJA, push_name=f"Ana {HALF}\0" + "x" * 999))
    assert isinstance(checked.signal, InboundMessage)
    assert checked.rejected is None
    assert checked.signal.push_name.startswith("Ana \N{REPLACEMENT CHARACTER}\N{SYMBOL FOR NULL}x")
    assert len(checked.signal.push_name) == 255
    assert check(TransportDied(HALF)).signal == TransportDied("\N{REPLACEMENT CHARACTER}")


def test_a_channels_own_kind_of_message_is_a_message() -> None:
    """Were it a stranger, an opt-out in it would be lost."""

    class Letter(InboundMessage, frozen=True):
        """A message with a stamp."""

        stamp: str = "5c"

    assert check(Letter("in-1", ANA, "BAJA", MIDDAY)) == CheckedSignal(BAJA)


@pytest.mark.parametrize(
    ("signal", "counts"),
    [
        (
            ConnectionRefused.from_code(402, 101, MIDDAY.replace(tzinfo=None)),
            ConnectionRefused.from_code(402, 101),
        ),
        (
            change(ConnectionRefused(RefusalKind.BLOCKED), code="403", detail=None),
            ConnectionRefused(RefusalKind.BLOCKED),
        ),
        (
            ConnectionRefused(cast("RefusalKind", "who knows")),
            ConnectionRefused(RefusalKind.REJECTED),
        ),
        (
            SendingRestricted("x" * 65, cast("datetime", "tomorrow")),
            SendingRestricted("sending_restricted"),
        ),
    ],
)
def test_what_stops_sending_counts_although_a_detail_can_not_be_read(
    signal: Signal, counts: Signal
) -> None:
    """The fault is told too."""
    checked = check(signal)
    assert checked.signal == counts
    assert checked.rejected is not None


@pytest.mark.parametrize(
    ("signal", "missing"),
    [
        (Receipt("wire-1", ANA, ReceiptKind.READ, MIDDAY), "receipts"),
        (QrIssued("secret", 1, 6, 60), "pairing"),
    ],
)
def test_what_a_channel_does_not_declare_is_not_believed(signal: Signal, missing: str) -> None:
    """A receipt would move a message, a code would stop a session."""
    code, sentence = reject(signal, Channel("pigeon", "", None))
    assert code == "not_declared"
    assert sentence.endswith(f"needs a capability that it does not declare: {missing}.")
    assert check(KeepAlive(), Channel("pigeon", "", None)).signal == KeepAlive()


def test_what_is_kept_of_a_rejected_message_can_be_stored_and_read_by_a_person() -> None:
    """Half characters are replaced; who wrote and when stay as they came."""
    checked = check(change(BAJA, text=f"hola {HALF}", aliases=("199999000010@lid", 7)))
    rejected = checked.rejected
    assert rejected is not None
    assert rejected.kept == {
        "wire_id": "in-1",
        "sender": "+5491151000007",
        "text": "hola \N{REPLACEMENT CHARACTER}",
        "written_at": str(MIDDAY),
        "kind": "text",
        "origin": "live",
        "aliases": ["199999000010@lid", 7],
        "push_name": "",
        "quoted_id": None,
        "automatic": False,
    }
    assert "hola" not in repr(rejected)


def test_of_a_rejected_code_the_secret_is_not_kept() -> None:
    """Whoever reads the quarantine could link a device with it."""
    rejected = check(QrIssued("secret", 0, 6, 60)).rejected
    assert rejected is not None
    assert rejected.kept == {"index": 0, "maximum": 6, "valid_seconds": 60}


def test_of_a_strangers_signal_its_fields_are_kept() -> None:
    """Also where looking at one of them fails."""

    class Call(Signal, frozen=True):
        """A call, which the port does not know."""

        caller: str
        length: timedelta

        def __getattribute__(self, name: str) -> object:
            if name == "length":
                raise OSError
            return super().__getattribute__(name)

    rejected = check(Call("+5491151000007", timedelta(1))).rejected
    assert rejected is not None
    assert (rejected.signal, rejected.kept) == ("Call", {"caller": "+5491151000007"})


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.binary(max_size=5),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.sampled_from([ANA, ANA_LID, InboundKind.TEXT, "5491151000007@c.us", "", HALF, object()]),
    st.lists(st.sampled_from([ANA, None, "Ana", HALF]), max_size=3),
)
FIELDS = tuple(InboundMessage.__struct_fields__)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
@examples(100)
def test_whatever_a_channel_reports_is_stored_dropped_or_kept(values: dict[str, object]) -> None:
    """No value of any field gets past the check, or stops it."""
    checked = check(change(BAJA, **values))
    assert bool(checked.signal) or bool(checked.rejected) or bool(checked.nobody)
    if checked.rejected:
        json.dumps(dict(checked.rejected.kept), ensure_ascii=False).encode()
    if isinstance(checked.signal, InboundMessage):
        checked.signal.text.encode()
        assert checked.signal.wire_id
        assert checked.signal.written_at.tzinfo is UTC
        assert check(checked.signal) == CheckedSignal(checked.signal)
