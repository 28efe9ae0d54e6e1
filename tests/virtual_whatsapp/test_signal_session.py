"""Two devices write to each other, encrypted; nobody else's message is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.virtual_whatsapp.binary_node import Jid
from tests.virtual_whatsapp.keys import KeyPair, is_signed_by
from tests.virtual_whatsapp.signal_device import SignalDevice
from tests.virtual_whatsapp.signal_session import Ciphertext, DecryptionFailed, begin_session

ANA, BEA = Jid("1"), Jid("2")


class Pair:
    """Two devices that know each other's addresses."""

    def __init__(self) -> None:
        self.ana, self.bea = SignalDevice(), SignalDevice()

    def from_ana(self, text: bytes) -> Ciphertext:
        """Return a message from Ana to Bea."""
        return self.ana.encrypt(BEA, text, self.bea.publish_bundle)

    def from_bea(self, text: bytes) -> Ciphertext:
        """Return a message from Bea to Ana."""
        return self.bea.encrypt(ANA, text, self.ana.publish_bundle)


@pytest.fixture
def pair() -> Pair:
    """Return two devices that never wrote before."""
    return Pair()


def test_a_first_message_carries_keys_until_it_is_answered(pair: Pair) -> None:
    """Then both go on with plain messages."""
    first, second = pair.from_ana(b"1"), pair.from_ana(b"2")
    assert [first.kind, second.kind] == ["pkmsg", "pkmsg"]
    assert [pair.bea.decrypt(ANA, *first), pair.bea.decrypt(ANA, *second)] == [b"1", b"2"]

    assert pair.ana.decrypt(BEA, *pair.from_bea(b"3")) == b"3"
    third = pair.from_ana(b"4")
    assert third.kind == "msg"
    assert pair.bea.decrypt(ANA, *third) == b"4"


def test_messages_may_arrive_in_any_order_and_after_lost_ones(pair: Pair) -> None:
    """The keys of those that are missing are kept."""
    pair.bea.decrypt(ANA, *pair.from_ana(b"first"))
    pair.ana.decrypt(BEA, *pair.from_bea(b"answer"))
    messages = [pair.from_ana(str(number).encode()) for number in range(6)]
    del messages[1]
    read = [pair.bea.decrypt(ANA, *message) for message in reversed(messages)]
    assert read == [b"5", b"4", b"3", b"2", b"0"]


def test_a_message_is_decrypted_once(pair: Pair) -> None:
    """Its key is gone afterwards."""
    message = pair.from_ana(b"once")
    pair.bea.decrypt(ANA, *message)
    with pytest.raises(DecryptionFailed):
        pair.bea.decrypt(ANA, *message)


def test_a_changed_message_is_refused_and_spoils_nothing(pair: Pair) -> None:
    """What comes behind it is decrypted."""
    pair.bea.decrypt(ANA, *pair.from_ana(b"first"))
    pair.ana.decrypt(BEA, *pair.from_bea(b"answer"))
    message = pair.from_ana(b"second")
    changed = message.data[:-1] + bytes([message.data[-1] ^ 1])
    with pytest.raises(DecryptionFailed):
        pair.bea.decrypt(ANA, "msg", changed)
    assert pair.bea.decrypt(ANA, *message) == b"second"


def test_a_device_that_begins_anew_is_understood(pair: Pair) -> None:
    """As after an installation of the app."""
    pair.bea.decrypt(ANA, *pair.from_ana(b"first"))
    pair.ana.forget_sessions(BEA)
    assert pair.bea.decrypt(ANA, *pair.from_ana(b"again")) == b"again"


def test_keys_that_another_identity_signed_are_refused() -> None:
    """Nobody can offer keys in the name of another."""
    bundle = replace(SignalDevice().publish_bundle(), identity=KeyPair.generate().public)
    with pytest.raises(DecryptionFailed):
        begin_session(KeyPair.generate(), 1, bundle)


def test_a_signature_is_the_signers_for_just_these_bytes() -> None:
    """Whichever sign the Edwards point of the key has."""
    for _ in range(20):
        key = KeyPair.generate()
        signature = key.sign(b"data")
        assert is_signed_by(key.public, signature, b"data")
        assert not is_signed_by(key.public, signature, b"other")
        assert not is_signed_by(KeyPair.generate().public, signature, b"data")


def test_both_sides_agree_on_one_secret() -> None:
    """Each with its own private key."""
    ours, theirs = KeyPair.generate(), KeyPair.generate()
    assert ours.agree(theirs.public) == theirs.agree(ours.public)
