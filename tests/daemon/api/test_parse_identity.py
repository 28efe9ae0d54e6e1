"""Identities: one form for every way in which a platform writes a person's name."""

from __future__ import annotations

import pytest

from daemon.api.identity import (
    Identity,
    IdentityKind,
    NotAContact,
    parse_identity,
    parse_phone_identity,
)

ANA = Identity(IdentityKind.PHONE, "+5491151000007")


@pytest.mark.parametrize(
    "raw",
    [
        "+5491151000007",
        "5491151000007",
        "  +5491151000007\n",
        "5491151000007@s.whatsapp.net",
        "5491151000007@S.WhatsApp.Net",
        "+5491151000007@c.us",
        "5491151000007:12@s.whatsapp.net",
        "5491151000007.0:12@s.whatsapp.net",
        "5491151000007@hosted",
    ],
)
def test_a_number_is_one_person_however_it_is_written(raw: str) -> None:
    """With a server, a device, an agent, without its plus sign."""
    assert parse_identity(raw) == ANA


@pytest.mark.parametrize(
    ("raw", "identity"),
    [
        ("199999000010@lid", Identity(IdentityKind.LID, "199999000010@lid")),
        ("199999000010:3@lid", Identity(IdentityKind.LID, "199999000010@lid")),
        ("199999000010@hosted.lid", Identity(IdentityKind.LID, "199999000010@lid")),
        ("AR.1a2B3c", Identity(IdentityKind.BSUID, "AR.1a2B3c")),
        ("AR.ENT.1a2B3c", Identity(IdentityKind.BSUID, "AR.ENT.1a2B3c")),
    ],
)
def test_hidden_and_business_scoped_ids_are_kept_apart(raw: str, identity: Identity) -> None:
    """A device is no part of a person."""
    assert parse_identity(raw) == identity


@pytest.mark.parametrize(
    ("raw", "reason_code"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("120363041234567890@g.us", "group"),
        ("5491151000007-1600000000@g.us", "group"),
        ("status@broadcast", "broadcast"),
        ("1600000000@broadcast", "broadcast"),
        ("120363041234567890@newsletter", "newsletter"),
        ("ABC@call", "call"),
        ("13135550002@bot", "bot"),
        ("0@s.whatsapp.net", "platform"),
        ("0:0@s.whatsapp.net", "platform"),
        ("@s.whatsapp.net", "unreadable"),
        ("Ana", "unreadable"),
        ("ana@example.org", "unreadable"),
        ("+0491151000007", "unreadable"),
        ("+549115100000712345", "unreadable"),
        ("54911\u0665\u0661000007", "unreadable"),
        ("1" * 500, "unreadable"),
        ("+54911510\ud83d", "unreadable"),
    ],
)
def test_what_is_no_persons_name_is_refused_with_a_reason(raw: str, reason_code: str) -> None:
    """The sentence quotes nothing of it."""
    with pytest.raises(NotAContact) as caught:
        parse_identity(raw)
    assert caught.value.reason_code == reason_code
    assert not any(sign.isdigit() for sign in caught.value.sentence)


def test_an_identity_exists_in_its_normal_form_only_and_hides_in_a_log() -> None:
    """Neither its error nor its representation holds the number."""
    with pytest.raises(ValueError, match="normal form of a phone") as caught:
        Identity(IdentityKind.PHONE, "5491151000007")
    assert "5491151000007" not in str(caught.value)
    assert repr(ANA) == "Identity(phone)"
    assert str(ANA) == "+5491151000007"


def test_a_number_in_e164_is_read_and_nothing_else() -> None:
    """Where a number is meant, no other name is."""
    assert parse_phone_identity("+5491151000007") == ANA
    with pytest.raises(NotAContact):
        parse_phone_identity("5491151000007")
