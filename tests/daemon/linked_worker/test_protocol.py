"""Signals travel whole, bodies stay out of logs, and nothing else is taken."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from daemon.api import signals
from daemon.api.identity import Identity, IdentityKind
from daemon.api.permit import Permit
from daemon.api.signals import Signal
from daemon.linked_worker.protocol import (
    CheckNumbersRequest,
    SendMessageRequest,
    SignalReport,
    build_protocol,
    decode_signal,
    encode_signal,
)
from daemon.worker_protocol import Event, Request, encode_frame

ANA = Identity(IdentityKind.PHONE, "+5491155550101")
LID = Identity(IdentityKind.LID, "15491155550101@lid")
MOMENT = datetime(2026, 3, 3, 12, 0, 0, 250000, tzinfo=UTC)
EXAMPLES: list[Signal] = [
    signals.QrIssued("secret", 2, 6, 20.0),
    signals.PairingCodeIssued("ABCD-1234", 159.5),
    signals.QrExhausted(),
    signals.Scanned(),
    signals.Paired("+5491155550001"),
    signals.PairingFailed(passkey_requested=True),
    signals.Connected(),
    signals.Synced(),
    signals.KeepAlive(),
    signals.KeepAliveLost(),
    signals.KeepAliveRestored(),
    signals.Disconnected("gone"),
    signals.ConnectionRefused.from_code(402, 101, MOMENT),
    signals.StreamErrorUnknown(),
    signals.SendingRestricted("reach_out_timelock", MOMENT),
    signals.SendingReopened(),
    signals.PhoneSeen(MOMENT),
    signals.TransportDied("crash"),
    signals.InboundMessage(
        "WIRE", ANA, "hola ñ 👍", MOMENT, signals.InboundKind.VOICE, aliases=(LID,), quoted_id="Q"
    ),
    signals.OwnMessage("WIRE", ANA, MOMENT, "a" * 64, signals.Origin.OFFLINE),
    signals.Receipt("WIRE", LID, signals.ReceiptKind.READ, MOMENT),
    signals.AliasLearned(LID, ANA),
]


@pytest.mark.parametrize("signal", EXAMPLES, ids=lambda each: type(each).__name__)
def test_a_signal_arrives_as_it_was_sent(signal: Signal) -> None:
    """With its times, identities and kinds."""
    protocol = build_protocol()
    frame = protocol.decode_frame(encode_frame(Event(encode_signal(signal))))
    assert isinstance(frame, Event)
    assert isinstance(frame.body, SignalReport)
    assert decode_signal(frame.body) == signal


def test_every_signal_of_the_port_is_among_the_examples() -> None:
    """One that is added has to travel too."""
    kinds = {
        kind
        for kind in vars(signals).values()
        if isinstance(kind, type) and issubclass(kind, Signal) and kind is not Signal
    }
    assert {type(each) for each in EXAMPLES} == kinds


def test_a_signal_of_somebody_elses_is_not_sent() -> None:
    """The daemon would not know it."""

    class Made(Signal, frozen=True):
        pass

    with pytest.raises(TypeError):
        encode_signal(Made())


@pytest.mark.parametrize(
    "report",
    [
        SignalReport("Rumour", {}),
        SignalReport("Signal", {}),
        SignalReport("Paired", {}),
        SignalReport("Paired", {"phone": 5}),
        SignalReport("PhoneSeen", {"at": "yesterday"}),
        SignalReport("AliasLearned", {"alias": {"kind": "lid", "value": "x"}, "phone": {}}),
    ],
    ids=repr,
)
def test_what_is_no_signal_is_refused(report: SignalReport) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(msgspec.ValidationError):
        decode_signal(report)


def test_requests_and_signals_show_neither_bodies_nor_numbers() -> None:
    """They may come into a log."""
    permit = Permit("p", "m", "r", "b", "s", "d", "r", MOMENT, MOMENT)
    shown = repr(
        [
            Request(SendMessageRequest(permit, "msg_1", ANA.value, "secret words")),
            CheckNumbersRequest((ANA.value,)),
            encode_signal(EXAMPLES[0]),
        ]
    )
    assert "secret" not in shown
    assert "5491155550101" not in shown
